using Slipway.Storage.Volumes;

namespace Slipway.Storage.State;

internal sealed class VolumeTable(StateDatabase database)
{
    /// <summary>Inserts a row; one of the same name stays as it is.</summary>
    public Task InsertAsync(VolumeRow row, CancellationToken cancellationToken) =>
        database.StatementAsync(
            connection => connection.Execute(
                "INSERT INTO volumes (name, created, document) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", row.Name, row.Created.UtcTicks, row.Document),
            cancellationToken);

    public Task UpdateAsync(string name, byte[] document, CancellationToken cancellationToken) =>
        database.StatementAsync(connection => connection.Execute("UPDATE volumes SET document = $2 WHERE name = $1", name, document), cancellationToken);

    public Task DeleteAsync(string name, CancellationToken cancellationToken) =>
        database.StatementAsync(connection => connection.Execute("DELETE FROM volumes WHERE name = $1", name), WritePurpose.GivesRoom, cancellationToken);

    public Task<List<VolumeRow>> AllAsync(CancellationToken cancellationToken) =>
        database.ReadAsync(
            connection => connection.Query(
                "SELECT name, created, document FROM volumes ORDER BY name", reader => new VolumeRow(reader.GetString(0), reader.GetTime(1), reader.GetBlob(2))),
            cancellationToken);
}
