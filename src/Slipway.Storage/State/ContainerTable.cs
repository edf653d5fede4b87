using Microsoft.Data.Sqlite;

namespace Slipway.Storage.State;

/// <param name="collect">Deletes layers that no row names any more.</param>
internal sealed class ContainerTable(StateDatabase database, Func<CancellationToken, Task> collect) : IContainerTable
{
    public Task InsertAsync(ContainerRow row, CancellationToken cancellationToken) =>
        database.WriteAsync(
            connection =>
            {
                try
                {
                    connection.Execute(
                        "INSERT INTO containers (id, name, created, image_id, config, host_config, networking, state) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                        row.Id, row.Name, row.Created.UtcTicks, row.ImageId, row.Config, row.HostConfig, row.Networking, row.State);
                }
                catch (SqliteException error) when (StateDatabase.IsDuplicate(error))
                {
                    throw Taken(connection, row.Name, error);
                }

                // The container keeps its layers alive, even when the image is removed by force.
                return connection.Execute(
                    "INSERT OR IGNORE INTO container_layers (container_id, chain_id) SELECT $1, chain_id FROM image_layers WHERE image_id = $2", row.Id, row.ImageId);
            },
            cancellationToken);

    public async Task UpdateStateAsync(string id, byte[] state, CancellationToken cancellationToken)
    {
        var changed = await database.StatementAsync(
            connection => connection.Execute("UPDATE containers SET state = $2 WHERE id = $1", id, state), WritePurpose.GivesRoom, cancellationToken).ConfigureAwait(false);
        Require(changed, id);
    }

    public async Task UpdateConfigAsync(string id, byte[]? hostConfig, byte[]? networking, CancellationToken cancellationToken)
    {
        var changed = await database.StatementAsync(
            connection => connection.Execute(
                "UPDATE containers SET host_config = coalesce($2, host_config), networking = coalesce($3, networking) WHERE id = $1", id, hostConfig, networking),
            cancellationToken).ConfigureAwait(false);
        Require(changed, id);
    }

    public async Task ReplaceAsync(ContainerRow row, CancellationToken cancellationToken)
    {
        var changed = await database.StatementAsync(
            connection => connection.Execute(
                "UPDATE containers SET config = $2, host_config = $3, networking = $4, state = $5 WHERE id = $1", row.Id, row.Config, row.HostConfig, row.Networking, row.State),
            cancellationToken).ConfigureAwait(false);
        Require(changed, row.Id);
    }

    public async Task RenameAsync(string id, string name, CancellationToken cancellationToken)
    {
        var changed = await database.StatementAsync(
            connection =>
            {
                try
                {
                    return connection.Execute("UPDATE containers SET name = $2 WHERE id = $1", id, name);
                }
                catch (SqliteException error) when (StateDatabase.IsDuplicate(error))
                {
                    throw Taken(connection, name, error);
                }
            },
            cancellationToken).ConfigureAwait(false);
        Require(changed, id);
    }

    public async Task<bool> DeleteAsync(string id, CancellationToken cancellationToken)
    {
        var (deleted, lastUser) = await database.WriteAsync(
            connection =>
            {
                // The image may have been removed by force while the container still used its layers.
                var orphans = connection.Query(
                    "SELECT 1 FROM container_layers WHERE container_id = $1 AND chain_id NOT IN (SELECT chain_id FROM image_layers) LIMIT 1", _ => true, id);
                connection.Execute("DELETE FROM endpoints WHERE container_id = $1", id);
                connection.Execute("DELETE FROM addresses WHERE owner = $1", id);
                return (connection.Execute("DELETE FROM containers WHERE id = $1", id) > 0, orphans.Count > 0);
            },
            WritePurpose.GivesRoom,
            cancellationToken).ConfigureAwait(false);
        if (lastUser)
        {
            await collect(cancellationToken).ConfigureAwait(false);
        }

        return deleted;
    }

    public async Task<IReadOnlyList<ContainerRow>> AllAsync(CancellationToken cancellationToken) =>
        await database.ReadAsync(
            connection => connection.Query(
                "SELECT id, name, created, image_id, config, host_config, networking, state FROM containers ORDER BY created, id",
                reader => new ContainerRow
                {
                    Id = reader.GetString(0),
                    Name = reader.GetString(1),
                    Created = reader.GetTime(2),
                    ImageId = reader.GetString(3),
                    Config = reader.GetBlob(4),
                    HostConfig = reader.GetBlob(5),
                    Networking = reader.GetBlob(6),
                    State = reader.GetBlob(7),
                }),
            cancellationToken).ConfigureAwait(false);

    private static StorageException Taken(DatabaseConnection connection, string name, SqliteException error)
    {
        var owners = connection.Query("SELECT id FROM containers WHERE name = $1", reader => reader.GetString(0), name);
        return new StorageException(
            StorageErrorKind.Conflict,
            owners is [var owner]
                ? $"Conflict. The container name \"/{name}\" is already in use by container \"{owner}\". You have to remove (or rename) that container to be able to reuse that name."
                : $"Conflict. The id of container \"/{name}\" is already in use.",
            error);
    }

    private static void Require(int changed, string id)
    {
        if (changed == 0)
        {
            throw new StorageException(StorageErrorKind.NotFound, $"No such container: {id}");
        }
    }
}
