using Slipway.Oci;
using Slipway.Storage.Images;
using Slipway.Storage.State;

namespace Slipway.Storage.Layers;

/// <summary>Statements on the tables of layers. Each is part of the caller's transaction.</summary>
internal static class LayerRows
{
    /// <param name="parent">None for the lowest layer; otherwise it has a row.</param>
    public static void Insert(DatabaseConnection connection, Layer layer, Digest parent) =>
        connection.Execute(
            "INSERT INTO layers (chain_id, diff_id, parent, size) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            layer.ChainId.ToString(), layer.DiffId.ToString(), parent.IsNone ? null : parent.ToString(), layer.Size);

    /// <summary>
    /// Keeps a layer that no image has yet, until it expires. A layer whose parent has no row is not kept: an archive is being loaded
    /// beside, and its commit brings the rows.
    /// </summary>
    public static void Hold(DatabaseConnection connection, Layer layer, Digest parent, DateTimeOffset expires, string boot)
    {
        if (!parent.IsNone && connection.Query("SELECT 1 FROM layers WHERE chain_id = $1", _ => true, parent.ToString()).Count == 0)
        {
            return;
        }

        Insert(connection, layer, parent);
        connection.Execute(
            "INSERT INTO held_layers (chain_id, expires, boot) VALUES ($1, $2, $3) ON CONFLICT DO UPDATE SET expires = excluded.expires, boot = excluded.boot",
            layer.ChainId.ToString(), expires.UtcTicks, boot);
    }

    /// <summary>Ends what an image has made its own.</summary>
    public static void EndHold(DatabaseConnection connection, Digest chainId) => connection.Execute("DELETE FROM held_layers WHERE chain_id = $1", chainId.ToString());

    /// <summary>Ends what expired, or was held under another boot.</summary>
    public static void EndHolds(DatabaseConnection connection, DateTimeOffset now, string boot) =>
        connection.Execute("DELETE FROM held_layers WHERE expires <= $1 OR boot <> $2", now.UtcTicks, boot);

    /// <summary>Ends every hold; what an ingest at work needs stays pinned.</summary>
    public static int EndHolds(DatabaseConnection connection) => connection.Execute("DELETE FROM held_layers", []);

    public static List<Digest> Held(DatabaseConnection connection) =>
        connection.Query("SELECT chain_id FROM held_layers", reader => Digest.Parse(reader.GetString(0)));

    /// <summary>Deletes the rows of layers that neither an image, a container, a hold nor a build's record uses; returns them, highest first.</summary>
    public static List<Digest> DeleteUnused(DatabaseConnection connection)
    {
        var deleted = new List<Digest>();
        while (true)
        {
            var unused = connection.Query(
                """
                SELECT chain_id FROM layers AS layer
                WHERE NOT EXISTS (SELECT 1 FROM image_layers WHERE chain_id = layer.chain_id)
                  AND NOT EXISTS (SELECT 1 FROM container_layers WHERE chain_id = layer.chain_id)
                  AND NOT EXISTS (SELECT 1 FROM held_layers WHERE chain_id = layer.chain_id)
                  AND NOT EXISTS (SELECT 1 FROM build_cache WHERE chain_id = layer.chain_id)
                  AND NOT EXISTS (SELECT 1 FROM layers AS child WHERE child.parent = layer.chain_id)
                """,
                reader => Digest.Parse(reader.GetString(0)));
            if (unused.Count == 0)
            {
                return deleted;
            }

            foreach (var chainId in unused)
            {
                connection.Execute("DELETE FROM layers WHERE chain_id = $1", chainId.ToString());
            }

            deleted.AddRange(unused);
        }
    }
}
