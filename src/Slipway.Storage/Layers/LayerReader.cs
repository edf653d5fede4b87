using Slipway.Kernel;
using Slipway.Kernel.Compression;
using Slipway.Oci;
using Slipway.Storage.Content;
using Slipway.Storage.Images;
using Slipway.Storage.State;
using Slipway.Storage.Threading;

namespace Slipway.Storage.Layers;

/// <summary>
/// Reads a layer once: digest and size of the blob, decompression, digest of the tar and unpacking happen on the way, and no copy is
/// made. The layer gets its name only after all of them were right, and then stays for a while, whatever becomes of the ingest.
/// </summary>
internal sealed class LayerReader(LayerStore layers, StateDatabase database, DataRootOptions options)
{
    private const long ProgressStep = 512 << 10;

    /// <exception cref="StorageException">InvalidParameter: the blob is not what its descriptor or diff id says; System: the host failed.</exception>
    public Task<Layer> ReadAsync(LayerRequest request, IProgress<LayerProgress> progress, CancellationToken cancellationToken) =>
        MappingErrorsAsync(async () =>
        {
            progress.Report(new LayerProgress(LayerPhase.Downloading, 0, request.Blob.Size));
            var blob = await request.Open(cancellationToken).ConfigureAwait(false);
            await using (blob.ConfigureAwait(false))
            {
                using var layer = await AsyncToBlockingStream.RunAsync(
                    "layer-read", blob, stream => Unpack(request, stream, progress, cancellationToken), cancellationToken).ConfigureAwait(false);
                await PublishAsync(layer, request.Parent, cancellationToken).ConfigureAwait(false);
                progress.Report(new LayerProgress(LayerPhase.Complete, request.Blob.Size, request.Blob.Size));
                return layer.Layer;
            }
        });

    /// <summary>Unpacks a tar, plain or compressed, whose digest nobody knows yet.</summary>
    /// <param name="pin">Called with the layer's chain id before the layer gets its name.</param>
    public Task<Layer> ReadTarAsync(Digest parent, Stream source, Action<Digest> pin, CancellationToken cancellationToken) =>
        MappingErrorsAsync(async () =>
        {
            using var layer = await AsyncToBlockingStream.RunAsync(
                "layer-read",
                source,
                stream => Unpack(parent, Decompression.Open(stream, options.Limits.Expansion), diffId => diffId, cancellationToken),
                cancellationToken).ConfigureAwait(false);
            pin(layer.Layer.ChainId);
            await PublishAsync(layer, parent, cancellationToken).ConfigureAwait(false);
            return layer.Layer;
        });

    private UnpackedLayer Unpack(LayerRequest request, Stream stream, IProgress<LayerProgress> progress, CancellationToken cancellationToken)
    {
        long reported = 0;
        using var blob = new VerifiedStream(stream, request.Blob, count =>
        {
            if (count - reported >= ProgressStep || count == request.Blob.Size)
            {
                reported = count;
                progress.Report(new LayerProgress(LayerPhase.Downloading, count, request.Blob.Size));
            }
        });
        return Unpack(
            request.Parent,
            Decompression.Open(blob, options.Limits.Expansion),
            diffId =>
            {
                // First the blob: where it is damaged that is the cause of whatever else is wrong.
                blob.Finish(cancellationToken);
                progress.Report(new LayerProgress(LayerPhase.Downloaded, request.Blob.Size, request.Blob.Size));
                progress.Report(new LayerProgress(LayerPhase.Extracting, request.Blob.Size, request.Blob.Size));
                return diffId == request.DiffId ? diffId : throw WrongDiffId(request.DiffId, diffId);
            },
            cancellationToken);
    }

    private UnpackedLayer Unpack(Digest parent, Stream plain, Func<Digest, Digest> verify, CancellationToken cancellationToken)
    {
        var staging = layers.Stage();
        try
        {
            using var lowerLayers = new LowerLayers(() =>
            {
                layers.WaitFor(parent, cancellationToken);
                return layers.OpenDiffs(layers.Lineage(parent));
            });
            using var tar = new DigestStream(plain);
            var size = staging.Unpack(tar, lowerLayers, cancellationToken);
            var diffId = verify(tar.Finish(cancellationToken));
            layers.WaitFor(parent, cancellationToken);
            return new UnpackedLayer(staging, new Layer(LayerStore.ChainId(parent, diffId), diffId, size));
        }
        catch
        {
            staging.Dispose();
            throw;
        }
    }

    /// <summary>
    /// The row comes first: a layer without one would be swept away by the next start, one that is named but not there is forgotten by it.
    /// </summary>
    private async Task PublishAsync(UnpackedLayer unpacked, Digest parent, CancellationToken cancellationToken)
    {
        var expires = options.TimeProvider.GetUtcNow() + options.HoldInterruptedFor;
        await database.WriteAsync(
            connection =>
            {
                LayerRows.Hold(connection, unpacked.Layer, parent, expires, BootId.Current);
                return true;
            },
            cancellationToken).ConfigureAwait(false);
        await WorkerThread.RunAsync("layer-publish", () =>
        {
            unpacked.Staging.Publish(unpacked.Layer.ChainId, parent);
            return true;
        }).ConfigureAwait(false);
    }

    private static async Task<T> MappingErrorsAsync<T>(Func<Task<T>> work)
    {
        try
        {
            return await work().ConfigureAwait(false);
        }
        catch (InvalidDataException error)
        {
            throw new StorageException(StorageErrorKind.InvalidParameter, $"invalid layer: {error.Message}", error);
        }
        catch (KernelException error)
        {
            throw HostErrors.Map(error, "invalid layer");
        }
    }

    internal static StorageException WrongDiffId(Digest expected, Digest actual) =>
        new(StorageErrorKind.InvalidParameter, $"invalid diffID for layer: expected \"{expected}\", got \"{actual}\"");

    private sealed record UnpackedLayer(LayerStore.Staging Staging, Layer Layer) : IDisposable
    {
        public void Dispose() => Staging.Dispose();
    }
}
