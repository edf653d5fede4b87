using System.Formats.Tar;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace Slipway.Tests.Harness;

/// <summary>Archives made in memory for tests: single layers and whole images, well-formed or broken on purpose.</summary>
public static class Archive
{
    public static byte[] Of(params TarEntry[] entries)
    {
        var memory = new MemoryStream();
        using (var writer = new TarWriter(memory, TarEntryFormat.Pax, leaveOpen: true))
        {
            foreach (var entry in entries)
            {
                writer.WriteEntry(entry);
            }
        }
        return memory.ToArray();
    }

    public static PaxTarEntry Text(string name, string content) => Bytes(name, Encoding.UTF8.GetBytes(content));

    public static PaxTarEntry Bytes(string name, byte[] content) =>
        new(TarEntryType.RegularFile, name) { DataStream = new MemoryStream(content), Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead };

    public static PaxTarEntry Link(string name, string target) => new(TarEntryType.SymbolicLink, name) { LinkName = target };

    public static PaxTarEntry HardLink(string name, string target) => new(TarEntryType.HardLink, name) { LinkName = target };

    public static PaxTarEntry Folder(string name) => new(TarEntryType.Directory, name) { Mode = (UnixFileMode)0x1ED };

    /// <summary>The layers of the first image of a `docker save` archive as tars that are not compressed, lowest first.</summary>
    public static async Task<List<byte[]>> Layers(string file, CancellationToken cancellationToken)
    {
        Dictionary<string, byte[]> files = new(StringComparer.Ordinal);
        await using (TarReader reader = new(File.OpenRead(file)))
        {
            while (await reader.GetNextEntryAsync(copyData: true, cancellationToken) is { } entry)
            {
                files[entry.Name] = await Whole(entry.DataStream ?? Stream.Null, cancellationToken);
            }
        }

        List<byte[]> layers = [];
        foreach (var layer in JsonNode.Parse(files["manifest.json"])![0]!["Layers"]!.AsArray())
        {
            var bytes = files[(string)layer!];
            layers.Add(bytes is [0x1f, 0x8b, ..] ? await Whole(new GZipStream(new MemoryStream(bytes), CompressionMode.Decompress), cancellationToken) : bytes);
        }

        return layers;
    }

    private static async Task<byte[]> Whole(Stream stream, CancellationToken cancellationToken)
    {
        using MemoryStream content = new();
        await stream.CopyToAsync(content, cancellationToken);
        return content.ToArray();
    }

    /// <summary>A `docker save` archive of one image with the given uncompressed layers.</summary>
    /// <param name="change">Changes the image's configuration before it is written.</param>
    /// <param name="wrongDiffId">Writes the digest of other bytes for the first layer.</param>
    public static byte[] Image(string tag, byte[][] layers, Action<JsonObject>? change = null, bool wrongDiffId = false)
    {
        var digests = layers.Select(layer => "sha256:" + Convert.ToHexStringLower(SHA256.HashData(layer))).ToArray();
        if (wrongDiffId)
        {
            digests[0] = "sha256:" + Convert.ToHexStringLower(SHA256.HashData("other bytes"u8));
        }
        var config = new JsonObject
        {
            ["architecture"] = "amd64",
            ["os"] = "linux",
            ["config"] = new JsonObject { ["Cmd"] = new JsonArray("/bin/true") },
            ["rootfs"] = new JsonObject { ["type"] = "layers", ["diff_ids"] = new JsonArray([.. digests.Select(digest => (JsonNode)digest)]) },
        };
        change?.Invoke(config);
        var manifest = new JsonArray(new JsonObject
        {
            ["Config"] = "config.json",
            ["RepoTags"] = new JsonArray(tag),
            ["Layers"] = new JsonArray([.. layers.Select((_, i) => (JsonNode)$"{i}/layer.tar")]),
        });
        return Of([
            .. layers.Select((layer, i) => Bytes($"{i}/layer.tar", layer)),
            Text("config.json", config.ToJsonString()),
            Text("manifest.json", manifest.ToJsonString()),
        ]);
    }
}
