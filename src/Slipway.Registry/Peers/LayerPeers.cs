using System.Net;
using Slipway.Oci;
using Slipway.Registry.Distribution;
using Slipway.Registry.Distribution.Transfer;
using Slipway.Registry.Distribution.Transport;

namespace Slipway.Registry.Peers;

/// <summary>
/// Other engines that may have a layer. All are asked at once, so the first that has it is the nearest; one that fails is left out for a
/// while, so that a pull never waits for it twice. What they send is verified by whoever reads it.
/// </summary>
public sealed class LayerPeers : IDisposable
{
    /// <summary>A layer with fewer bytes is faster fetched than asked for.</summary>
    public const long SmallestLayer = 64 << 10;

    /// <summary>How long peers are asked whether they have a layer: they are near, or they are not worth it.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(500);

    private static readonly RetrySettings Transfers = new()
    {
        Attempts = 2,
        FirstDelay = TimeSpan.FromMilliseconds(100),
        ConnectTimeout = Patience,
        AnswerTimeout = TimeSpan.FromSeconds(10),
        IdleTimeout = TimeSpan.FromSeconds(5),
    };

    private readonly TimeProvider _clock;
    private readonly HttpMessageInvoker _http;
    private readonly RequestSender _sender;
    private readonly IReadOnlyList<Peer> _peers;

    /// <exception cref="FormatException">The configuration cannot be meant, or its certificates cannot be read.</exception>
    public LayerPeers(PeerConfiguration configuration, TimeProvider? clock = null)
    {
        configuration.Validate();
        _clock = clock ?? TimeProvider.System;
        _http = new HttpMessageInvoker(Handler(new PeerCertificates(configuration.Tls ?? throw new FormatException("sharing layers needs layer-tls: engines know each other by certificates"))));
        _sender = new RequestSender(_http.SendAsync, Transfers, _clock);
        _peers = [.. configuration.Peers.Select(peer => new Peer(new Uri($"https://{peer}/")))];
    }

    /// <summary>The layer at the nearest peer that has it; null where none has, or answers in time.</summary>
    /// <param name="diffId">Digest of the uncompressed tar.</param>
    public async Task<PeerLayer?> FindAsync(Digest diffId, CancellationToken cancellationToken)
    {
        var now = _clock.GetUtcNow();
        using var patience = new CancellationTokenSource(Patience, _clock);
        using var asking = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        var questions = _peers.Where(peer => peer.IsAskedAt(now)).Select(peer => AskAsync(peer, diffId, patience.Token, asking.Token)).ToList();
        PeerLayer? found = null;
        while (questions.Count > 0 && found is null)
        {
            var answered = await Task.WhenAny(questions).ConfigureAwait(false);
            questions.Remove(answered);
            var (peer, length) = await answered.ConfigureAwait(false);
            found = length is { } size ? new PeerLayer(this, new Descriptor { MediaType = MediaTypes.OciLayer, Digest = diffId, Size = size }, peer) : null;
        }

        await asking.CancelAsync().ConfigureAwait(false);
        await Task.WhenAll(questions).ConfigureAwait(false);
        cancellationToken.ThrowIfCancellationRequested();
        return found;
    }

    public void Dispose() => _http.Dispose();

    /// <summary>Opens a layer at a peer, and where that one breaks off at the others, nearest first.</summary>
    internal async Task<Stream> OpenAsync(Peer first, Descriptor layer, CancellationToken cancellationToken)
    {
        var now = _clock.GetUtcNow();
        var others = _peers.Where(peer => peer != first && peer.IsAskedAt(now)).OrderBy(peer => peer.Latency);
        return await BlobStream.OpenAsync([.. others.Prepend(first).Select(peer => new PeerSource(peer, _sender, _clock))], layer, 0, _clock, cancellationToken).ConfigureAwait(false);
    }

    internal void Distrust(Peer peer) => peer.Distrust(_clock.GetUtcNow());

    /// <summary>Asks one peer; never fails, and leaves one out that did.</summary>
    private async Task<(Peer Peer, long? Length)> AskAsync(Peer peer, Digest diffId, CancellationToken patience, CancellationToken cancellationToken)
    {
        var begin = _clock.GetTimestamp();
        try
        {
            using var request = PeerSource.Request(HttpMethod.Head, peer, diffId);
            using var answer = await _sender.SendAsync(request, cancellationToken).ConfigureAwait(false);
            peer.Answered(_clock.GetElapsedTime(begin));
            return (peer, answer.StatusCode == HttpStatusCode.OK ? answer.Content.Headers.ContentLength : null);
        }
        catch (Exception error) when (error is ConnectionException or OperationCanceledException)
        {
            // Cut short by another's answer, or by the caller, is no failure of this peer.
            if (error is ConnectionException || patience.IsCancellationRequested)
            {
                peer.Failed(_clock.GetUtcNow());
            }

            return (peer, null);
        }
    }

    private static SocketsHttpHandler Handler(PeerCertificates certificates) => new()
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        UseProxy = false,
        AutomaticDecompression = DecompressionMethods.None,
        ActivityHeadersPropagator = null,
        ConnectTimeout = Transfers.ConnectTimeout,
        PooledConnectionIdleTimeout = TimeSpan.FromSeconds(30),
        SslOptions = certificates.ClientOptions(),
    };
}

/// <summary>A layer that a peer says it has.</summary>
public sealed class PeerLayer
{
    private readonly LayerPeers _peers;
    private readonly Peer _peer;

    internal PeerLayer(LayerPeers peers, Descriptor descriptor, Peer peer) => (_peers, Descriptor, _peer) = (peers, descriptor, peer);

    /// <summary>Of the uncompressed tar: its digest is the layer's diff id.</summary>
    public Descriptor Descriptor { get; }

    /// <summary>Host and port.</summary>
    public string Peer => _peer.Address.Authority;

    /// <summary>Its bytes, not verified.</summary>
    /// <exception cref="RegistryException">No peer has it any more.</exception>
    public Task<Stream> OpenAsync(CancellationToken cancellationToken) => _peers.OpenAsync(_peer, Descriptor, cancellationToken);

    /// <summary>What came was not the layer: the peer is not asked again for an hour.</summary>
    public void Distrust() => _peers.Distrust(_peer);
}
