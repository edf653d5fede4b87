using System.Text.Json;
using Slipway.Oci;
using Slipway.Storage.Content;
using Slipway.Storage.Layers;
using Slipway.Storage.State;

namespace Slipway.Storage.Images;

/// <summary>An image as the database gets it.</summary>
/// <param name="Manifest">None where there is no such document.</param>
/// <param name="Blobs">The files below <c>blobs/</c> that the image keeps alive, its configuration among them.</param>
internal sealed record ImageRow(Digest Id, byte[] Config, Digest Manifest, IReadOnlyList<StoredLayer> Layers, IReadOnlyList<BlobRow> Blobs)
{
    public IReadOnlyList<ReferrerRow> Referrers { get; init; } = [];
}

/// <summary>What came with an image and is about it: the descriptor of its manifest, and whether an archive's own index lists it.</summary>
internal sealed record ReferrerRow(Descriptor Descriptor, bool IsListed);

/// <param name="MediaType">Of a manifest or an index; empty for anything else.</param>
internal sealed record BlobRow(Digest Digest, long Size, string MediaType = "");

/// <summary>Statements on the tables of images, their names and blobs. Each is part of the caller's transaction.</summary>
internal static class ImageRows
{
    /// <summary>Inserts an image with its layers. One that is there already keeps what it has and gains the documents that are new.</summary>
    public static void Insert(DatabaseConnection connection, ImageRow image)
    {
        var parent = default(Digest);
        foreach (var (layer, _) in image.Layers)
        {
            LayerRows.Insert(connection, layer, parent);
            parent = layer.ChainId;
        }

        var id = image.Id.ToString();
        var inserted = connection.Execute(
            "INSERT INTO images (id, manifest, config) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", id, image.Manifest.ToString(), image.Config);
        for (var i = 0; i < image.Layers.Count && inserted > 0; i++)
        {
            connection.Execute(
                "INSERT INTO image_layers (image_id, position, chain_id, blob) VALUES ($1, $2, $3, $4)",
                id, i, image.Layers[i].Layer.ChainId.ToString(), image.Layers[i].Blob.ToString());
        }

        if (!image.Manifest.IsNone)
        {
            connection.Execute("UPDATE images SET manifest = $2 WHERE id = $1 AND manifest = ''", id, image.Manifest.ToString());
        }

        foreach (var referrer in image.Referrers)
        {
            AddReferrer(connection, image.Id, referrer);
        }

        foreach (var blob in image.Blobs)
        {
            connection.Execute(
                "INSERT INTO blobs (digest, size, media_type) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", blob.Digest.ToString(), blob.Size, blob.MediaType);
            connection.Execute("INSERT INTO image_blobs (image_id, digest) VALUES ($1, $2) ON CONFLICT DO NOTHING", id, blob.Digest.ToString());
        }
    }

    private static void AddReferrer(DatabaseConnection connection, Digest id, ReferrerRow referrer) =>
        connection.Execute(
            "INSERT INTO image_referrers (image_id, digest, is_listed, descriptor) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            id.ToString(), referrer.Descriptor.Digest.ToString(), referrer.IsListed ? 1 : 0, JsonSerializer.SerializeToUtf8Bytes(referrer.Descriptor, OciJson.Default.Descriptor));

    /// <summary>What came with an image and is about it, in a fixed order.</summary>
    public static IReadOnlyList<ReferrerRow> Referrers(DatabaseConnection connection, Digest id) =>
        connection.Query(
            "SELECT descriptor, is_listed FROM image_referrers WHERE image_id = $1 ORDER BY digest",
            reader => new ReferrerRow(JsonSerializer.Deserialize(reader.GetBlob(0), OciJson.Default.Descriptor)!, reader.GetInt64(1) != 0),
            id.ToString());

    /// <summary>
    /// Gives a name to an image; another image that had it loses it, unless both are platforms of the same index.
    /// </summary>
    /// <param name="target">The manifest or index that the name denotes, or none.</param>
    public static void Tag(DatabaseConnection connection, Reference name, Digest id, Digest target, bool isIndex, DateTimeOffset now)
    {
        connection.Execute(
            isIndex ? "DELETE FROM image_names WHERE name = $1 AND target <> $2" : "DELETE FROM image_names WHERE name = $1 AND $2 = $2",
            name.ToString(), target.ToString());
        connection.Execute(
            "INSERT INTO image_names (name, image_id, target) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", name.ToString(), id.ToString(), target.ToString());
        connection.Execute("UPDATE images SET last_tag_time = $2 WHERE id = $1", id.ToString(), now.UtcTicks);
    }

    /// <summary>Takes a name from an image; other platforms of the same index keep it.</summary>
    public static void Untag(DatabaseConnection connection, Reference name, Digest id) =>
        connection.Execute("DELETE FROM image_names WHERE name = $1 AND image_id = $2", name.ToString(), id.ToString());

    /// <summary>Takes names from an image, and removes the image where the plan says so.</summary>
    /// <returns>What was deleted.</returns>
    public static IEnumerable<RemovedItem> Apply(DatabaseConnection connection, Digest id, ImageRemoval plan)
    {
        foreach (var name in plan.Untag)
        {
            Untag(connection, name, id);
        }

        if (!plan.Delete)
        {
            return [];
        }

        Delete(connection, id);
        var layers = LayerRows.DeleteUnused(connection);
        DeleteUnusedBlobs(connection);
        return [new RemovedItem(null, id.ToString()), .. layers.Select(chainId => new RemovedItem(null, chainId.ToString()))];
    }

    public static void Delete(DatabaseConnection connection, Digest id) => connection.Execute("DELETE FROM images WHERE id = $1", id.ToString());

    /// <summary>Remembers where blobs were seen.</summary>
    public static void AddSource(DatabaseConnection connection, IEnumerable<Digest> blobs, Reference repository)
    {
        foreach (var blob in blobs)
        {
            connection.Execute("INSERT INTO blob_sources (digest, repository) VALUES ($1, $2) ON CONFLICT DO NOTHING", blob.ToString(), repository.Name);
        }
    }

    public static IReadOnlyList<Reference> Sources(DatabaseConnection connection, Digest blob) =>
        connection.Query("SELECT repository FROM blob_sources WHERE digest = $1 ORDER BY repository", reader => Reference.Parse(reader.GetString(0)), blob.ToString());

    /// <summary>Deletes rows about blobs that no image names any more.</summary>
    public static void DeleteUnusedBlobs(DatabaseConnection connection)
    {
        connection.Execute("DELETE FROM blobs WHERE digest NOT IN (SELECT digest FROM image_blobs)", []);
        connection.Execute("DELETE FROM blob_sources WHERE digest NOT IN (SELECT digest FROM image_blobs UNION SELECT blob FROM image_layers)", []);
        DocumentJournal.DeleteUnused(connection);
        connection.Execute("DELETE FROM layer_encodings WHERE diff_id NOT IN (SELECT diff_id FROM layers)", []);
    }

    /// <summary>All layers and blobs that rows name.</summary>
    public static (HashSet<Digest> Layers, HashSet<Digest> Blobs) Used(DatabaseConnection connection) =>
        ([.. connection.Query("SELECT chain_id FROM layers", reader => Digest.Parse(reader.GetString(0)))],
         [.. connection.Query("SELECT DISTINCT digest FROM image_blobs", reader => Digest.Parse(reader.GetString(0)))]);
}
