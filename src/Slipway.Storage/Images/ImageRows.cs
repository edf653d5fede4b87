using Slipway.Oci;
using Slipway.Storage.State;

namespace Slipway.Storage.Images;

/// <summary>Statements on the tables of images and layers. Each is part of the caller's transaction.</summary>
internal static class ImageRows
{
    /// <summary>Inserts an image with its layers; one that is there stays as it is.</summary>
    /// <param name="manifest">None where there was no manifest.</param>
    public static void Insert(DatabaseConnection connection, Digest id, byte[] config, Digest manifest, IReadOnlyList<StagedLayer> layers)
    {
        var parent = default(Digest);
        foreach (var (layer, _) in layers)
        {
            connection.Execute(
                "INSERT INTO layers (chain_id, diff_id, parent, size) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
                layer.ChainId.ToString(), layer.DiffId.ToString(), parent.IsNone ? null : parent.ToString(), layer.Size);
            parent = layer.ChainId;
        }

        var inserted = connection.Execute(
            "INSERT INTO images (id, manifest, config) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", id.ToString(), manifest.ToString(), config);
        if (inserted == 0)
        {
            return;
        }

        for (var i = 0; i < layers.Count; i++)
        {
            connection.Execute(
                "INSERT INTO image_layers (image_id, position, chain_id, blob) VALUES ($1, $2, $3, $4)",
                id.ToString(), i, layers[i].Layer.ChainId.ToString(), layers[i].Blob.ToString());
        }

        Digest[] blobs = [id, .. layers.Select(layer => layer.Blob)];
        foreach (var blob in manifest.IsNone ? blobs : [.. blobs, manifest])
        {
            connection.Execute("INSERT INTO image_blobs (image_id, digest) VALUES ($1, $2) ON CONFLICT DO NOTHING", id.ToString(), blob.ToString());
        }
    }

    /// <summary>Gives a name to an image; another image that had it loses it.</summary>
    public static void Tag(DatabaseConnection connection, Reference name, Digest id, DateTimeOffset now)
    {
        connection.Execute(
            "INSERT INTO image_names (name, image_id) VALUES ($1, $2) ON CONFLICT DO UPDATE SET image_id = excluded.image_id", name.ToString(), id.ToString());
        connection.Execute("UPDATE images SET last_tag_time = $2 WHERE id = $1", id.ToString(), now.UtcTicks);
    }

    public static void Untag(DatabaseConnection connection, Reference name) => connection.Execute("DELETE FROM image_names WHERE name = $1", name.ToString());

    public static void Delete(DatabaseConnection connection, Digest id) => connection.Execute("DELETE FROM images WHERE id = $1", id.ToString());

    /// <summary>Deletes the rows of layers that neither an image nor a container uses; returns them, highest first.</summary>
    public static List<Digest> DeleteUnusedLayers(DatabaseConnection connection)
    {
        var deleted = new List<Digest>();
        while (true)
        {
            var unused = connection.Query(
                """
                SELECT chain_id FROM layers AS layer
                WHERE NOT EXISTS (SELECT 1 FROM image_layers WHERE chain_id = layer.chain_id)
                  AND NOT EXISTS (SELECT 1 FROM container_layers WHERE chain_id = layer.chain_id)
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

    /// <summary>All layers and blobs that rows name.</summary>
    public static (HashSet<Digest> Layers, HashSet<Digest> Blobs) Used(DatabaseConnection connection) =>
        ([.. connection.Query("SELECT chain_id FROM layers", reader => Digest.Parse(reader.GetString(0)))],
         [.. connection.Query("SELECT DISTINCT digest FROM image_blobs", reader => Digest.Parse(reader.GetString(0)))]);
}
