using Slipway.Engine.Images.Progress;
using Slipway.Oci;
using Slipway.Registry.Distribution;
using Slipway.Storage.Images;

namespace Slipway.Engine.Images.Pull;

/// <summary>Brings one layer into an ingest and tells its progress in Docker's words.</summary>
/// <param name="slots">Downloads that may run at the same time, of all pulls together.</param>
internal sealed class LayerDownload(IRemoteRepository repository, SemaphoreSlim slots, Descriptor blob, ProgressLine line) : IProgress<LayerProgress>
{
    /// <summary>For a layer that is here already.</summary>
    public const string AlreadyExists = "Already exists";

    public const string Listed = "Pulling fs layer";

    public const string Done = "Pull complete";

    public async Task<Layer> RunAsync(IImageIngest ingest, Digest parent, Digest diffId, CancellationToken cancellationToken)
    {
        Layer layer = await ingest.AddLayerAsync(parent, diffId, blob, OpenAsync, this, cancellationToken);
        line.State(Done);
        return layer;
    }

    public void Report(LayerProgress value)
    {
        switch (value.Phase)
        {
            case LayerPhase.Waiting:
                line.State("Waiting");
                break;
            case LayerPhase.Downloading:
                line.Amount("Downloading", value.Current, value.Total);
                break;
            case LayerPhase.Verifying:
                line.State("Verifying Checksum");
                break;
            case LayerPhase.Downloaded:
                line.State("Download complete");
                break;
            case LayerPhase.Extracting:
                line.Amount("Extracting", value.Current, value.Total);
                break;
            case LayerPhase.Complete:
                line.State(Done);
                break;
        }
    }

    /// <summary>Opens the blob once there is a free slot, which is held until the stream is disposed.</summary>
    private async ValueTask<Stream> OpenAsync(CancellationToken cancellationToken)
    {
        if (!slots.Wait(0, cancellationToken))
        {
            line.State("Waiting");
            await slots.WaitAsync(cancellationToken);
        }

        try
        {
            return new SlotStream(await repository.OpenBlobAsync(blob, offset: 0, cancellationToken), slots);
        }
        catch
        {
            slots.Release();
            throw;
        }
    }
}
