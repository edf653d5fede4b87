using System.Globalization;
using System.Text.Json;
using Slipway.Kernel;
using Slipway.Kernel.Compression;
using Slipway.Oci;
using Slipway.Storage.Content;
using Slipway.Storage.Layers;

namespace Slipway.Storage.Images;

/// <summary>
/// Makes an image of one layer from a root file system's tar. The archive is read once: stored, hashed, decompressed, hashed and
/// unpacked at the same time.
/// </summary>
internal sealed class ImageImporter(ContentStore content, LayerStore layers, UnpackLimits limits, TimeProvider clock)
{
    /// <summary>For archives whose compression OCI has no media type for.</summary>
    private const int RecompressionLevel = 3;

    /// <summary>Blocks; for a thread of its own.</summary>
    public ImportedImage Import(Stream source, ImportOptions options, IProgress<ImageProgress>? progress, CancellationToken cancellationToken)
    {
        var run = ChangeInstructions.Apply(new ImageRunConfig(), options.Changes);
        var imported = new ImportedImage(content.Create(), content.Create());
        try
        {
            using var staging = layers.Stage();
            var (diffId, size) = Unpack(source, staging, imported.LayerBlob, progress, cancellationToken);
            imported.Pin = layers.Pin(diffId);
            staging.Publish(diffId, parent: default);
            imported.Config = Config(diffId, run, options);
            imported.ConfigBlob.Write(JsonSerializer.SerializeToUtf8Bytes(imported.Config, OciJson.Default.ImageConfig));
            imported.Layer = new StagedLayer(new Layer(diffId, diffId, size), imported.LayerBlob.Digest);
            layers.Flush();
            return imported;
        }
        catch (InvalidDataException error)
        {
            imported.Dispose();
            throw new StorageException(StorageErrorKind.InvalidParameter, $"invalid archive: {error.Message}", error);
        }
        catch (KernelException error)
        {
            imported.Dispose();
            throw HostErrors.Map(error, "invalid archive");
        }
        catch
        {
            imported.Dispose();
            throw;
        }
    }

    private (Digest DiffId, long Size) Unpack(Stream source, LayerStore.Staging staging, BlobWriter blob, IProgress<ImageProgress>? progress, CancellationToken cancellationToken)
    {
        using var input = new TeeStream(progress is null ? source : new ProgressStream(source, progress, null, "Importing", 0), blob);
        using var plain = Decompression.Open(input, limits.Expansion, out var format);
        Stream? recompressed = null;
        if (format == CompressionFormat.Xz)
        {
            // Nothing has been stored yet but what detection read ahead, which the tee gives up again.
            input.Detach();
            blob.Reset();
            recompressed = new ZstdCompressionStream(blob, RecompressionLevel);
        }

        using (recompressed)
        {
            using var tar = new DigestStream(plain, recompressed);
            var size = staging.Unpack(tar, LowerLayers.None, cancellationToken);
            var diffId = tar.Finish(cancellationToken);

            // A decompressor may stop before the last bytes of its input.
            input.Drain(cancellationToken);
            return (diffId, size);
        }
    }

    private ImageConfig Config(Digest diffId, ImageRunConfig run, ImportOptions options)
    {
        var created = clock.GetUtcNow().ToString("yyyy-MM-dd'T'HH:mm:ss.fffffff'Z'", CultureInfo.InvariantCulture);
        var platform = (options.Platform ?? Platform.Host).Normalize();
        return new ImageConfig
        {
            Architecture = platform.Architecture,
            Variant = platform.Variant,
            Os = platform.Os,
            Comment = options.Message,
            Config = run,
            Created = created,
            DockerVersion = "",
            History = [new ImageHistory { Created = created, Comment = options.Message }],
            RootFs = new RootFilesystem { DiffIds = [diffId] },
        };
    }
}

/// <summary>An imported image that waits to be committed.</summary>
internal sealed class ImportedImage(BlobWriter configBlob, BlobWriter layerBlob) : IDisposable
{
    public BlobWriter ConfigBlob { get; } = configBlob;

    public BlobWriter LayerBlob { get; } = layerBlob;

    public IDisposable? Pin { get; set; }

    public ImageConfig? Config { get; set; }

    public StagedLayer? Layer { get; set; }

    public void Dispose()
    {
        Pin?.Dispose();
        ConfigBlob.Dispose();
        LayerBlob.Dispose();
    }
}
