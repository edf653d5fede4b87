using System.Collections.Frozen;
using System.Globalization;
using Slipway.Oci;
using Slipway.Storage.State;

namespace Slipway.Storage.Images;

/// <summary>All images at one moment. Immutable: queries need no lock, a change makes a new catalog.</summary>
internal sealed class ImageCatalog
{
    private readonly FrozenDictionary<Digest, Entry> _byId;
    private readonly FrozenDictionary<string, NameEntry[]> _byName;

    private ImageCatalog(IEnumerable<Entry> entries, IEnumerable<NameEntry> names)
    {
        _byId = entries.ToFrozenDictionary(entry => entry.Image.Id);
        _byName = names.GroupBy(name => name.Name, StringComparer.Ordinal).ToFrozenDictionary(group => group.Key, group => group.ToArray(), StringComparer.Ordinal);
        All = [.. _byId.Values.Select(entry => entry.Image).OrderByDescending(image => image.Created).ThenBy(image => image.Id)];
    }

    public static ImageCatalog Empty { get; } = new([], []);

    /// <summary>Newest first.</summary>
    public IReadOnlyList<Image> All { get; }

    /// <summary>A layer of an image by its diff id, with the blob it came in.</summary>
    public (Layer Layer, Digest Blob)? FindLayer(Digest diffId)
    {
        foreach (var entry in _byId.Values)
        {
            for (var i = 0; i < entry.Image.Layers.Count; i++)
            {
                if (entry.Image.Layers[i].DiffId == diffId)
                {
                    return (entry.Image.Layers[i], entry.Blobs[i]);
                }
            }
        }

        return null;
    }

    /// <summary>Reads what the database has; images that <paramref name="previous"/> knows are not parsed again.</summary>
    public static ImageCatalog Read(DatabaseConnection connection, ImageCatalog previous)
    {
        var names = connection.Query(
            "SELECT name, image_id, target FROM image_names",
            reader => new NameEntry(reader.GetString(0), Digest.Parse(reader.GetString(1)), reader.GetString(2) is { Length: > 0 } target ? Digest.Parse(target) : default));
        var layers = connection.Query(
            "SELECT image_id, chain_id, diff_id, size, blob FROM image_layers JOIN layers USING (chain_id) ORDER BY image_id, position",
            reader => (ImageId: Digest.Parse(reader.GetString(0)),
                Layer: new Layer(Digest.Parse(reader.GetString(1)), Digest.Parse(reader.GetString(2)), reader.GetInt64(3)),
                Blob: Digest.Parse(reader.GetString(4))));
        var images = connection.Query(
            "SELECT id, manifest, last_tag_time FROM images",
            reader => (Id: Digest.Parse(reader.GetString(0)),
                Manifest: reader.GetString(1) is { Length: > 0 } manifest ? Digest.Parse(manifest) : default,
                LastTagTime: reader.IsDBNull(2) ? (DateTimeOffset?)null : reader.GetTime(2)));
        var layersOf = layers.ToLookup(row => row.ImageId);
        var namesOf = names.ToLookup(row => row.ImageId, row => Reference.Parse(row.Name));
        return new ImageCatalog(images.Select(row => EntryOf(row.Id, row.Manifest, row.LastTagTime)), names);

        Entry EntryOf(Digest id, Digest manifest, DateTimeOffset? lastTagTime)
        {
            var known = previous._byId.GetValueOrDefault(id);
            var rawConfig = known?.RawConfig ?? connection.Query("SELECT config FROM images WHERE id = $1", reader => reader.GetBlob(0), id.ToString())[0];
            var config = known?.Image.Config ?? ImageConfig.Parse(rawConfig);
            var references = namesOf[id].ToList();
            return new Entry(
                new Image
                {
                    Id = id,
                    Config = config,
                    Layers = [.. layersOf[id].Select(row => row.Layer)],
                    RepoTags = [.. references.Where(reference => reference.Tag is not null).Select(reference => reference.Familiar).Order(StringComparer.Ordinal)],
                    RepoDigests = [.. references.Where(reference => !reference.Digest.IsNone).Select(reference => reference.Familiar).Order(StringComparer.Ordinal)],
                    ManifestDigest = manifest,
                    Created = CreatedTime(config),
                    LastTagTime = lastTagTime,
                    Size = layersOf[id].Sum(row => row.Layer.Size),
                },
                rawConfig,
                [.. layersOf[id].Select(row => row.Blob)],
                references);
        }
    }

    public Entry? ById(Digest id) => _byId.GetValueOrDefault(id);

    /// <param name="reference">Tag or digest set.</param>
    /// <returns>Of several platforms the host's, or the one that was named last.</returns>
    public Entry? ByName(Reference reference)
    {
        var entries = AllByName(reference);
        return entries.FirstOrDefault(entry => entry.Image.Config.Platform.RunsOn(Platform.Host)) ?? entries.MaxBy(entry => entry.Image.LastTagTime);
    }

    /// <summary>The images of a name: one, or one for each platform that is here.</summary>
    public IReadOnlyList<Entry> AllByName(Reference reference) =>
        _byName.TryGetValue(reference.ToString(), out var names) ? [.. names.Select(name => _byId[name.ImageId])] : [];

    /// <summary>The manifest or index that a name denotes; none where that is not known.</summary>
    public Digest TargetOf(Reference reference) => _byName.TryGetValue(reference.ToString(), out var names) ? names[0].Target : default;

    /// <summary>The image whose id starts with <paramref name="hex"/>; null where there is none or more than one.</summary>
    public Entry? ByPrefix(string hex)
    {
        Entry? found = null;
        foreach (var (id, entry) in _byId)
        {
            if (id.Hex.StartsWith(hex, StringComparison.Ordinal))
            {
                if (found is not null)
                {
                    return null;
                }

                found = entry;
            }
        }

        return found;
    }

    private static DateTimeOffset CreatedTime(ImageConfig config) =>
        DateTimeOffset.TryParse(config.Created, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var time)
            ? time
            : DateTimeOffset.UnixEpoch;

    private sealed record NameEntry(string Name, Digest ImageId, Digest Target);

    /// <param name="Blobs">The layers as received, lowest first.</param>
    /// <param name="Names">Normalised.</param>
    internal sealed record Entry(Image Image, byte[] RawConfig, IReadOnlyList<Digest> Blobs, IReadOnlyList<Reference> Names);
}
