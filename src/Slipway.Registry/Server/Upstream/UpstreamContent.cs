using System.Collections.Concurrent;
using Slipway.Oci;
using Slipway.Registry.Distribution;
using Slipway.Registry.Server.Http;
using Slipway.Registry.Server.Storage;

namespace Slipway.Registry.Server.Upstream;

/// <summary>
/// A cache of another registry: what is here is answered, what is not is fetched, verified by its digest, kept and answered. Clients that
/// want the same at the same time share one fetch, which goes on when they leave. The other registry is asked with the configured credentials
/// and with nothing a client sent.
/// </summary>
internal sealed class UpstreamContent : IContentSource, IDisposable
{
    private const int CopySize = 128 * 1024;

    private readonly RegistryContent _content;
    private readonly IDistribution _upstream;
    private readonly string _host;
    private readonly RegistryCredentials? _credentials;
    private readonly TimeSpan _tagLifetime;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stopping = new();
    private readonly ConcurrentDictionary<string, long> _tagsSeen = new();
    private readonly SharedFetches<ManifestEntry?> _manifests = new();
    private readonly Dictionary<string, IncomingBlob> _blobs = [];

    /// <param name="host">The other registry, as in image names.</param>
    /// <param name="credentials">For it; null for none.</param>
    public UpstreamContent(RegistryContent content, IDistribution upstream, string host, RegistryCredentials? credentials, TimeSpan tagLifetime, TimeProvider time) =>
        (_content, _upstream, _host, _credentials, _tagLifetime, _time) = (content, upstream, host, credentials, tagLifetime, time);

    public async ValueTask<ManifestEntry?> FindManifestAsync(RepositoryName repository, string reference, CancellationToken cancellationToken)
    {
        string key = $"{repository}:{reference}";
        if (await _content.FindManifestAsync(repository, reference, cancellationToken) is { } here && (Digest.TryParse(reference, out _) || IsFresh(key)))
        {
            return here;
        }

        return await _manifests.GetAsync(key, () => FetchManifestAsync(repository, reference, key, _stopping.Token), cancellationToken);
    }

    public async ValueTask<long?> FindBlobAsync(RepositoryName repository, Digest digest, CancellationToken cancellationToken) =>
        await _content.Storage.FindBlobAsync(repository, digest, cancellationToken) ?? (await DescribeAsync(repository, digest, cancellationToken))?.Size;

    public async ValueTask<BlobContent?> OpenBlobAsync(RepositoryName repository, Digest digest, CancellationToken cancellationToken)
    {
        if (await _content.Storage.OpenBlobAsync(repository, digest, cancellationToken) is { } here)
        {
            return here;
        }

        // A manifest of the repository must need it: this is no way to have the other registry asked for whatever a client names.
        if (await DescribeAsync(repository, digest, cancellationToken) is not { } descriptor)
        {
            return null;
        }

        IncomingBlob incoming;
        string key = $"{repository}@{digest}";
        lock (_blobs)
        {
            if (!_blobs.TryGetValue(key, out incoming!))
            {
                _blobs[key] = incoming = new IncomingBlob(descriptor.Size);
                _ = FetchBlobAsync(repository, descriptor, key, incoming, _stopping.Token);
            }
        }

        return await incoming.OpenAsync(cancellationToken) ?? await _content.Storage.OpenBlobAsync(repository, digest, cancellationToken);
    }

    public void Dispose()
    {
        _stopping.Cancel();
        _stopping.Dispose();
    }

    private bool IsFresh(string key) => _tagsSeen.TryGetValue(key, out long seen) && _time.GetElapsedTime(seen) < _tagLifetime;

    private async Task<ManifestEntry?> FetchManifestAsync(RepositoryName repository, string reference, string key, CancellationToken cancellationToken)
    {
        ManifestEntry? here = await _content.FindManifestAsync(repository, reference, cancellationToken);
        try
        {
            await using IRemoteRepository remote = Open(repository);
            bool isTag = !Digest.TryParse(reference, out Digest wanted);
            if (isTag)
            {
                wanted = (await remote.ResolveAsync(reference, cancellationToken)).Digest;
            }

            byte[] bytes = await _content.Storage.ReadManifestAsync(repository, wanted, cancellationToken)
                ?? (await remote.GetManifestAsync(wanted.ToString(), cancellationToken)).Content.ToArray();
            ManifestEntry entry = await _content.KeepManifestAsync(repository, bytes, wanted, isTag ? [reference] : [], cancellationToken);
            _tagsSeen[key] = _time.GetTimestamp();
            return entry;
        }
        catch (RegistryException e) when (e.Kind == RegistryErrorKind.NotFound)
        {
            return null;
        }
        catch (RegistryException) when (here is not null)
        {
            // The other registry cannot be asked: what was right when it could is better than nothing.
            return here;
        }
        catch (Exception e) when (e is RegistryException or OciException)
        {
            throw RegistryError.Unavailable($"the registry behind this cache: {e.Message}");
        }
    }

    /// <summary>Fetches a blob to its end, whoever waits for it; how it went is told through <paramref name="incoming"/>.</summary>
    private async Task FetchBlobAsync(RepositoryName repository, Descriptor descriptor, string key, IncomingBlob incoming, CancellationToken cancellationToken)
    {
        Exception? failure = null;
        try
        {
            await Task.Yield();

            // An earlier fetch may have come to its end between the look at the storage and this one's beginning.
            if (await _content.Storage.FindBlobAsync(repository, descriptor.Digest, cancellationToken) is null)
            {
                await KeepBlobAsync(repository, descriptor, incoming, cancellationToken);
            }
        }
        catch (RegistryException e) when (e.Kind == RegistryErrorKind.NotFound)
        {
            failure = RegistryError.BlobUnknown();
        }
        catch (RegistryException e)
        {
            failure = RegistryError.Unavailable($"the registry behind this cache: {e.Message}");
        }
        catch (Exception e)
        {
            failure = e;
        }

        lock (_blobs)
        {
            _blobs.Remove(key);
        }

        incoming.End(failure);
    }

    private async Task KeepBlobAsync(RepositoryName repository, Descriptor descriptor, IncomingBlob incoming, CancellationToken cancellationToken)
    {
        using IBlobUpload upload = await _content.Storage.BeginUploadAsync(repository, cancellationToken);
        try
        {
            await ReceiveAsync(repository, descriptor, upload, incoming, cancellationToken);
            if (!await upload.CommitAsync(descriptor.Digest, cancellationToken))
            {
                throw RegistryError.Unavailable($"the registry behind this cache sent something else than {descriptor.Digest}");
            }
        }
        catch
        {
            upload.Cancel();
            throw;
        }
    }

    private async Task ReceiveAsync(RepositoryName repository, Descriptor descriptor, IBlobUpload upload, IncomingBlob incoming, CancellationToken cancellationToken)
    {
        await using IRemoteRepository remote = Open(repository);
        await using Stream source = await remote.OpenBlobAsync(descriptor, 0, cancellationToken);
        incoming.Begin(upload.OpenRead());
        byte[] buffer = new byte[CopySize];
        for (int count; (count = await source.ReadAsync(buffer, cancellationToken)) > 0;)
        {
            upload.Write(buffer.AsSpan(0, count));
            incoming.Advance(upload.Length);
        }
    }

    private IRemoteRepository Open(RepositoryName repository) => _upstream.Open(Reference.Parse($"{_host}/{repository}"), RegistryAccess.Pull, _credentials);

    /// <summary>The blob as a manifest of the repository describes it.</summary>
    private async ValueTask<Descriptor?> DescribeAsync(RepositoryName repository, Digest digest, CancellationToken cancellationToken)
    {
        foreach (Digest manifest in _content.Storage.EnumerateManifests(repository))
        {
            if (await _content.FindManifestAsync(repository, manifest.ToString(), cancellationToken) is { } entry
                && ManifestDocument.Parse(entry.Content).Blobs.FirstOrDefault(blob => blob.Digest == digest) is { } found)
            {
                return found;
            }
        }

        return null;
    }
}
