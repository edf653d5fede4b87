using System.Text.Json;
using Slipway.Oci;
using Slipway.Storage.Content;
using Slipway.Storage.Layers;
using Slipway.Storage.State;
using Slipway.Storage.Threading;

namespace Slipway.Storage.Images;

/// <summary>
/// Puts together what a registry gets of an image: its documents as they came, or made here, and its blobs: kept, made again, or known
/// to be elsewhere.
/// </summary>
internal sealed class ImagePublisher(StateDatabase database, ContentStore content, LayerStore layers, LayerTars tars, LayerEncodings encodings, UnpackLimits limits)
{
    /// <param name="target">What the image's name denotes, or none.</param>
    /// <param name="entries">The image, or all platforms of the index that are here.</param>
    public async Task<ImagePublication> PublishAsync(ImageCatalog.Entry main, Digest target, IReadOnlyList<ImageCatalog.Entry> entries, CancellationToken cancellationToken)
    {
        var draft = new Draft();
        try
        {
            foreach (var entry in entries)
            {
                foreach (var layer in entry.Image.Layers)
                {
                    draft.Held.Add(layers.TryPin(layer.ChainId) ?? throw new StorageException(StorageErrorKind.NotFound, $"layer {layer.ChainId} of image {entry.Image.Id} not found"));
                }
            }

            var index = WholeIndex(target, entries);
            var areStored = true;
            foreach (var entry in index is null ? [main] : entries)
            {
                areStored &= await AddAsync(draft, entry, index is null ? target : default, index, cancellationToken).ConfigureAwait(false);
            }

            if (index is not null && areStored)
            {
                foreach (var attestation in index.About)
                {
                    await AddAttestationAsync(draft, attestation, cancellationToken).ConfigureAwait(false);
                }

                draft.Documents.Add(index.Content);
            }

            return new StoredPublication(draft.Documents, draft.Blobs, draft.Held);
        }
        catch
        {
            draft.Held.ForEach(item => item.Dispose());
            throw;
        }
    }

    /// <inheritdoc cref="IImageStore.PublishLayersAsync"/>
    public async Task<ImagePublication> PublishLayersAsync(IReadOnlyList<Layer> wanted, CancellationToken cancellationToken)
    {
        var draft = new Draft();
        try
        {
            foreach (var layer in wanted)
            {
                draft.Held.Add(layers.TryPin(layer.ChainId) ?? throw new StorageException(StorageErrorKind.NotFound, $"layer {layer.ChainId} not found"));
            }

            using var slots = new SemaphoreSlim(Math.Clamp(Environment.ProcessorCount, 2, 8));
            var made = await Task.WhenAll(wanted.DistinctBy(layer => layer.DiffId).Select(layer => MakeAsync(draft, layer, default, slots, cancellationToken))).ConfigureAwait(false);
            draft.Blobs.AddRange(made);
            return new StoredPublication(draft.Documents, draft.Blobs, draft.Held);
        }
        catch
        {
            draft.Held.ForEach(item => item.Dispose());
            throw;
        }
    }

    /// <summary>The index that a name denotes, if all its images are here; a registry takes an index only where it has what the index names.</summary>
    private StoredIndex? WholeIndex(Digest target, IReadOnlyList<ImageCatalog.Entry> entries)
    {
        if (target.IsNone || TryRead(target) is not { } document || ImageDocument.Parse(document.Content.Span) is not ImageDocument.OfIndex { Value: var index })
        {
            return null;
        }

        // What is about images goes with them where all of it is here.
        var about = (index.Manifests ?? []).Where(ArchivedReferrer.IsAttestation).Select(descriptor => TryRead(descriptor.Digest)).ToList();
        var manifests = (index.Manifests ?? []).Where(descriptor => !ArchivedReferrer.IsAttestation(descriptor)).Select(descriptor => TryRead(descriptor.Digest)).ToList();
        var images = entries.Select(entry => entry.Image.Id).ToHashSet();
        return about.TrueForAll(attestation => attestation is not null && PartsOf(attestation).All(part => content.Contains(part.Digest))) && manifests.All(manifest => manifest is not null && ImageDocument.Parse(manifest.Content.Span) is ImageDocument.OfManifest { Value: var value } && images.Contains(value.Config.Digest))
            ? new StoredIndex(document, [.. manifests.OfType<ImageContent>()], [.. about.OfType<ImageContent>()])
            : null;
    }

    private static IEnumerable<Descriptor> PartsOf(ImageContent attestation) =>
        ImageDocument.Parse(attestation.Content.Span) is ImageDocument.OfManifest { Value: var manifest } ? (manifest.Layers ?? []).Prepend(manifest.Config) : [];

    private async Task AddAttestationAsync(Draft draft, ImageContent attestation, CancellationToken cancellationToken)
    {
        foreach (var part in PartsOf(attestation))
        {
            Pin(draft, part.Digest);
            draft.Add(new StoredBlob(part, default, await SourcesAsync(part.Digest, cancellationToken).ConfigureAwait(false), () => content.OpenRead(part.Digest)));
        }

        Pin(draft, attestation.Descriptor.Digest);
        draft.Documents.Add(attestation);
    }

    /// <returns>Whether the image goes with a manifest it came with.</returns>
    private async Task<bool> AddAsync(Draft draft, ImageCatalog.Entry entry, Digest target, StoredIndex? index, CancellationToken cancellationToken)
    {
        var candidates = index?.Manifests ?? [.. new[] { target, entry.Image.ManifestDigest }.Where(digest => !digest.IsNone).Select(TryRead).OfType<ImageContent>()];
        foreach (var candidate in candidates)
        {
            if (ImageDocument.Parse(candidate.Content.Span) is ImageDocument.OfManifest { Value: var manifest }
                && manifest.Config.Digest == entry.Image.Id
                && await TryAddStoredAsync(draft, entry, candidate, manifest, index is not null, cancellationToken).ConfigureAwait(false))
            {
                return true;
            }
        }

        await AddMadeAsync(draft, entry, cancellationToken).ConfigureAwait(false);
        return false;
    }

    /// <returns>
    /// False where a layer of the manifest is neither here, nor can be made again, nor is known to be anywhere. And where no layer is
    /// compressed, in a manifest that no registry has seen: docker save makes such ones for its archives, and a registry gets compressed layers.
    /// </returns>
    private async Task<bool> TryAddStoredAsync(
        Draft draft, ImageCatalog.Entry entry, ImageContent document, Manifest manifest, bool isOfIndex, CancellationToken cancellationToken)
    {
        var blobs = new List<StoredBlob>();
        for (var i = 0; i < entry.Image.Layers.Count; i++)
        {
            var (layer, descriptor) = (entry.Image.Layers[i], manifest.Layers![i]);
            Pin(draft, descriptor.Digest);
            Pin(draft, entry.Blobs[i]);
            var blob = entry.Blobs[i];
            Func<Stream>? open =
                content.Contains(descriptor.Digest) ? () => content.OpenRead(descriptor.Digest)
                : descriptor.Digest == layer.DiffId ? () => encodings.Produce(layer, blob, descriptor, Copy)
                : (await encodings.FindAsync(layer.DiffId, cancellationToken).ConfigureAwait(false)).Digest == descriptor.Digest ? () => encodings.Produce(layer, blob, descriptor, GzipEncoder.Encode)
                : null;
            var sources = await SourcesAsync(descriptor.Digest, cancellationToken).ConfigureAwait(false);
            if (open is null && sources.Count == 0)
            {
                return false;
            }

            blobs.Add(new StoredBlob(descriptor, layer.DiffId, sources, open));
        }

        if (!isOfIndex && blobs.Count > 0 && blobs.TrueForAll(blob => blob.Descriptor.Digest == blob.DiffId && blob.Sources.Count == 0))
        {
            return false;
        }

        Pin(draft, document.Descriptor.Digest);
        draft.Add(Config(entry, manifest.Config, await SourcesAsync(entry.Image.Id, cancellationToken).ConfigureAwait(false)));
        blobs.ForEach(draft.Add);
        draft.Documents.Add(document);
        return true;
    }

    /// <summary>An image without a manifest that can be kept to gets one of Docker's schema 2, as dockerd makes it: layers compressed by gzip.</summary>
    private async Task AddMadeAsync(Draft draft, ImageCatalog.Entry entry, CancellationToken cancellationToken)
    {
        var config = new Descriptor { MediaType = MediaTypes.DockerConfig, Digest = entry.Image.Id, Size = entry.RawConfig.Length };
        draft.Add(Config(entry, config, await SourcesAsync(entry.Image.Id, cancellationToken).ConfigureAwait(false)));
        using var slots = new SemaphoreSlim(Math.Clamp(Environment.ProcessorCount, 2, 8));
        var layersToMake = entry.Image.Layers.Zip(entry.Blobs).ToList();
        layersToMake.ForEach(pair => Pin(draft, pair.Second));
        var made = await Task.WhenAll(layersToMake.DistinctBy(pair => pair.First.DiffId).Select(pair => MakeAsync(draft, pair.First, pair.Second, slots, cancellationToken))).ConfigureAwait(false);
        foreach (var blob in made)
        {
            draft.Add(blob);
        }

        var byDiffId = made.ToDictionary(blob => blob.DiffId, blob => blob.Descriptor);
        IReadOnlyList<Descriptor> descriptors = [.. entry.Image.Layers.Select(layer => byDiffId[layer.DiffId])];
        var manifest = JsonSerializer.SerializeToUtf8Bytes(new Manifest { MediaType = MediaTypes.DockerManifest, Config = config, Layers = descriptors }, OciJson.Default.Manifest);
        draft.Documents.Add(new ImageContent(new Descriptor { MediaType = MediaTypes.DockerManifest, Digest = Digest.Of(manifest), Size = manifest.Length }, manifest));
    }

    /// <summary>A layer compressed by gzip: made again later where its digest is known, otherwise now.</summary>
    private async Task<StoredBlob> MakeAsync(Draft draft, Layer layer, Digest blob, SemaphoreSlim slots, CancellationToken cancellationToken)
    {
        var (digest, size) = await encodings.FindAsync(layer.DiffId, cancellationToken).ConfigureAwait(false);
        BlobWriter? file = null;
        if (digest.IsNone)
        {
            await slots.WaitAsync(cancellationToken).ConfigureAwait(false);
            try
            {
                file = await EncodeAsync(layer, blob, cancellationToken).ConfigureAwait(false);
            }
            finally
            {
                slots.Release();
            }

            draft.Hold(file);
            (digest, size) = (file.Digest, file.Length);
        }

        var descriptor = new Descriptor { MediaType = MediaTypes.DockerLayerGzip, Digest = digest, Size = size };
        var sources = await SourcesAsync(digest, cancellationToken).ConfigureAwait(false);
        return new StoredBlob(descriptor, layer.DiffId, sources, file is null ? () => encodings.Produce(layer, blob, descriptor, GzipEncoder.Encode) : file.OpenRead);
    }

    /// <summary>Compresses a layer for the first time: a manifest needs the digest before anything is sent, so the result is kept until it was.</summary>
    private async Task<BlobWriter> EncodeAsync(Layer layer, Digest blob, CancellationToken cancellationToken)
    {
        var file = await WorkerThread.RunAsync("layer-encode", () =>
        {
            var encoded = content.Create();
            try
            {
                using var tar = tars.Open(layer, blob);
                GzipEncoder.Encode(tar, encoded, cancellationToken);
                return encoded;
            }
            catch
            {
                encoded.Dispose();
                throw;
            }
        }).ConfigureAwait(false);
        try
        {
            await encodings.RememberAsync(layer.DiffId, file.Digest, file.Length, cancellationToken).ConfigureAwait(false);
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    private static void Copy(Stream tar, Stream output, CancellationToken cancellationToken)
    {
        var buffer = new byte[256 << 10];
        for (var count = tar.Read(buffer); count > 0; count = tar.Read(buffer))
        {
            cancellationToken.ThrowIfCancellationRequested();
            output.Write(buffer, 0, count);
        }
    }

    private static StoredBlob Config(ImageCatalog.Entry entry, Descriptor descriptor, IReadOnlyList<Reference> sources) =>
        new(descriptor, default, sources, () => new MemoryStream(entry.RawConfig, writable: false));

    private Task<IReadOnlyList<Reference>> SourcesAsync(Digest blob, CancellationToken cancellationToken) =>
        database.ReadAsync(connection => ImageRows.Sources(connection, blob), cancellationToken);

    private void Pin(Draft draft, Digest blob) => draft.Held.Add(content.Pin(blob));

    /// <summary>A document that is in the store, or null.</summary>
    private ImageContent? TryRead(Digest digest)
    {
        if (!content.Contains(digest))
        {
            return null;
        }

        var document = content.ReadAll(digest, limits.MaxDocumentBytes);
        return new ImageContent(new Descriptor { MediaType = ImageDocument.MediaTypeOf(document), Digest = digest, Size = document.Length }, document);
    }

    /// <param name="About">Attestations of the images.</param>
    private sealed record StoredIndex(ImageContent Content, IReadOnlyList<ImageContent> Manifests, IReadOnlyList<ImageContent> About);

    private sealed class Draft
    {
        public List<ImageContent> Documents { get; } = [];

        public List<PublishedBlob> Blobs { get; } = [];

        public List<IDisposable> Held { get; } = [];

        /// <summary>Several layers are compressed at once.</summary>
        public void Hold(IDisposable item)
        {
            lock (Held)
            {
                Held.Add(item);
            }
        }

        public void Add(PublishedBlob blob)
        {
            if (Blobs.TrueForAll(other => other.Descriptor.Digest != blob.Descriptor.Digest))
            {
                Blobs.Add(blob);
            }
        }
    }
}
