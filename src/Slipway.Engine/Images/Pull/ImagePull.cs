using Slipway.Engine.Images.Progress;
using Slipway.Oci;
using Slipway.Registry.Distribution;
using Slipway.Registry.Peers;
using Slipway.Storage.Images;

namespace Slipway.Engine.Images.Pull;

/// <summary>One pull of one name: resolve, choose, fetch what is missing, make it visible at once.</summary>
/// <param name="peers">Engines that are asked for a layer before the registry is, or null.</param>
/// <param name="maxDownloads">Layers that are fetched at the same time.</param>
internal sealed class ImagePull(
    IImageStore store, IRemoteRepository repository, LayerPeers? peers, PlatformPreference platform, int maxDownloads, TransferProgress progress)
{
    /// <param name="name">With a tag or a digest.</param>
    /// <returns>The image, and whether the name did not stand for it before.</returns>
    public async Task<(Image Image, bool IsNewer)> RunAsync(Reference name, CancellationToken cancellationToken)
    {
        string wanted = name.Digest.IsNone ? name.Tag! : name.Digest.ToString();
        Image? before = store.Find(name.Familiar, platform.Wanted) ?? store.Find(name.Familiar);

        // A name that is here is asked for its digest first, which mostly is all it takes (and which registries do not count as a pull).
        RemoteManifest? document = before is null ? await repository.GetManifestAsync(wanted, cancellationToken) : null;
        Digest digest = document?.Descriptor.Digest ?? (await repository.ResolveAsync(wanted, cancellationToken)).Digest;
        progress.Say($"Pulling from {name.Path}", wanted);
        Image image = IsUpToDate(before, name, digest) ? before!
            : await FetchAsync(name, document ?? await repository.GetManifestAsync(digest.ToString(), cancellationToken), cancellationToken);
        progress.Say($"Digest: {digest}");
        return (image, image.Id != before?.Id);
    }

    private bool IsUpToDate(Image? image, Reference name, Digest digest) =>
        image is not null && image.RepoDigests.Contains(name.WithDigest(digest).Familiar) && platform.Accepts(image.Config.Platform);

    private async Task<Image> FetchAsync(Reference name, RemoteManifest document, CancellationToken cancellationToken)
    {
        PulledDocuments documents = await new ManifestReader(repository, platform).ReadAsync(document, cancellationToken);
        await using IImageIngest ingest = store.BeginIngest();
        IngestedImage arriving = new()
        {
            Config = documents.Config,
            Manifest = documents.Manifest,
            Index = documents.Index,
            Names = name.Tag is not null && name.Digest.IsNone ? [name, name.WithDigest(document.Descriptor.Digest)] : [name.WithDigest(document.Descriptor.Digest)],
            Source = repository.Name,
        };
        await FetchLayersAsync(ingest, ingest.Check(arriving), documents.Layers, cancellationToken);
        return await ingest.CommitAsync(arriving, cancellationToken);
    }

    /// <summary>Fetches what is missing; where a peer failed, once more without peers. Layers that came whole stay.</summary>
    private async Task FetchLayersAsync(IImageIngest ingest, ImageConfig config, IReadOnlyList<Descriptor> layers, CancellationToken cancellationToken)
    {
        LayerDownloads downloads = new(ingest, repository, peers, maxDownloads, progress);
        try
        {
            await downloads.RunAsync(config, layers, cancellationToken);
        }
        catch (Exception) when (downloads.HasPeerFailed && !cancellationToken.IsCancellationRequested)
        {
            await new LayerDownloads(ingest, repository, peers: null, maxDownloads, progress).RunAsync(config, layers, cancellationToken);
        }
    }
}
