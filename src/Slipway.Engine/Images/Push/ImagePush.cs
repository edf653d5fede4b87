using Slipway.Api.Images;
using Slipway.Engine.Images.Progress;
using Slipway.Oci;
using Slipway.Registry.Distribution;
using Slipway.Storage.Images;

namespace Slipway.Engine.Images.Push;

/// <summary>One push of one tag: blobs first, then the documents that name them, the tag last.</summary>
/// <param name="maxUploads">Blobs that are uploaded at the same time.</param>
internal sealed class ImagePush(
    IImageStore store, IRemoteRepository repository, SourceRepositories sources, int maxUploads, TransferProgress progress)
{
    /// <param name="name">With a tag.</param>
    /// <returns>What the tag points at now.</returns>
    public async Task<Descriptor> RunAsync(Reference name, Platform? platform, CancellationToken cancellationToken)
    {
        Image image = store.Get(name.Familiar);
        Dictionary<Digest, ProgressLine> lines = [];

        // The topmost layer comes first in what Docker shows.
        foreach (Layer layer in image.Layers.Reverse())
        {
            Prepare(lines, layer.DiffId);
        }

        await using ImagePublication publication = await store.PublishAsync(name.Familiar, platform, cancellationToken);
        await PushBlobsAsync(publication.Blobs, KnownAt(image, name), lines, cancellationToken);
        foreach (ImageContent document in publication.Documents)
        {
            string target = document == publication.Documents[^1] ? name.Tag! : document.Descriptor.Digest.ToString();
            await repository.PushManifestAsync(target, new RemoteManifest(document.Descriptor, document.Content), cancellationToken);
        }

        Descriptor pushed = publication.Documents[^1].Descriptor;
        await RememberAsync(name.WithDigest(pushed.Digest), publication.Documents, cancellationToken);
        progress.Say($"{name.Tag}: digest: {pushed.Digest} size: {pushed.Size}");
        progress.Say(new ProgressMessage { ProgressDetail = new ProgressDetail(), Aux = new PushedImage(name.Tag!, pushed.Digest.ToString(), pushed.Size) });
        return pushed;
    }

    private ProgressLine Prepare(Dictionary<Digest, ProgressLine> lines, Digest diffId)
    {
        if (!lines.TryGetValue(diffId, out ProgressLine? line))
        {
            line = lines[diffId] = progress.Line(diffId.Short);
            line.State("Preparing");
        }

        return line;
    }

    /// <summary>Repositories of the same registry that had the image once.</summary>
    private static List<string> KnownAt(Image image, Reference target) =>
        [.. image.RepoDigests.Select(Reference.Parse).Where(name => name.Domain == target.Domain && name.Path != target.Path).Select(name => name.Path)];

    private async Task PushBlobsAsync(
        IReadOnlyList<PublishedBlob> blobs, List<string> knownAt, Dictionary<Digest, ProgressLine> lines, CancellationToken cancellationToken)
    {
        List<BlobUpload> uploads = [];
        foreach (PublishedBlob blob in blobs.Reverse())
        {
            IEnumerable<string> origins = blob.Sources
                .Where(source => source.Domain == repository.Name.Domain && source.Path != repository.Name.Path)
                .Select(source => source.Path);
            uploads.Add(new BlobUpload(repository, blob, [.. origins.Concat(knownAt).Distinct()], sources, blob.DiffId.IsNone ? null : Prepare(lines, blob.DiffId)));
        }

        using SemaphoreSlim slots = new(maxUploads);
        using CancellationTokenSource failed = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await Task.WhenAll(uploads.Select(UploadAsync));

        async Task UploadAsync(BlobUpload upload)
        {
            try
            {
                await upload.RunAsync(slots, failed.Token);
            }
            catch
            {
                // The others are of no use any more.
                await failed.CancelAsync();
                throw;
            }
        }
    }

    /// <summary>From now on the images are known by what was pushed, as if they had been pulled; and their layers can be had from there.</summary>
    private async Task RememberAsync(Reference pushed, IReadOnlyList<ImageContent> documents, CancellationToken cancellationToken)
    {
        foreach (ImageContent document in documents)
        {
            if (ImageDocument.Parse(document.Content.Span) is ImageDocument.OfManifest { Value: var manifest }
                && store.Find(manifest.Config.Digest.ToString()) is { } image
                && !image.RepoDigests.Contains(pushed.Familiar))
            {
                await RememberAsync(pushed, image, document, document == documents[^1] ? null : documents[^1], cancellationToken);
            }
        }
    }

    private async Task RememberAsync(Reference pushed, Image image, ImageContent manifest, ImageContent? index, CancellationToken cancellationToken)
    {
        await using IImageIngest ingest = store.BeginIngest();

        // An image that was removed meanwhile stays removed.
        if (image.ChainIds.All(ingest.TryHold))
        {
            IngestedImage known = new() { Config = store.RawConfig(image.Id), Manifest = manifest, Index = index, Names = [pushed], Source = repository.Name };
            await ingest.CommitAsync(known, cancellationToken);
        }
    }
}
