using System.IO.Compression;
using System.Text.Json;
using Slipway.Oci;
using Slipway.Storage.Images;

namespace Slipway.Tests.Kernel.Storage;

/// <summary>An image as a registry has it: layers compressed by gzip.</summary>
internal sealed record RemoteImage(byte[] Config, byte[] Manifest, IReadOnlyList<Digest> DiffIds, IReadOnlyList<Descriptor> Layers, IReadOnlyList<byte[]> Blobs, string Architecture)
{
    public Digest Id => Digest.Of(Config);

    public Digest ManifestDigest => Digest.Of(Manifest);

    public static RemoteImage Create(params byte[][] tars) => Create("amd64", tars);

    public static RemoteImage Create(string architecture, params byte[][] tars) => Create(architecture, MediaTypes.OciLayerGzip, Gzip, tars);

    public static RemoteImage CreatePlain(string architecture, params byte[][] tars) => Create(architecture, MediaTypes.OciLayer, tar => tar, tars);

    private static RemoteImage Create(string architecture, string mediaType, Func<byte[], byte[]> encode, byte[][] tars)
    {
        var config = JsonSerializer.SerializeToUtf8Bytes(
            new ImageConfig { Architecture = architecture, Os = "linux", RootFs = new RootFilesystem { DiffIds = [.. tars.Select(tar => Digest.Of(tar))] } }, OciJson.Default.ImageConfig);
        var blobs = tars.Select(encode).ToList();
        var layers = blobs.Select(blob => new Descriptor { MediaType = mediaType, Digest = Digest.Of(blob), Size = blob.Length }).ToList();
        var manifest = JsonSerializer.SerializeToUtf8Bytes(
            new Manifest
            {
                MediaType = MediaTypes.OciManifest,
                Config = new Descriptor { MediaType = MediaTypes.OciConfig, Digest = Digest.Of(config), Size = config.Length },
                Layers = layers,
            },
            OciJson.Default.Manifest);
        return new RemoteImage(config, manifest, [.. tars.Select(tar => Digest.Of(tar))], layers, blobs, architecture);
    }

    public static ImageContent Index(params RemoteImage[] images)
    {
        var index = JsonSerializer.SerializeToUtf8Bytes(
            new ImageIndex
            {
                MediaType = MediaTypes.OciIndex,
                Manifests = [.. images.Select(image => new Descriptor
                {
                    MediaType = MediaTypes.OciManifest,
                    Digest = image.ManifestDigest,
                    Size = image.Manifest.Length,
                    Platform = new Platform { Os = "linux", Architecture = image.Architecture },
                })],
            },
            OciJson.Default.ImageIndex);
        return new ImageContent(new Descriptor { MediaType = MediaTypes.OciIndex, Digest = Digest.Of(index), Size = index.Length }, index);
    }

    public IngestedImage Ingested(Reference name) => new()
    {
        Config = Config,
        Manifest = new ImageContent(new Descriptor { MediaType = MediaTypes.OciManifest, Digest = ManifestDigest, Size = Manifest.Length }, Manifest),
        Names = [name],
        Source = name,
    };

    public Task<Layer> AddAsync(IImageIngest ingest, int position, CancellationToken cancellationToken)
    {
        var parent = default(Digest);
        for (var i = 0; i < position; i++)
        {
            parent = ChainId(parent, DiffIds[i]);
        }

        return ingest.AddLayerAsync(
            parent, DiffIds[position], Layers[position], _ => ValueTask.FromResult<Stream>(new MemoryStream(Blobs[position])), null, cancellationToken);
    }

    public Task AddAllAsync(IImageIngest ingest, CancellationToken cancellationToken) =>
        Task.WhenAll(Enumerable.Range(0, Layers.Count).Select(i => AddAsync(ingest, i, cancellationToken)));

    private static Digest ChainId(Digest parent, Digest diffId) => parent.IsNone ? diffId : Digest.Of(System.Text.Encoding.ASCII.GetBytes($"{parent} {diffId}"));

    private static byte[] Gzip(byte[] tar)
    {
        using var output = new MemoryStream();
        using (var gzip = new GZipStream(output, CompressionLevel.Fastest))
        {
            gzip.Write(tar);
        }

        return output.ToArray();
    }
}
