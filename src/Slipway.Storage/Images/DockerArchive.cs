using System.Text.Json;
using System.Text.Json.Serialization;
using Slipway.Oci;

namespace Slipway.Storage.Images;

/// <summary>The form of <c>docker save</c>: <c>manifest.json</c> lists images by the names of their files.</summary>
internal static class DockerArchive
{
    public const string ManifestName = "manifest.json";

    public static IReadOnlyList<ArchivedImage> Images(ImageArchive archive)
    {
        IReadOnlyList<DockerArchiveImage>? listed;
        try
        {
            listed = JsonSerializer.Deserialize(ImageArchive.ReadDocument(archive.Get(ManifestName)), ArchiveJson.Default.IReadOnlyListDockerArchiveImage);
        }
        catch (JsonException error)
        {
            throw new OciException($"invalid manifest.json: {error.Message}", error);
        }

        return listed is null
            ? throw new OciException("invalid manifest, manifest cannot be null (but can be [])")
            : [.. listed.Select(image => Open(image, archive))];
    }

    private static ArchivedImage Open(DockerArchiveImage image, ImageArchive archive)
    {
        var names = new List<Reference>();
        foreach (var text in image.RepoTags ?? [])
        {
            if (!Reference.TryParse(text, out var name) || name!.Tag is null || !name.Digest.IsNone)
            {
                throw new OciException($"invalid tag \"{text}\"");
            }

            names.Add(name);
        }

        return ArchivedImage.Create(archive.Get(image.Config), [.. (image.Layers ?? []).Select(archive.Get)], null, names);
    }
}

/// <summary>An element of <c>manifest.json</c>.</summary>
internal sealed record DockerArchiveImage
{
    public string Config { get; init; } = "";

    public IReadOnlyList<string>? RepoTags { get; init; }

    public IReadOnlyList<string>? Layers { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, Descriptor>? LayerSources { get; init; }
}

/// <summary>The file <c>oci-layout</c> (image-spec, image-layout.md).</summary>
internal sealed record OciLayoutMarker
{
    [JsonPropertyName("imageLayoutVersion")]
    public string ImageLayoutVersion { get; init; } = "1.0.0";
}

[JsonSourceGenerationOptions(AllowDuplicateProperties = false, MaxDepth = 64)]
[JsonSerializable(typeof(IReadOnlyList<DockerArchiveImage>))]
[JsonSerializable(typeof(OciLayoutMarker))]
[JsonSerializable(typeof(IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>>), TypeInfoPropertyName = "Repositories")]
internal sealed partial class ArchiveJson : JsonSerializerContext;
