using System.Text.Json;
using System.Text.Unicode;

namespace Slipway.Oci;

/// <summary>
/// A manifest or an index. What it is follows from the document itself, never from what somebody called it; one that could be read as
/// either is refused (CVE-2021-41190).
/// </summary>
public abstract record ImageDocument
{
    private ImageDocument()
    {
    }

    public sealed record OfManifest(Manifest Value) : ImageDocument;

    public sealed record OfIndex(ImageIndex Value) : ImageDocument;

    /// <exception cref="OciException">Neither a manifest nor an index, or both.</exception>
    public static ImageDocument Parse(ReadOnlySpan<byte> json)
    {
        if (!Utf8.IsValid(json))
        {
            throw new OciException("invalid manifest: it is not UTF-8");
        }

        try
        {
            var (hasManifestShape, hasIndexShape, isSchema1) = Shapes(json);
            if (hasManifestShape && hasIndexShape)
            {
                throw new OciException("invalid manifest: it has the fields of both a manifest and an index");
            }

            if (isSchema1)
            {
                throw new OciException("invalid manifest: Docker Image Format v1 and Docker Image manifest version 2, schema 1 are not supported");
            }

            return hasIndexShape
                ? Check(JsonSerializer.Deserialize(json, OciJson.Default.ImageIndex)!)
                : Check(JsonSerializer.Deserialize(json, OciJson.Default.Manifest) ?? throw new OciException("invalid manifest: null"));
        }
        catch (JsonException error)
        {
            throw new OciException($"invalid manifest: {error.Message}", error);
        }
    }

    /// <summary>The media type of a document: what it says, or OCI's for its shape (image-spec: the field is optional).</summary>
    /// <exception cref="OciException">As <see cref="Parse"/>.</exception>
    public static string MediaTypeOf(ReadOnlySpan<byte> json) => Parse(json) switch
    {
        OfManifest { Value.MediaType: { Length: > 0 } type } => type,
        OfIndex { Value.MediaType: { Length: > 0 } type } => type,
        OfIndex => MediaTypes.OciIndex,
        _ => MediaTypes.OciManifest,
    };

    /// <summary>Looks at the names of the top level alone, in any case: readers in other languages ignore it.</summary>
    private static (bool Manifest, bool Index, bool Schema1) Shapes(ReadOnlySpan<byte> json)
    {
        bool manifest = false, index = false, schema1 = false;
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = 64 });
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            throw new OciException("invalid manifest: not a JSON object");
        }

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.GetString()!;
            manifest |= name.Equals("config", StringComparison.OrdinalIgnoreCase) || name.Equals("layers", StringComparison.OrdinalIgnoreCase);
            index |= name.Equals("manifests", StringComparison.OrdinalIgnoreCase);
            schema1 |= name.Equals("fsLayers", StringComparison.OrdinalIgnoreCase);
            reader.Read();
            reader.Skip();
        }

        return (manifest, index, schema1);
    }

    private static OfManifest Check(Manifest manifest) =>
        manifest.SchemaVersion != 2 ? throw WrongVersion(manifest.SchemaVersion)
        : manifest.MediaType is { Length: > 0 } type && !MediaTypes.IsManifest(type) ? throw new OciException($"invalid manifest: it says to be a \"{type}\"")
        : new OfManifest(manifest);

    private static OfIndex Check(ImageIndex index) =>
        index.SchemaVersion != 2 ? throw WrongVersion(index.SchemaVersion)
        : index.MediaType is { Length: > 0 } type && !MediaTypes.IsIndex(type) ? throw new OciException($"invalid index: it says to be a \"{type}\"")
        : new OfIndex(index);

    private static OciException WrongVersion(int version) => new($"invalid manifest: unsupported schema version {version}");
}
