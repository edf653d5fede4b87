using Slipway.Engine.Images.Progress;
using Slipway.Oci;
using Slipway.Registry.Distribution;
using Slipway.Registry.Peers;
using Slipway.Storage;
using Slipway.Storage.Images;

namespace Slipway.Engine.Images.Pull;

/// <summary>Brings one layer into an ingest and tells its progress in Docker's words.</summary>
internal sealed class LayerDownload(IRemoteRepository repository, LayerPeers? peers, Descriptor blob, ProgressLine line) : IProgress<LayerProgress>
{
    private readonly TaskCompletionSource _downloaded = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Descriptor Blob => blob;

    /// <summary>Ends as soon as nothing is fetched any more: the layer may still be unpacked, or wait for the one below.</summary>
    public Task Downloaded => _downloaded.Task;

    /// <summary>Whether a peer was to send the layer, and what came was not the layer.</summary>
    public bool HasPeerFailed { get; private set; }

    public void Exists() => line.State("Already exists");

    public void Listed() => line.State("Pulling fs layer");

    public void Waits() => line.State("Waiting");

    public async Task RunAsync(IImageIngest ingest, Digest parent, Digest diffId, CancellationToken cancellationToken)
    {
        try
        {
            if (await FindAtPeerAsync(diffId, cancellationToken) is { } shared)
            {
                await AddFromPeerAsync(ingest, parent, diffId, shared, cancellationToken);
            }
            else
            {
                await ingest.AddLayerAsync(parent, diffId, blob, OpenAsync, this, cancellationToken);
            }

            line.State("Pull complete");
        }
        finally
        {
            _downloaded.TrySetResult();
        }
    }

    public void Report(LayerProgress value)
    {
        switch (value.Phase)
        {
            case LayerPhase.Waiting:
                Waits();
                break;
            case LayerPhase.Downloading:
                line.Amount("Downloading", value.Current, value.Total);
                if (value.Current == value.Total)
                {
                    line.State("Verifying Checksum");
                }

                break;
            case LayerPhase.Verifying:
                line.State("Verifying Checksum");
                break;
            case LayerPhase.Downloaded:
                line.State("Download complete");
                _downloaded.TrySetResult();
                break;
            case LayerPhase.Extracting:
                line.Amount("Extracting", value.Current, value.Total);
                break;
        }
    }

    private async Task<PeerLayer?> FindAtPeerAsync(Digest diffId, CancellationToken cancellationToken) =>
        peers is null || blob.Size < LayerPeers.SmallestLayer ? null : await peers.FindAsync(diffId, cancellationToken);

    /// <summary>The layer as its tar, whose digest the image's configuration names: the ingest verifies it as it verifies a registry's blob.</summary>
    private async Task AddFromPeerAsync(IImageIngest ingest, Digest parent, Digest diffId, PeerLayer shared, CancellationToken cancellationToken)
    {
        try
        {
            await ingest.AddLayerAsync(parent, diffId, shared.Descriptor, async cancellation => await shared.OpenAsync(cancellation), this, cancellationToken);
        }
        catch (Exception error) when (error is not (OperationCanceledException or StorageException { Kind: StorageErrorKind.System }))
        {
            HasPeerFailed = true;
            if (error is StorageException)
            {
                shared.Distrust();
            }

            throw;
        }
    }

    private async ValueTask<Stream> OpenAsync(CancellationToken cancellationToken) => await repository.OpenBlobAsync(blob, offset: 0, cancellationToken);
}
