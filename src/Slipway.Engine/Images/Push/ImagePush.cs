using Slipway.Api.Images;
using Slipway.Engine.Images.Progress;
using Slipway.Oci;
using Slipway.Registry.Distribution;
using Slipway.Storage.Images;

namespace Slipway.Engine.Images.Push;

/// <summary>One push of one tag: blobs first, then the documents that name them, the tag last.</summary>
/// <param name="slots">Uploads that may run at the same time, of all pushes together.</param>
internal sealed class ImagePush(
    IImageStore store, IRemoteRepository repository, SourceRepositories sources, SemaphoreSlim slots, TransferProgress progress)
{
    /// <param name="name">With a tag.</param>
    /// <returns>What the tag points at now.</returns>
    public async Task<Descriptor> RunAsync(Reference name, Platform? platform, CancellationToken cancellationToken)
    {
        Image image = store.Get(name.Familiar);
        await using ImagePublication publication = await store.PublishAsync(name.Familiar, platform, cancellationToken);
        await PushBlobsAsync(publication.Blobs, KnownAt(image, name), cancellationToken);
        for (int i = 0; i < publication.Documents.Count; i++)
        {
            ImageContent document = publication.Documents[i];
            string target = i == publication.Documents.Count - 1 ? name.Tag! : document.Descriptor.Digest.ToString();
            await repository.PushManifestAsync(target, new RemoteManifest(document.Descriptor, document.Content), cancellationToken);
        }

        Descriptor pushed = publication.Documents[^1].Descriptor;
        await RememberAsync(image, name, publication.Documents, cancellationToken);
        progress.Say($"{name.Tag}: digest: {pushed.Digest} size: {pushed.Size}");
        progress.Say(new ProgressMessage { ProgressDetail = new ProgressDetail(), Aux = new PushedImage(name.Tag!, pushed.Digest.ToString(), pushed.Size) });
        return pushed;
    }

    /// <summary>Repositories of the same registry that had the image once.</summary>
    private static List<string> KnownAt(Image image, Reference target) =>
        [.. image.RepoDigests.Select(Reference.Parse).Where(name => name.Domain == target.Domain && name.Path != target.Path).Select(name => name.Path)];

    private async Task PushBlobsAsync(IReadOnlyList<PublishedBlob> blobs, List<string> knownAt, CancellationToken cancellationToken)
    {
        // The topmost layer comes first in what Docker shows.
        List<BlobUpload> uploads = [];
        foreach (PublishedBlob blob in blobs.Reverse())
        {
            ProgressLine? line = blob.DiffId.IsNone ? null : progress.Line(blob.DiffId.Short);
            line?.State("Preparing");
            IEnumerable<string> origins = blob.Sources
                .Where(source => source.Domain == repository.Name.Domain && source.Path != repository.Name.Path)
                .Select(source => source.Path);
            uploads.Add(new BlobUpload(repository, blob, [.. origins.Concat(knownAt).Distinct()], sources, line));
        }

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

    /// <summary>From now on the image is known by its digest there, as one that was pulled; and its layers can be had from there.</summary>
    private async Task RememberAsync(Image image, Reference name, IReadOnlyList<ImageContent> documents, CancellationToken cancellationToken)
    {
        ImageContent? manifest = documents.FirstOrDefault(document => IsManifestOf(document, image));
        if (manifest is null)
        {
            return;
        }

        await using IImageIngest ingest = store.BeginIngest();
        foreach (Digest chainId in image.ChainIds)
        {
            if (!ingest.TryHold(chainId))
            {
                // The image was removed meanwhile.
                return;
            }
        }

        ImageContent last = documents[^1];
        await ingest.CommitAsync(
            new IngestedImage
            {
                Config = store.RawConfig(image.Id),
                Manifest = manifest,
                Index = last == manifest ? null : last,
                Names = [name.WithDigest(last.Descriptor.Digest)],
                Source = repository.Name,
            },
            cancellationToken);
    }

    private static bool IsManifestOf(ImageContent document, Image image) =>
        ImageDocument.Parse(document.Content.Span) is ImageDocument.OfManifest { Value: var manifest } && manifest.Config.Digest == image.Id;
}
