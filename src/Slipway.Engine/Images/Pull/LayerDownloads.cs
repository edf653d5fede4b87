using Slipway.Engine.Images.Progress;
using Slipway.Oci;
using Slipway.Registry.Distribution;
using Slipway.Registry.Peers;
using Slipway.Storage.Images;

namespace Slipway.Engine.Images.Pull;

/// <summary>
/// Fetches the layers of an image that are not here, some at a time and the lower ones first: a layer that is unpacked waits for the one
/// below it, so the lowest unfinished layer must never wait for a slot that one above it has.
/// </summary>
/// <param name="peers">Engines that are asked first, or null.</param>
/// <param name="maxDownloads">Layers that are fetched at the same time.</param>
internal sealed class LayerDownloads(IImageIngest ingest, IRemoteRepository repository, LayerPeers? peers, int maxDownloads, TransferProgress progress)
{
    /// <summary>Layers that are fetched, unpacked, or wait for the one below: each has a thread.</summary>
    private const int MaxUnderWay = 16;

    /// <summary>Whether a layer that a peer was to send did not come, or was not what it should be.</summary>
    public bool HasPeerFailed { get; private set; }

    /// <returns>When all are held by the ingest; with the first error, all others cancelled.</returns>
    public async Task RunAsync(ImageConfig config, IReadOnlyList<Descriptor> layers, CancellationToken cancellationToken)
    {
        List<(LayerDownload Download, Digest Parent, Digest DiffId)> missing = Missing(config, layers);
        missing.ForEach(layer => layer.Download.Listed());
        foreach ((LayerDownload download, _, _) in missing.Skip(maxDownloads))
        {
            download.Waits();
        }

        using SemaphoreSlim slots = new(maxDownloads);
        using SemaphoreSlim underWay = new(Math.Max(MaxUnderWay, maxDownloads));
        using CancellationTokenSource failed = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        List<Task> started = [];
        try
        {
            foreach ((LayerDownload download, Digest parent, Digest diffId) in missing)
            {
                await underWay.WaitAsync(failed.Token);
                await slots.WaitAsync(failed.Token);
                started.Add(FetchAsync(download, parent, diffId));
            }
        }
        catch (OperationCanceledException)
        {
            // A layer failed, which those that were started tell, or the pull was cancelled.
        }

        await Task.WhenAll(started);
        cancellationToken.ThrowIfCancellationRequested();

        async Task FetchAsync(LayerDownload download, Digest parent, Digest diffId)
        {
            try
            {
                Task adding = download.RunAsync(ingest, parent, diffId, failed.Token);
                await download.Downloaded;
                slots.Release();
                await adding;
                underWay.Release();
            }
            catch
            {
                HasPeerFailed |= download.HasPeerFailed;

                // The others are of no use any more.
                await failed.CancelAsync();
                throw;
            }
        }
    }

    private List<(LayerDownload, Digest Parent, Digest DiffId)> Missing(ImageConfig config, IReadOnlyList<Descriptor> layers)
    {
        List<(LayerDownload, Digest, Digest)> missing = [];
        Digest parent = default;
        foreach ((int i, Digest chainId) in config.ChainIds.Index())
        {
            LayerDownload download = new(repository, peers, layers[i], progress.Line(layers[i].Digest.Short));
            if (ingest.TryHold(chainId))
            {
                download.Exists();
            }
            else
            {
                missing.Add((download, parent, config.DiffIds[i]));
            }

            parent = chainId;
        }

        return missing;
    }
}
