using System.Globalization;
using System.Text.Json;
using Slipway.Kernel;
using Slipway.Kernel.Compression;
using Slipway.Oci;
using Slipway.Storage.Content;
using Slipway.Storage.Layers;

namespace Slipway.Storage.Images;

/// <summary>
/// Makes an image of one layer from a root file system's tar. The archive is read once: decompressed, hashed and unpacked at the same
/// time, and kept in no other form.
/// </summary>
internal sealed class ImageImporter(ContentStore content, LayerStore layers, UnpackLimits limits, TimeProvider clock)
{
    /// <summary>Blocks; for a thread of its own.</summary>
    public ImportedImage Import(Stream source, ImportOptions options, IProgress<ImageProgress>? progress, CancellationToken cancellationToken)
    {
        var imported = new ImportedImage(content.Create());
        try
        {
            using var staging = layers.Stage();
            var diffId = Unpack(source, staging, progress, cancellationToken);
            imported.Pin = layers.Pin(diffId);
            staging.Publish(diffId, parent: default);
            imported.Config = JsonSerializer.SerializeToUtf8Bytes(Config(diffId, options), OciJson.Default.ImageConfig);
            imported.ConfigBlob.Write(imported.Config);
            imported.Layer = new StoredLayer(new Layer(diffId, diffId, staging.Size), diffId);
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

    private Digest Unpack(Stream source, StagedLayer staging, IProgress<ImageProgress>? progress, CancellationToken cancellationToken)
    {
        var input = progress is null ? source : new ProgressStream(source, progress, null, "Importing", 0);
        using var tar = new DigestStream(Decompression.Open(input, limits.Expansion));
        staging.Unpack(tar, LowerLayers.None, cancellationToken);
        return tar.Finish(cancellationToken);
    }

    private ImageConfig Config(Digest diffId, ImportOptions options)
    {
        var created = clock.GetUtcNow().ToString("yyyy-MM-dd'T'HH:mm:ss.fffffff'Z'", CultureInfo.InvariantCulture);
        var platform = (options.Platform ?? Platform.Host).Normalize();
        return new ImageConfig
        {
            Architecture = platform.Architecture,
            Variant = platform.Variant,
            Os = platform.Os,
            Comment = options.Message,
            Config = options.Config,
            Created = created,
            DockerVersion = "",
            History = [new ImageHistory { Created = created, Comment = options.Message }],
            RootFs = new RootFilesystem { DiffIds = [diffId] },
        };
    }
}

/// <summary>An imported image that waits to be committed.</summary>
internal sealed class ImportedImage(BlobWriter configBlob) : IDisposable
{
    public BlobWriter ConfigBlob { get; } = configBlob;

    public byte[]? Config { get; set; }

    public IDisposable? Pin { get; set; }

    public StoredLayer? Layer { get; set; }

    public void Dispose()
    {
        Pin?.Dispose();
        ConfigBlob.Dispose();
    }
}
