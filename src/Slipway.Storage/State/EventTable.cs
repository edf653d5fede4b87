namespace Slipway.Storage.State;

internal sealed class EventTable(StateDatabase database) : IEventTable
{
    /// <summary>Events kept, give or take a few; dockerd keeps 256 in memory.</summary>
    private const int Capacity = 4096;

    public Task AppendAsync(IReadOnlyList<StoredEvent> events, CancellationToken cancellationToken) =>
        database.WriteAsync(
            connection =>
            {
                foreach (var stored in events)
                {
                    connection.Execute("INSERT INTO events (time, document) VALUES ($1, $2)", stored.Time.UtcTicks, stored.Document);
                }

                return connection.Execute("DELETE FROM events WHERE sequence <= last_insert_rowid() - $1", Capacity);
            },
            cancellationToken);

    public async Task<IReadOnlyList<byte[]>> ReadAsync(DateTimeOffset since, DateTimeOffset until, CancellationToken cancellationToken) =>
        await database.ReadAsync(
            connection => connection.Query(
                "SELECT document FROM events WHERE time BETWEEN $1 AND $2 ORDER BY sequence", reader => reader.GetBlob(0), since.UtcTicks, until.UtcTicks),
            cancellationToken).ConfigureAwait(false);
}

internal sealed class KeyValueTable(StateDatabase database) : IKeyValueTable
{
    public async Task<byte[]?> GetAsync(string key, CancellationToken cancellationToken) =>
        await database.ReadAsync(
            connection => connection.Query("SELECT value FROM key_values WHERE key = $1", reader => reader.GetBlob(0), key).FirstOrDefault(),
            cancellationToken).ConfigureAwait(false);

    public Task SetAsync(string key, byte[] value, CancellationToken cancellationToken) =>
        database.StatementAsync(
            connection => connection.Execute("INSERT INTO key_values (key, value) VALUES ($1, $2) ON CONFLICT DO UPDATE SET value = excluded.value", key, value),
            cancellationToken);

    public Task<bool> DeleteAsync(string key, CancellationToken cancellationToken) =>
        database.StatementAsync(connection => connection.Execute("DELETE FROM key_values WHERE key = $1", key) > 0, cancellationToken);
}
