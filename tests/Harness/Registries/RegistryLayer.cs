using System.IO.Compression;

namespace Slipway.Tests.Harness.Registries;

/// <summary>A layer as its tar and as the blob that a registry has of it.</summary>
public sealed record RegistryLayer(byte[] Tar, byte[] Blob, string MediaType)
{
    private const string Type = "application/vnd.oci.image.layer.v1.tar";

    /// <summary>The digest that the image's configuration gives for the tar.</summary>
    public string DiffId { get; init; } = RegistryHttp.DigestOf(Tar);

    public string BlobDigest => RegistryHttp.DigestOf(Blob);

    /// <summary>The id that progress shows.</summary>
    public string ShortId => BlobDigest["sha256:".Length..][..12];

    public static RegistryLayer Plain(byte[] tar) => new(tar, tar, Type);

    public static RegistryLayer Gzip(byte[] tar)
    {
        var memory = new MemoryStream();
        using (var gzip = new GZipStream(memory, CompressionLevel.Fastest, leaveOpen: true))
        {
            gzip.Write(tar);
        }
        return new RegistryLayer(tar, memory.ToArray(), Type + "+gzip");
    }

    public static async Task<RegistryLayer> Zstd(byte[] tar)
    {
        Requirement.Program("zstd", "zstd");
        var path = Path.GetTempFileName();
        try
        {
            await File.WriteAllBytesAsync(path, tar);
            (await Programs.Run("zstd", ["-q", "-f", path, "-o", path + ".zst"])).Ok();
            return new RegistryLayer(tar, await File.ReadAllBytesAsync(path + ".zst"), Type + "+zstd");
        }
        finally
        {
            File.Delete(path);
            File.Delete(path + ".zst");
        }
    }

    /// <summary>A layer of one file with bytes that do not compress; the same seed gives the same layer.</summary>
    public static RegistryLayer Random(int seed, int size)
    {
        var content = new byte[size];
        new Random(seed).NextBytes(content);
        return Gzip(Archive.Of(Archive.Bytes($"file{seed}", content)));
    }
}
