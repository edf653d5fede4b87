using System.Collections.Concurrent;
using Slipway.Oci;

namespace Slipway.Registry.Server;

/// <summary>A manifest ready to be answered.</summary>
internal sealed class ManifestEntry(Digest digest, byte[] content, string mediaType)
{
    public Digest Digest { get; } = digest;

    public byte[] Content { get; } = content;

    public string MediaType { get; } = mediaType;

    public string DigestText { get; } = digest.ToString();

    /// <summary>A strong validator (RFC 9110, 8.8.3): the content has no other name that would fit as well.</summary>
    public string ETag { get; } = $"\"{digest}\"";

    /// <summary>Bytes it holds in memory, about.</summary>
    public int Cost => Content.Length + 512;
}

/// <summary>
/// Manifests by repository and tag or digest, in bounded memory: entries of two generations, the older of which is dropped when the younger
/// has filled its half. This process alone changes the storage, so an entry is right until it is removed; a stamp keeps
/// out what was read before a change and arrives after it.
/// </summary>
/// <param name="capacity">Bytes.</param>
internal sealed class ManifestCache(long capacity)
{
    private readonly Lock _gate = new();
    private readonly long[] _stamps = new long[256];
    private volatile ConcurrentDictionary<Key, ManifestEntry> _young = new();
    private volatile ConcurrentDictionary<Key, ManifestEntry> _old = new();
    private long _youngCost;

    public ManifestEntry? Find(RepositoryName repository, string reference)
    {
        Key key = new(repository, reference);
        if (_young.TryGetValue(key, out ManifestEntry? entry))
        {
            return entry;
        }

        // The stamp is taken first, so an entry that is removed meanwhile is not brought back.
        long stamp = Stamp(repository);
        return _old.TryGetValue(key, out entry) ? Add(repository, reference, entry, stamp) : null;
    }

    /// <summary>Taken before the storage is read; given to <see cref="Add"/> with what was found there.</summary>
    public long Stamp(RepositoryName repository) => Volatile.Read(ref _stamps[Slot(repository)]);

    public ManifestEntry Add(RepositoryName repository, string reference, ManifestEntry entry, long stamp)
    {
        lock (_gate)
        {
            if (_stamps[Slot(repository)] == stamp && _young.TryAdd(new Key(repository, reference), entry))
            {
                _youngCost += entry.Cost;
                if (_youngCost > capacity / 2)
                {
                    _old = _young;
                    _young = new ConcurrentDictionary<Key, ManifestEntry>();
                    _youngCost = 0;
                }
            }
        }

        return entry;
    }

    /// <summary>To be called after the storage was changed and before anybody is told.</summary>
    public void Remove(RepositoryName repository, params IEnumerable<string> references)
    {
        lock (_gate)
        {
            _stamps[Slot(repository)]++;
            foreach (string reference in references)
            {
                Key key = new(repository, reference);
                if (_young.TryRemove(key, out ManifestEntry? entry))
                {
                    _youngCost -= entry.Cost;
                }

                _old.TryRemove(key, out _);
            }
        }
    }

    private int Slot(RepositoryName repository) => (int)((uint)repository.GetHashCode() % (uint)_stamps.Length);

    private readonly record struct Key(RepositoryName Repository, string Reference);
}
