using Slipway.Oci;
using Slipway.Storage.Content;
using Slipway.Storage.Layers;
using Slipway.Storage.Threading;

namespace Slipway.Storage.Images;

/// <summary>What makes images visible, once all they consist of is there.</summary>
internal sealed partial class ImageStore
{
    private async Task CommitAsync(StagedImages staged, CancellationToken cancellationToken)
    {
        await WorkerThread.RunAsync("image-publish", () =>
        {
            foreach (var image in staged.Images)
            {
                foreach (var file in image.Kept)
                {
                    file.Blob!.Publish();
                }
            }

            return true;
        }).ConfigureAwait(false);
        var now = _options.TimeProvider.GetUtcNow();
        await WriteAsync(
            connection =>
            {
                foreach (var image in staged.Images)
                {
                    var manifest = image.Image.Manifest?.Digest ?? default;
                    ImageRows.Insert(connection, new ImageRow(image.Id, ImageArchive.ReadDocument(image.Image.ConfigFile), manifest, image.Layers, image.BlobRows())
                    {
                        Referrers = [.. image.Image.Referrers.Select(referrer => new ReferrerRow(referrer.Descriptor, referrer.IsListed))],
                    });
                    var shared = image.Image.SharedTarget;
                    foreach (var name in image.Image.Names)
                    {
                        ImageRows.Tag(connection, name, image.Id, shared.IsNone ? manifest : shared, isIndex: !shared.IsNone, now);
                    }
                }
            },
            cancellationToken).ConfigureAwait(false);
    }

    private async Task CommitAsync(ImportedImage imported, Reference? name, CancellationToken cancellationToken)
    {
        await WorkerThread.RunAsync("image-publish", () =>
        {
            imported.ConfigBlob.Publish();
            return true;
        }).ConfigureAwait(false);
        var now = _options.TimeProvider.GetUtcNow();
        await WriteAsync(
            connection =>
            {
                var id = imported.ConfigBlob.Digest;
                BlobRow[] blobs = [new(id, imported.ConfigBlob.Length)];
                ImageRows.Insert(connection, new ImageRow(id, imported.Config!, default, [imported.Layer!], blobs));
                if (name is not null)
                {
                    ImageRows.Tag(connection, name.WithDefaultTag(), id, default, isIndex: false, now);
                }
            },
            cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Makes an ingested image visible.</summary>
    private Task<Image> CommitAsync(ImageIngest ingest, IngestedImage image, CancellationToken cancellationToken) => CleaningUpAsync(async () =>
    {
        var documents = IngestedDocuments.Check(image, _options.Limits);
        var lineage = new List<StoredLayer>();
        var parent = default(Digest);
        for (var i = 0; i < documents.Config.DiffIds.Count; i++)
        {
            var diffId = documents.Config.DiffIds[i];
            parent = LayerStore.ChainId(parent, diffId);
            if (!ingest.Holds(parent))
            {
                throw new StorageException(StorageErrorKind.InvalidParameter, $"invalid image: layer {diffId} was not added");
            }

            lineage.Add(new StoredLayer(new Layer(parent, diffId, _layers.SizeOf(parent)), documents.Manifest?.Layers?[i].Digest ?? diffId));
        }

        ImageContent[] contents = [.. new[] { new ImageContent(new Descriptor { Digest = documents.ImageId, Size = image.Config.Length }, image.Config), image.Manifest, image.Index }.OfType<ImageContent>(), .. image.Referrers.Select(referrer => referrer.Manifest)];
        ImageContent[] parts = [.. image.Referrers.SelectMany(referrer => referrer.Blobs)];
        await ChangeAsync(
            async () =>
            {
                // A layer of an image that is visible was flushed for that one.
                var flushed = All.SelectMany(other => other.Layers).Select(layer => layer.ChainId).ToHashSet();
                if (!lineage.TrueForAll(layer => flushed.Contains(layer.Layer.ChainId)))
                {
                    await WorkerThread.RunAsync("image-publish", () =>
                    {
                        _layers.Flush();
                        return true;
                    }).ConfigureAwait(false);
                }

                var now = _options.TimeProvider.GetUtcNow();
                var target = image.Index?.Descriptor.Digest ?? image.Manifest?.Descriptor.Digest ?? default;
                await WriteAsync(
                    connection =>
                    {
                        DocumentJournal.Add(connection, _content, [.. contents.Concat(parts).Select(document => document.Content)]);
                        BlobRow[] blobs = [.. contents.Select(document => new BlobRow(document.Descriptor.Digest, document.Descriptor.Size, document.Descriptor.MediaType)), .. parts.Select(part => new BlobRow(part.Descriptor.Digest, part.Descriptor.Size))];
                        ImageRows.Insert(connection, new ImageRow(documents.ImageId, image.Config.ToArray(), image.Manifest?.Descriptor.Digest ?? default, lineage, blobs)
                        {
                            Referrers = [.. image.Referrers.Select(referrer => new ReferrerRow(referrer.Manifest.Descriptor, IsListed: false))],
                        });
                        foreach (var layer in lineage)
                        {
                            LayerRows.EndHold(connection, layer.Layer.ChainId);
                        }

                        if (image.Source is not null && documents.Manifest is { } manifest)
                        {
                            ImageRows.AddSource(connection, [documents.ImageId, .. (manifest.Layers ?? []).Select(layer => layer.Digest)], image.Source);
                        }

                        foreach (var name in image.Names)
                        {
                            ImageRows.Tag(connection, name.WithDefaultTag(), documents.ImageId, target, image.Index is not null, now);
                        }
                    },
                    cancellationToken).ConfigureAwait(false);
            },
            cancellationToken).ConfigureAwait(false);
        return Volatile.Read(ref _catalog).ById(documents.ImageId)!.Image;
    });
}
