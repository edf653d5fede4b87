using Microsoft.Extensions.Logging;
using Slipway.Oci;
using Slipway.Registry.Server.Storage;

namespace Slipway.Registry.Server.Collection;

/// <summary>What a collection removed.</summary>
internal sealed record CollectionReport
{
    public int Uploads { get; set; }

    public int Manifests { get; set; }

    /// <summary>Blobs taken from repositories whose manifests do not need them.</summary>
    public int Links { get; set; }

    /// <summary>Blobs that no repository had any more.</summary>
    public int Blobs { get; set; }

    /// <summary>Bytes given back.</summary>
    public long Bytes { get; set; }

    public override string ToString() =>
        string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{Uploads} expired uploads, {Manifests} manifests, {Links} links, {Blobs} blobs with {Bytes} bytes removed");
}

/// <summary>
/// Removes what nothing needs, beside running pushes and pulls. A push sends blobs before the manifest that needs them, so a blob goes only
/// when no manifest of its repository needs it <em>and</em> nobody has used it since the collection began, less a grace. Sending, mounting,
/// finding (HEAD) and the check of a manifest that is pushed are uses, and each is atomic with the look at the age (<see cref="IBlobStorage"/>):
/// what a push has found here, it finds until its manifest is written.
/// </summary>
internal sealed partial class GarbageCollector(RegistryContent content, CollectionOptions options, TimeProvider time, ILogger log) : IDisposable
{
    private readonly SemaphoreSlim _one = new(1);

    /// <summary>All that was removed since the start.</summary>
    public CollectionReport Total { get; } = new();

    public long Runs { get; private set; }

    /// <summary>Collects at intervals until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        if (options.Interval == TimeSpan.Zero)
        {
            return;
        }

        using PeriodicTimer timer = new(options.Interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(cancellationToken))
            {
                try
                {
                    LogCollected(log, await CollectAsync(cancellationToken));
                }
                catch (IOException e)
                {
                    // The disk fails or is full; the next one may find it mended.
                    LogFailed(log, e);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The registry ends.
        }
    }

    /// <summary>One collection; a second one waits for the first.</summary>
    public async Task<CollectionReport> CollectAsync(CancellationToken cancellationToken)
    {
        await _one.WaitAsync(cancellationToken);
        try
        {
            DateTimeOffset begin = time.GetUtcNow();
            CollectionReport report = new() { Uploads = await content.Storage.ExpireUploadsAsync(begin - options.UploadExpiry, cancellationToken) };
            foreach (RepositoryName repository in content.Storage.EnumerateRepositories().ToList())
            {
                await CollectAsync(repository, report, cancellationToken);
            }

            SweptContent swept = await content.Storage.SweepContentAsync(begin - options.Grace, cancellationToken);
            (report.Blobs, report.Bytes) = (swept.Count, swept.Bytes);
            Runs++;
            Total.Uploads += report.Uploads;
            Total.Manifests += report.Manifests;
            Total.Links += report.Links;
            Total.Blobs += report.Blobs;
            Total.Bytes += report.Bytes;
            return report;
        }
        finally
        {
            _one.Release();
        }
    }

    public void Dispose() => _one.Dispose();

    private async Task CollectAsync(RepositoryName repository, CollectionReport report, CancellationToken cancellationToken)
    {
        DateTimeOffset unusedSince = time.GetUtcNow() - options.Grace;
        try
        {
            if (options.Untagged)
            {
                report.Manifests += await RemoveUntaggedAsync(repository, unusedSince, cancellationToken);
            }

            HashSet<Digest> needed = [];
            foreach (ManifestDocument manifest in (await ReadManifestsAsync(repository, cancellationToken)).Values)
            {
                needed.UnionWith(manifest.Blobs.Concat(manifest.Children).Select(descriptor => descriptor.Digest));
            }

            foreach (Digest blob in content.Storage.EnumerateBlobs(repository).Where(blob => !needed.Contains(blob)).ToList())
            {
                report.Links += await content.Storage.RemoveBlobAsync(repository, blob, unusedSince, cancellationToken) ? 1 : 0;
            }
        }
        catch (OciException e)
        {
            // What a damaged manifest needs is not known: everything here is kept.
            LogDamaged(log, repository, e);
        }
    }

    /// <summary>Manifests that no tag leads to: not by an index, nor as the referrer of one that a tag leads to.</summary>
    private async Task<int> RemoveUntaggedAsync(RepositoryName repository, DateTimeOffset unusedSince, CancellationToken cancellationToken)
    {
        Dictionary<Digest, ManifestDocument> manifests = await ReadManifestsAsync(repository, cancellationToken);
        ILookup<Digest, Digest> referrers = manifests.Where(pair => pair.Value.Subject is not null).ToLookup(pair => pair.Value.Subject!.Value, pair => pair.Key);
        HashSet<Digest> reached = [];
        Stack<Digest> next = new();
        foreach (string tag in await content.Storage.ListTagsAsync(repository, cancellationToken))
        {
            if (await content.Storage.ResolveTagAsync(repository, tag, cancellationToken) is { } digest)
            {
                next.Push(digest);
            }
        }

        while (next.TryPop(out Digest digest))
        {
            if (reached.Add(digest) && manifests.TryGetValue(digest, out ManifestDocument? manifest))
            {
                foreach (Digest further in manifest.Children.Select(child => child.Digest).Concat(referrers[digest]))
                {
                    next.Push(further);
                }
            }
        }

        int removed = 0;
        foreach (Digest digest in manifests.Keys.Where(digest => !reached.Contains(digest)))
        {
            removed += await content.RemoveManifestAsync(repository, digest, unusedSince, cancellationToken) ? 1 : 0;
        }

        return removed;
    }

    /// <exception cref="OciException">One is damaged.</exception>
    private async Task<Dictionary<Digest, ManifestDocument>> ReadManifestsAsync(RepositoryName repository, CancellationToken cancellationToken)
    {
        Dictionary<Digest, ManifestDocument> manifests = [];
        foreach (Digest digest in content.Storage.EnumerateManifests(repository).ToList())
        {
            if (await content.Storage.ReadManifestAsync(repository, digest, cancellationToken) is { } bytes)
            {
                manifests.Add(digest, ManifestDocument.Parse(bytes));
            }
        }

        return manifests;
    }

    [LoggerMessage(10, LogLevel.Information, "garbage collected: {Report}")]
    private static partial void LogCollected(ILogger log, CollectionReport report);

    [LoggerMessage(12, LogLevel.Warning, "{Repository} has a damaged manifest: nothing of it is collected")]
    private static partial void LogDamaged(ILogger log, RepositoryName repository, Exception error);

    [LoggerMessage(11, LogLevel.Error, "garbage could not be collected")]
    private static partial void LogFailed(ILogger log, Exception error);
}

/// <param name="Interval">Between collections; zero: none by itself.</param>
/// <param name="Grace">How long what nothing needs is kept after its last use.</param>
/// <param name="UploadExpiry">How long an upload that nobody continues is kept.</param>
internal sealed record CollectionOptions(TimeSpan Interval, TimeSpan Grace, TimeSpan UploadExpiry, bool Untagged);
