using System.Net.Http.Headers;
using Slipway.Oci;
using Slipway.Registry.Distribution.Transfer;
using Slipway.Registry.Distribution.Transport;

namespace Slipway.Registry.Peers;

/// <summary>What is known of another engine: how near it is, and whether it is worth asking.</summary>
internal sealed class Peer(Uri address)
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan Mistrust = TimeSpan.FromHours(1);

    private readonly Lock _lock = new();
    private DateTimeOffset _askedFrom;
    private int _failures;

    public Uri Address => address;

    /// <summary>Of its answers, the newest counting for a quarter.</summary>
    public TimeSpan Latency { get; private set; } = TimeSpan.MaxValue;

    public bool IsAskedAt(DateTimeOffset now)
    {
        lock (_lock)
        {
            return now >= _askedFrom;
        }
    }

    public void Answered(TimeSpan latency)
    {
        lock (_lock)
        {
            Latency = Latency == TimeSpan.MaxValue ? latency : (Latency * 0.75) + (latency * 0.25);
            _failures = 0;
        }
    }

    /// <summary>Leaves it out for a time that doubles with each failure.</summary>
    public void Failed(DateTimeOffset now)
    {
        lock (_lock)
        {
            var pause = TimeSpan.FromTicks(Math.Min(Pause.Ticks << Math.Min(_failures++, 10), LongestPause.Ticks));
            _askedFrom = now + pause > _askedFrom ? now + pause : _askedFrom;
        }
    }

    public void Distrust(DateTimeOffset now)
    {
        lock (_lock)
        {
            _askedFrom = now + Mistrust;
        }
    }
}

/// <summary>The layers of one peer.</summary>
internal sealed class PeerSource(Peer peer, RequestSender sender, TimeProvider clock) : IBlobSource
{
    public string Name => $"peer {peer.Address.Authority}";

    public RequestSender Sender => sender;

    public static HttpRequestMessage Request(HttpMethod method, Peer peer, Digest diffId) => new(method, new Uri(peer.Address, $"layers/{diffId}"));

    public async Task<BlobBody> OpenAsync(Descriptor blob, long offset, EntityTagHeaderValue? entityTag, CancellationToken cancellationToken)
    {
        try
        {
            using var request = Request(HttpMethod.Get, peer, blob.Digest);
            request.Headers.Range = offset > 0 ? new RangeHeaderValue(offset, null) : null;
            var answer = await sender.SendAsync(request, cancellationToken).ConfigureAwait(false);
            return await BlobAnswer.ReadAsync(answer, blob, offset, cancellationToken).ConfigureAwait(false);
        }
        catch (ConnectionException error)
        {
            peer.Failed(clock.GetUtcNow());
            throw new Distribution.RegistryException(Distribution.RegistryErrorKind.Unavailable, $"{Name}: {error.Message}", error);
        }
    }
}
