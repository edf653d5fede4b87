using System.Runtime.ExceptionServices;
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
                using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
                using var layer = await AsyncToBlockingStream.RunAsync(
                    "layer-read", blob, stream => Unpack(request, stream, progress, stop), stop.Token).ConfigureAwait(false);
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
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            using var layer = await AsyncToBlockingStream.RunAsync(
                "layer-read", source, stream => Unpack(parent, stream, diffId => diffId, stop), stop.Token).ConfigureAwait(false);
            pin(layer.Layer.ChainId);
            await PublishAsync(layer, parent, cancellationToken).ConfigureAwait(false);
            return layer.Layer;
        });

    private UnpackedLayer Unpack(LayerRequest request, Stream stream, IProgress<LayerProgress> progress, CancellationTokenSource stop)
    {
        long reported = 0;
        var blob = new VerifiedStream(stream, request.Blob, count =>
        {
            if (count - reported >= ProgressStep || count == request.Blob.Size)
            {
                reported = count;
                progress.Report(new LayerProgress(LayerPhase.Downloading, count, request.Blob.Size));
            }
        });
        try
        {
            return Unpack(
                request.Parent,
                blob,
                diffId =>
                {
                    // First the blob: where it is damaged that is the cause of whatever else is wrong.
                    blob.Finish(stop.Token);
                    progress.Report(new LayerProgress(LayerPhase.Downloaded, request.Blob.Size, request.Blob.Size));
                    progress.Report(new LayerProgress(LayerPhase.Extracting, request.Blob.Size, request.Blob.Size));
                    return diffId == request.DiffId ? diffId : throw WrongDiffId(request.DiffId, diffId);
                },
                stop);
        }
        finally
        {
            blob.Release();
        }
    }

    /// <summary>One thread decompresses, this one unpacks.</summary>
    private UnpackedLayer Unpack(Digest parent, Stream blob, Func<Digest, Digest> verify, CancellationTokenSource stop)
    {
        var staging = layers.Stage();
        var tar = new DigestStream(Conveyor.ReadAhead("layer-decompress", () => Decompression.Open(blob, options.Limits.Expansion)));
        try
        {
            using var lower = new LowerLayers(() =>
            {
                layers.WaitFor(parent, stop.Token);
                return layers.OpenDiffs(layers.Lineage(parent));
            });
            staging.Unpack(tar, lower, stop.Token);
            var diffId = verify(tar.Finish(stop.Token));
            layers.WaitFor(parent, stop.Token);
            return new UnpackedLayer(staging, new Layer(LayerStore.ChainId(parent, diffId), diffId, staging.Size));
        }
        catch
        {
            // The decompressing thread may wait for data that nobody wants any more.
            stop.Cancel();
            staging.Dispose();
            throw;
        }
        finally
        {
            tar.Dispose();
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
        catch (SourceException error)
        {
            // The source's own failure, as it was before it went through a thread.
            ExceptionDispatchInfo.Throw(error.InnerException!);
            throw;
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

    private sealed record UnpackedLayer(StagedLayer Staging, Layer Layer) : IDisposable
    {
        public void Dispose() => Staging.Dispose();
    }
}
