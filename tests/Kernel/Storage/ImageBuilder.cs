using System.Text;
using System.Text.Json;
using Slipway.Oci;

namespace Slipway.Tests.Kernel.Storage;

/// <summary>Writes archives as <c>docker save</c> does, from layers given as tars.</summary>
internal static class ImageBuilder
{
    public static byte[] Archive(string? tag, params byte[][] layers) => Archive(tag, layers, layers);

    /// <param name="stored">The layers as they lie in the archive, perhaps compressed.</param>
    public static byte[] Archive(string? tag, byte[][] layers, byte[][] stored)
    {
        var config = Config(layers);
        var archive = new TarBuilder();
        for (var i = 0; i < stored.Length; i++)
        {
            Add(archive, $"layer{i}.tar", stored[i]);
        }

        Add(archive, "config.json", config);
        var names = stored.Select((_, i) => $"\"layer{i}.tar\"");
        var tags = tag is null ? "null" : $"[\"{tag}\"]";
        Add(archive, "manifest.json", TarBuilder.Bytes($$"""[{"Config":"config.json","RepoTags":{{tags}},"Layers":[{{string.Join(',', names)}}]}]"""));
        return archive.ToArray();
    }

    public static byte[] Config(params byte[][] layers) => JsonSerializer.SerializeToUtf8Bytes(
        new ImageConfig
        {
            Architecture = "amd64",
            Os = "linux",
            Created = "2024-05-06T07:08:09Z",
            Config = new ImageRunConfig { Cmd = ["/bin/sh"] },
            RootFs = new RootFilesystem { DiffIds = [.. layers.Select(layer => Digest.Of(layer))] },
        },
        OciJson.Default.ImageConfig);

    public static void Add(TarBuilder archive, string name, byte[] content)
    {
        var entry = new Slipway.Oci.Tar.TarEntry { Name = Encoding.UTF8.GetBytes(name), Mode = 0x1a4, Size = content.Length };
        archive.Add(entry, content);
    }
}
