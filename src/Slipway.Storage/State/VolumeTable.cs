using System.Text;
using Slipway.Storage.Volumes;

namespace Slipway.Storage.State;

internal sealed class VolumeTable(StateDatabase database)
{
    /// <summary>Key of the old name of a volume whose directory has to follow its row; the new name comes behind it.</summary>
    private const string RenameKey = "volume-rename:";

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

    /// <summary>Renames a row, and remembers in the same transaction that the directory follows.</summary>
    public Task BeginRenameAsync(string name, string newName, CancellationToken cancellationToken) =>
        database.WriteAsync(
            connection =>
            {
                connection.Execute("UPDATE volumes SET name = $2 WHERE name = $1", name, newName);
                return connection.Execute("INSERT INTO key_values (key, value) VALUES ($1, $2)", RenameKey + newName, Encoding.UTF8.GetBytes(name));
            },
            cancellationToken);

    public Task EndRenameAsync(string newName, CancellationToken cancellationToken) =>
        database.StatementAsync(connection => connection.Execute("DELETE FROM key_values WHERE key = $1", RenameKey + newName), cancellationToken);

    public Task<List<(string Name, string NewName)>> PendingRenamesAsync(CancellationToken cancellationToken) =>
        database.ReadAsync(
            connection => connection.Query(
                "SELECT value, substr(key, length($1) + 1) FROM key_values WHERE substr(key, 1, length($1)) = $1",
                reader => (Encoding.UTF8.GetString(reader.GetBlob(0)), reader.GetString(1)),
                RenameKey),
            cancellationToken);

    public Task<List<VolumeRow>> AllAsync(CancellationToken cancellationToken) =>
        database.ReadAsync(
            connection => connection.Query(
                "SELECT name, created, document FROM volumes ORDER BY name", reader => new VolumeRow(reader.GetString(0), reader.GetTime(1), reader.GetBlob(2))),
            cancellationToken);
}
