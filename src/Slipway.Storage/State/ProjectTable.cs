namespace Slipway.Storage.State;

/// <summary>The project numbers (quotactl(2)) that are this data root's.</summary>
internal sealed class ProjectTable(StateDatabase database)
{
    /// <summary>On the disk when the task completes: a number that is bounded and that nobody remembers would be lost to everybody.</summary>
    public Task InsertAsync(uint project, CancellationToken cancellationToken) =>
        database.WriteDurablyAsync(
            connection => connection.Execute("INSERT INTO projects (id) VALUES ($1) ON CONFLICT DO NOTHING", (long)project), _ => true, WritePurpose.Ordinary, cancellationToken);

    public Task DeleteAsync(uint project, CancellationToken cancellationToken) =>
        database.StatementAsync(connection => connection.Execute("DELETE FROM projects WHERE id = $1", (long)project), WritePurpose.GivesRoom, cancellationToken);

    public Task<List<uint>> AllAsync(CancellationToken cancellationToken) =>
        database.ReadAsync(connection => connection.Query("SELECT id FROM projects", reader => (uint)reader.GetInt64(0)), cancellationToken);
}
