using Slipway.Oci;
using Slipway.Storage.Layers;
using Slipway.Storage.Threading;

namespace Slipway.Storage.Images;

/// <inheritdoc cref="IImageIngest"/>
/// <param name="commit">Verifies an image whose layers this ingest holds, and makes it visible.</param>
/// <param name="abandon">Deletes what belongs to nobody after an ingest without a commit; told whether the disk was full.</param>
internal sealed class ImageIngest(
    LayerStore layers, LayerIntake intake, LayerReader reader, UnpackLimits limits, Func<bool, Task> abandon, Func<ImageIngest, IngestedImage, CancellationToken, Task<Image>> commit) : IImageIngest
{
    private readonly Dictionary<Digest, IDisposable> _pins = [];
    private CancellationTokenSource _failed = new();
    private int _adding;
    private bool _isUnfinished;
    private bool _diskFull;
    private bool _disposed;

    public ImageConfig Check(IngestedImage image) => IngestedDocuments.Check(image, limits).Config;

    /// <summary>Whether this ingest keeps a layer that is whole.</summary>
    public bool Holds(Digest chainId)
    {
        lock (_pins)
        {
            return _pins.ContainsKey(chainId) && layers.Contains(chainId);
        }
    }

    public bool TryHold(Digest chainId)
    {
        if (layers.TryPin(chainId) is not { } pin)
        {
            return false;
        }

        Keep(chainId, pin);
        return true;
    }

    public async Task<Layer> AddLayerAsync(
        Digest parent, Digest diffId, Descriptor blob, Func<CancellationToken, ValueTask<Stream>> open, IProgress<LayerProgress>? progress, CancellationToken cancellationToken)
    {
        var chainId = LayerStore.ChainId(parent, diffId);
        if (TryHold(chainId))
        {
            progress?.Report(new LayerProgress(LayerPhase.Complete, blob.Size, blob.Size));
            return new Layer(chainId, diffId, layers.SizeOf(chainId));
        }

        Keep(chainId, layers.Pin(chainId));
        _isUnfinished = true;
        var failed = Begin();
        try
        {
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, failed.Token);
            return await intake.AddAsync(new LayerRequest(chainId, parent, diffId, blob, open), progress, stop.Token).ConfigureAwait(false);
        }
        catch (Exception error)
        {
            _diskFull |= HostErrors.IsDiskFull(error);

            // Layers above this one would wait for it in vain.
            await failed.CancelAsync().ConfigureAwait(false);
            throw;
        }
        finally
        {
            Interlocked.Decrement(ref _adding);
        }
    }

    public async Task<Layer> AddTarAsync(Digest parent, Stream tar, CancellationToken cancellationToken)
    {
        _isUnfinished = true;
        try
        {
            return await reader.ReadTarAsync(parent, tar, chainId => Keep(chainId, layers.Pin(chainId)), cancellationToken).ConfigureAwait(false);
        }
        catch (StorageException error) when (HostErrors.IsDiskFull(error))
        {
            _diskFull = true;
            throw;
        }
    }

    public async Task<Layer> AddTarAsync(Digest parent, Action<Stream, CancellationToken> write, CancellationToken cancellationToken)
    {
        var tar = new ProducedStream("layer-write", write);
        await using (tar.ConfigureAwait(false))
        {
            return await AddTarAsync(parent, tar, cancellationToken).ConfigureAwait(false);
        }
    }

    public async Task<Image> CommitAsync(IngestedImage image, CancellationToken cancellationToken)
    {
        var committed = await commit(this, image, cancellationToken).ConfigureAwait(false);
        _isUnfinished = false;
        return committed;
    }

    public async ValueTask DisposeAsync()
    {
        lock (_pins)
        {
            if (_disposed)
            {
                return;
            }

            _disposed = true;
            foreach (var pin in _pins.Values)
            {
                pin.Dispose();
            }

            _pins.Clear();
        }

        if (_isUnfinished)
        {
            await abandon(_diskFull).ConfigureAwait(false);
        }
    }

    /// <summary>A failure ends the additions of its time; those begun after all of them ended are a new attempt.</summary>
    private CancellationTokenSource Begin()
    {
        lock (_pins)
        {
            if (Interlocked.Increment(ref _adding) == 1 && _failed.IsCancellationRequested)
            {
                _failed = new CancellationTokenSource();
            }

            return _failed;
        }
    }

    private void Keep(Digest chainId, IDisposable pin)
    {
        lock (_pins)
        {
            if (_disposed || !_pins.TryAdd(chainId, pin))
            {
                pin.Dispose();
            }
        }
    }
}
