using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;
using Slipway.Oci;
using Slipway.Storage.State;

namespace Slipway.Storage.Ledger;

/// <summary>
/// Sizes of unpacked layers, measured once and kept in the database: a layer never changes. A stamp of its directory tells one that
/// was changed behind the engine's back.
/// </summary>
internal sealed class LayerUsage(StateDatabase database)
{
    private readonly Dictionary<Digest, Row> _rows = [];

    public async Task OpenAsync(CancellationToken cancellationToken)
    {
        var rows = await database.ReadAsync(
            connection => connection.Query(
                "SELECT chain_id, bytes, files, stamp FROM layer_usage",
                reader => (Id: Digest.Parse(reader.GetString(0)), Row: new Row(new TreeSize(reader.GetInt64(1), reader.GetInt64(2), 0), reader.GetInt64(3)))),
            cancellationToken).ConfigureAwait(false);
        foreach (var (id, row) in rows)
        {
            _rows[id] = row;
        }
    }

    /// <summary>The size of each layer below <paramref name="layers"/>; those not known yet are measured. Blocks; one caller at a time.</summary>
    /// <param name="measured">Those to be stored.</param>
    public List<(Digest ChainId, TreeSize Size)> Read(SafeFileHandle layers, IEnumerable<Digest> chainIds, List<(Digest ChainId, Row Row)> measured)
    {
        var sizes = new List<(Digest, TreeSize)>();
        foreach (var chainId in chainIds)
        {
            if (StampOf(layers, chainId) is not { } stamp)
            {
                continue;
            }

            if (!_rows.TryGetValue(chainId, out var row) || row.Stamp != stamp)
            {
                row = new Row(TreeSize.Of(layers, chainId.Hex), stamp);
                _rows[chainId] = row;
                measured.Add((chainId, row));
            }

            sizes.Add((chainId, row.Size));
        }

        foreach (var gone in _rows.Keys.Except(sizes.Select(size => size.Item1)).ToList())
        {
            _rows.Remove(gone);
        }

        return sizes;
    }

    public Task StoreAsync(IReadOnlyList<(Digest ChainId, Row Row)> measured, CancellationToken cancellationToken) => measured.Count == 0
        ? Task.CompletedTask
        : database.WriteAsync(
            connection =>
            {
                foreach (var (chainId, row) in measured)
                {
                    // Not of a layer whose image is not committed yet, or was removed meanwhile.
                    connection.Execute(
                        """
                        INSERT INTO layer_usage (chain_id, bytes, files, stamp) SELECT chain_id, $2, $3, $4 FROM layers WHERE chain_id = $1
                        ON CONFLICT DO UPDATE SET bytes = excluded.bytes, files = excluded.files, stamp = excluded.stamp
                        """,
                        chainId.ToString(), row.Size.Bytes, row.Size.Files, row.Stamp);
                }

                return true;
            },
            cancellationToken);

    /// <summary>Of the directory's identity and the time its list of files was changed last; null where there is no such layer.</summary>
    private static long? StampOf(SafeFileHandle layers, Digest chainId)
    {
        if (DirectoryEntry.TryOpen(layers, chainId.Hex, OpenFlags.Path | OpenFlags.Directory, out var layer) != 0)
        {
            return null;
        }

        using var _ = layer;
        var status = FileStatus.Of(layer!);
        var root = FileStatus.TryOf(layer!, "diff") ?? status;
        return unchecked((((((long)status.Inode * 31) + Ticks(status.ModificationTime)) * 31) + Ticks(root.ModificationTime)) * 31 + Ticks(root.ChangeTime));

        static long Ticks(FileTime time) => unchecked((time.Seconds * 1_000_000_000) + time.Nanoseconds);
    }

    internal readonly record struct Row(TreeSize Size, long Stamp);
}
