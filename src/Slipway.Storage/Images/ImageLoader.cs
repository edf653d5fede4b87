using Slipway.Kernel.Compression;
using Slipway.Oci;
using Slipway.Storage.Content;
using Slipway.Storage.Layers;
using Slipway.Storage.Threading;

namespace Slipway.Storage.Images;

/// <summary>Reads an archive and unpacks the layers it needs; what it yields waits to be committed.</summary>
internal sealed class ImageLoader(ContentStore content, LayerStore layers, UnpackLimits limits)
{
    /// <summary>Unpackers at work at once for one image.</summary>
    private static readonly int Parallelism = Math.Clamp(Environment.ProcessorCount, 2, 8);

    /// <summary>Blocks; for a thread of its own.</summary>
    public StagedImages Load(Stream source, Platform? platform, IProgress<ImageProgress>? progress, CancellationToken cancellationToken)
    {
        var staged = new StagedImages(ImageArchive.Read(source, content, limits, cancellationToken));
        try
        {
            foreach (var image in Open(staged.Archive, platform))
            {
                staged.Images.Add(Unpack(image, staged, progress, cancellationToken));
            }

            layers.Flush();
            return staged;
        }
        catch (OciException error)
        {
            staged.Dispose();
            throw new StorageException(StorageErrorKind.InvalidParameter, error.Message, error);
        }
        catch
        {
            staged.Dispose();
            throw;
        }
    }

    /// <summary>An archive may have both forms (Docker writes both); a platform asked for can only be looked up in an index.</summary>
    private static IReadOnlyList<ArchivedImage> Open(ImageArchive archive, Platform? platform)
    {
        var hasIndex = archive.Contains(OciLayout.IndexName) && archive.Contains(OciLayout.MarkerName);
        return archive.Contains(DockerArchive.ManifestName) && !(platform is not null && hasIndex) ? DockerArchive.Images(archive)
            : hasIndex ? OciLayout.Images(archive, platform ?? Platform.Host)
            : throw new OciException("invalid archive: does not contain a manifest.json");
    }

    private StagedImage Unpack(ArchivedImage image, StagedImages staged, IProgress<ImageProgress>? progress, CancellationToken cancellationToken)
    {
        var jobs = new List<LayerJob>();
        using var failure = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var chainId = default(Digest);
        for (var i = 0; i < image.Layers.Count; i++)
        {
            var parent = chainId;
            chainId = LayerStore.ChainId(parent, image.Config.DiffIds[i]);
            staged.Keep(layers.Pin(chainId));
            jobs.Add(new LayerJob(chainId, image.Config.DiffIds[i], parent, image.Layers[i], jobs.Count > 0 ? jobs[^1] : null, failure.Token));
        }

        Run(jobs, progress, failure);
        var unpacked = jobs.Select((job, i) => new StagedLayer(new Layer(job.ChainId, job.DiffId, job.Size), image.Layers[i].Digest)).ToList();
        return new StagedImage(image.ConfigBlob, image.Config, image.Manifest, unpacked, image.Layers, image.Names);
    }

    /// <summary>
    /// Runs the jobs on a few threads, lowest layer first. A job that has to wait for the one below waits for a job that was begun
    /// before it, so there is always one that can go on.
    /// </summary>
    private void Run(List<LayerJob> jobs, IProgress<ImageProgress>? progress, CancellationTokenSource failure)
    {
        var next = -1;
        var threads = new List<Thread>();
        for (var i = 0; i < Math.Min(Parallelism, jobs.Count) - 1; i++)
        {
            var thread = new Thread(Work) { Name = "layer-unpack", IsBackground = true };
            thread.Start();
            threads.Add(thread);
        }

        Work();
        threads.ForEach(thread => thread.Join());
        if (jobs.Find(job => job.Error is not null and not OperationCanceledException)?.Error is { } error)
        {
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(error);
        }

        failure.Token.ThrowIfCancellationRequested();

        void Work()
        {
            for (var i = Interlocked.Increment(ref next); i < jobs.Count; i = Interlocked.Increment(ref next))
            {
                var job = jobs[i];
                try
                {
                    failure.Token.ThrowIfCancellationRequested();
                    job.Size = layers.Unpack(
                        job.ChainId, job.DiffId, () => Tar(job, progress), job.WaitForParent, job.Lower, failure.Token);
                }
#pragma warning disable CA1031 // Thrown again by the caller, once all threads have ended.
                catch (Exception error)
#pragma warning restore CA1031
                {
                    job.Error = error;
                    failure.Cancel();
                }
                finally
                {
                    job.Done.Set();
                }
            }
        }
    }

    private Stream Tar(LayerJob job, IProgress<ImageProgress>? progress)
    {
        var stream = job.Blob.OpenRead();
        return Decompression.Open(progress is null ? stream : new ProgressStream(stream, progress, job.DiffId.Short, "Loading layer", job.Blob.Length), limits.Expansion);
    }

    private sealed class LayerJob(Digest chainId, Digest diffId, Digest parentId, BlobWriter blob, LayerJob? parent, CancellationToken cancellationToken)
    {
        public Digest ChainId { get; } = chainId;

        public Digest DiffId { get; } = diffId;

        public Digest ParentId { get; } = parentId;

        public BlobWriter Blob { get; } = blob;

        public ManualResetEventSlim Done { get; } = new();

        public long Size { get; set; }

        public Exception? Error { get; set; }

        public void WaitForParent()
        {
            parent?.Done.Wait(cancellationToken);
            cancellationToken.ThrowIfCancellationRequested();
        }

        /// <summary>The layers below, highest first.</summary>
        public List<Digest> Lower()
        {
            var ids = new List<Digest>();
            for (var job = parent; job is not null; job = job.Parent)
            {
                ids.Add(job.ChainId);
            }

            return ids;
        }

        private LayerJob? Parent => parent;
    }
}
