using Microsoft.Data.Sqlite;
using Slipway.Oci;
using Slipway.Storage.Layers;
using Slipway.Storage.State;
using Slipway.Storage.Threading;

namespace Slipway.Storage.Builds;

/// <param name="collect">Deletes layers that no row names any more.</param>
internal sealed class BuildCacheTable(StateDatabase database, LayerStore layers, Func<CancellationToken, Task> collect) : IBuildCacheTable
{
    private const string Columns = "key, build_cache.parent, build_cache.chain_id, coalesce(diff_id, ''), coalesce(size, 0), kind, description, created";

    public async Task<BuildCacheRow?> FindAsync(Digest key, CancellationToken cancellationToken)
    {
        var found = await database.ReadAsync(
            connection => connection.Query($"SELECT {Columns} FROM build_cache LEFT JOIN layers ON layers.chain_id = build_cache.chain_id WHERE key = $1", Row, key.ToString()),
            cancellationToken).ConfigureAwait(false);
        return found.Count == 0 ? null : found[0];
    }

    public Task StoreAsync(IReadOnlyList<BuildCacheRow> rows, CancellationToken cancellationToken) =>
        database.WriteAsync(
            connection =>
            {
                foreach (var row in rows)
                {
                    connection.Execute(
                        """
                        INSERT INTO build_cache (key, parent, chain_id, kind, description, created, last_used, uses, boot)
                        SELECT $1, $2, $3, $4, $5, $6, $6, 0, $7 WHERE $3 IS NULL OR EXISTS (SELECT 1 FROM layers WHERE chain_id = $3)
                        ON CONFLICT (key) DO UPDATE SET chain_id = excluded.chain_id, created = excluded.created, last_used = excluded.last_used, boot = excluded.boot
                        """,
                        row.Key.ToString(), row.Parent.ToString(), row.ChainId.IsNone ? null : row.ChainId.ToString(), row.Kind, row.Description, row.Created.UtcTicks,
                        row.ChainId.IsNone ? "" : BootId.Current);
                }

                return true;
            },
            cancellationToken);

    public Task TouchAsync(IReadOnlyCollection<Digest> keys, DateTimeOffset at, CancellationToken cancellationToken) =>
        keys.Count == 0 ? Task.CompletedTask : database.WriteAsync(
            connection =>
            {
                foreach (var key in keys)
                {
                    connection.Execute("UPDATE build_cache SET last_used = $2, uses = uses + 1 WHERE key = $1", key.ToString(), at.UtcTicks);
                }

                return true;
            },
            cancellationToken);

    public async Task<IReadOnlyList<BuildCacheEntry>> ListAsync(CancellationToken cancellationToken) => await database.ReadAsync(
        connection => connection.Query(
            $"""
            SELECT {Columns}, last_used, uses, EXISTS (SELECT 1 FROM image_layers WHERE image_layers.chain_id = build_cache.chain_id)
            FROM build_cache LEFT JOIN layers ON layers.chain_id = build_cache.chain_id ORDER BY last_used DESC, key
            """,
            reader => new BuildCacheEntry(Row(reader), reader.GetTime(8), reader.GetInt32(9), reader.GetInt64(10) != 0)),
        cancellationToken).ConfigureAwait(false);

    public async Task DeleteAsync(IReadOnlyCollection<Digest> keys, CancellationToken cancellationToken)
    {
        await database.WriteAsync(
            connection =>
            {
                foreach (var key in keys)
                {
                    connection.Execute("DELETE FROM build_cache WHERE key = $1", key.ToString());
                }

                return true;
            },
            WritePurpose.GivesRoom,
            cancellationToken).ConfigureAwait(false);
        await collect(cancellationToken).ConfigureAwait(false);
    }

    public async Task FlushAsync(CancellationToken cancellationToken)
    {
        var pending = await database.ReadAsync(connection => connection.Query("SELECT key FROM build_cache WHERE boot = $1", reader => reader.GetString(0), BootId.Current), cancellationToken)
            .ConfigureAwait(false);
        if (pending.Count == 0)
        {
            return;
        }

        await WorkerThread.RunAsync("build-flush", () =>
        {
            layers.Flush();
            return true;
        }).ConfigureAwait(false);
        await database.WriteAsync(
            connection =>
            {
                foreach (var key in pending)
                {
                    connection.Execute("UPDATE build_cache SET boot = '' WHERE key = $1", key);
                }

                return true;
            },
            cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Deletes records whose layers may not have reached the disk before the last boot. Comes before unused layers are collected.</summary>
    public Task OpenAsync(CancellationToken cancellationToken) =>
        database.WriteAsync(
            connection => connection.Execute("DELETE FROM build_cache WHERE boot <> '' AND boot <> $1", BootId.Current), WritePurpose.GivesRoom, cancellationToken);

    private static BuildCacheRow Row(SqliteDataReader reader) => new(
        Digest.Parse(reader.GetString(0)),
        OfText(reader.GetString(1)),
        reader.IsDBNull(2) ? default : Digest.Parse(reader.GetString(2)),
        OfText(reader.GetString(3)),
        reader.GetInt64(4),
        reader.GetString(5),
        reader.GetString(6),
        reader.GetTime(7));

    private static Digest OfText(string text) => text.Length == 0 ? default : Digest.Parse(text);
}
