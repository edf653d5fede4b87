using Slipway.Engine.Images.Progress;
using Slipway.Oci;
using Slipway.Registry.Distribution;
using Slipway.Storage.Images;

namespace Slipway.Engine.Images.Pull;

/// <summary>One pull of one name: resolve, choose, fetch what is missing, make it visible at once.</summary>
/// <param name="slots">Downloads that may run at the same time, of all pulls together.</param>
internal sealed class ImagePull(IImageStore store, IRemoteRepository repository, PlatformPreference platform, SemaphoreSlim slots, TransferProgress progress)
{
    /// <param name="name">With a tag or a digest.</param>
    /// <returns>The image, and whether the name did not stand for it before.</returns>
    public async Task<(Image Image, bool IsNewer)> RunAsync(Reference name, CancellationToken cancellationToken)
    {
        string wanted = name.Digest.IsNone ? name.Tag! : name.Digest.ToString();
        Descriptor remote = await repository.ResolveAsync(wanted, cancellationToken);
        progress.Say($"Pulling from {name.Path}", wanted);
        Image? before = store.Find(name.Familiar);
        Image image = IsUpToDate(before, name, remote.Digest) ? before! : await FetchAsync(name, remote.Digest, cancellationToken);
        progress.Say($"Digest: {remote.Digest}");
        return (image, image.Id != before?.Id);
    }

    private bool IsUpToDate(Image? image, Reference name, Digest digest) =>
        image is not null && image.RepoDigests.Contains(name.WithDigest(digest).Familiar) && platform.Accepts(image.Config.Platform);

    private async Task<Image> FetchAsync(Reference name, Digest digest, CancellationToken cancellationToken)
    {
        PulledDocuments documents = await new ManifestReader(repository, platform).ReadAsync(digest, cancellationToken);
        await using IImageIngest ingest = store.BeginIngest();
        await FetchLayersAsync(ingest, documents, cancellationToken);
        Reference byDigest = name.WithDigest(digest);
        return await ingest.CommitAsync(
            new IngestedImage
            {
                Config = documents.RawConfig,
                Manifest = documents.Manifest,
                Index = documents.Index,
                Names = name.Tag is not null && name.Digest.IsNone ? [name, byDigest] : [byDigest],
                Source = repository.Name,
            },
            cancellationToken);
    }

    private async Task FetchLayersAsync(IImageIngest ingest, PulledDocuments documents, CancellationToken cancellationToken)
    {
        List<(ProgressLine Line, int Index, Digest Parent)> missing = [];
        Digest parent = default;
        foreach ((int i, Digest chainId) in documents.Config.ChainIds.Index())
        {
            ProgressLine line = progress.Line(documents.Layers[i].Digest.Short);
            bool here = ingest.TryHold(chainId);
            line.State(here ? LayerDownload.AlreadyExists : LayerDownload.Listed);
            if (!here)
            {
                missing.Add((line, i, parent));
            }

            parent = chainId;
        }

        using CancellationTokenSource failed = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await Task.WhenAll(missing.Select(layer => FetchLayerAsync(layer.Line, layer.Index, layer.Parent)));

        async Task FetchLayerAsync(ProgressLine line, int index, Digest below)
        {
            try
            {
                LayerDownload download = new(repository, slots, documents.Layers[index], line);
                await download.RunAsync(ingest, below, documents.Config.DiffIds[index], failed.Token);
            }
            catch
            {
                // The others are of no use any more.
                await failed.CancelAsync();
                throw;
            }
        }
    }
}
