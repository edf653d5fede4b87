using Microsoft.Data.Sqlite;

namespace Slipway.Storage.State;

internal sealed class NetworkTable(StateDatabase database) : INetworkTable
{
    public Task InsertAsync(NetworkRow row, CancellationToken cancellationToken) =>
        database.StatementAsync(
            connection =>
            {
                try
                {
                    return connection.Execute(
                        "INSERT INTO networks (id, name, created, document) VALUES ($1, $2, $3, $4)", row.Id, row.Name, row.Created.UtcTicks, row.Document);
                }
                catch (SqliteException error) when (StateDatabase.IsDuplicate(error))
                {
                    throw new StorageException(StorageErrorKind.Conflict, $"network with name {row.Name} already exists", error);
                }
            },
            cancellationToken);

    public Task<bool> DeleteAsync(string id, CancellationToken cancellationToken) =>
        database.StatementAsync(connection => connection.Execute("DELETE FROM networks WHERE id = $1", id) > 0, WritePurpose.GivesRoom, cancellationToken);

    public async Task<IReadOnlyList<NetworkRow>> AllAsync(CancellationToken cancellationToken) =>
        await database.ReadAsync(
            connection => connection.Query(
                "SELECT id, name, created, document FROM networks ORDER BY created, id",
                reader => new NetworkRow(reader.GetString(0), reader.GetString(1), reader.GetTime(2), reader.GetBlob(3))),
            cancellationToken).ConfigureAwait(false);

    public Task PutEndpointAsync(EndpointRow row, CancellationToken cancellationToken) =>
        database.StatementAsync(
            connection =>
            {
                try
                {
                    return connection.Execute(
                        "INSERT INTO endpoints (network_id, container_id, document) VALUES ($1, $2, $3) ON CONFLICT DO UPDATE SET document = excluded.document",
                        row.NetworkId, row.ContainerId, row.Document);
                }
                catch (SqliteException error) when (StateDatabase.IsMissingReference(error))
                {
                    throw NoNetwork(row.NetworkId, error);
                }
            },
            cancellationToken);

    public Task<bool> DeleteEndpointAsync(string networkId, string containerId, CancellationToken cancellationToken) =>
        database.StatementAsync(
            connection => connection.Execute("DELETE FROM endpoints WHERE network_id = $1 AND container_id = $2", networkId, containerId) > 0, WritePurpose.GivesRoom, cancellationToken);

    public async Task<IReadOnlyList<EndpointRow>> EndpointsAsync(CancellationToken cancellationToken) =>
        await database.ReadAsync(
            connection => connection.Query(
                "SELECT network_id, container_id, document FROM endpoints",
                reader => new EndpointRow(reader.GetString(0), reader.GetString(1), reader.GetBlob(2))),
            cancellationToken).ConfigureAwait(false);

    public Task<bool> TakeAddressAsync(AddressRow row, CancellationToken cancellationToken) =>
        database.StatementAsync(
            connection =>
            {
                try
                {
                    return connection.Execute(
                        "INSERT INTO addresses (network_id, address, owner) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", row.NetworkId, row.Address, row.Owner) > 0;
                }
                catch (SqliteException error) when (StateDatabase.IsMissingReference(error))
                {
                    throw NoNetwork(row.NetworkId, error);
                }
            },
            cancellationToken);

    public Task<bool> ReleaseAddressAsync(string networkId, string address, CancellationToken cancellationToken) =>
        database.StatementAsync(
            connection => connection.Execute("DELETE FROM addresses WHERE network_id = $1 AND address = $2", networkId, address) > 0, WritePurpose.GivesRoom, cancellationToken);

    public async Task<IReadOnlyList<AddressRow>> AddressesAsync(CancellationToken cancellationToken) =>
        await database.ReadAsync(
            connection => connection.Query(
                "SELECT network_id, address, owner FROM addresses",
                reader => new AddressRow(reader.GetString(0), reader.GetString(1), reader.GetString(2))),
            cancellationToken).ConfigureAwait(false);

    private static StorageException NoNetwork(string id, SqliteException error) => new(StorageErrorKind.NotFound, $"network {id} not found", error);
}
