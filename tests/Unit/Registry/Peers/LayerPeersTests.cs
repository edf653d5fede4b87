using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Slipway.Oci;
using Slipway.Registry.Distribution;
using Slipway.Registry.Peers;
using Slipway.Tests.Unit.Registry.Distribution;
using Xunit;

namespace Slipway.Tests.Unit.Registry.Peers;

/// <summary>Engines that share layers: the nearest first, nobody waited for, nobody believed without a certificate.</summary>
public sealed class LayerPeersTests : IAsyncLifetime
{
    private static readonly byte[] s_tar = RandomNumberGenerator.GetBytes(3_000_000);

    private readonly PeerAuthority _authority = new();
    private readonly List<LayerShare> _shares = [];
    private readonly List<LayerPeers> _clients = [];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static Digest DiffId { get; } = Digest.Of(s_tar);

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        _clients.ForEach(client => client.Dispose());
        foreach (var share in _shares)
        {
            await share.DisposeAsync();
        }

        _authority.Dispose();
    }

    [Fact]
    public async Task A_layer_comes_from_the_peer_that_has_it()
    {
        var without = await ShareAsync(new FakeLayers());
        var with = await ShareAsync(new FakeLayers(s_tar));
        var peers = Peers([without, with]);

        var layer = await peers.FindAsync(DiffId, Cancellation);
        Assert.Equal(with.EndPoint.ToString(), layer!.Peer);
        Assert.Equal(new Descriptor { MediaType = MediaTypes.OciLayer, Digest = DiffId, Size = s_tar.Length }, layer.Descriptor);
        Assert.Equal(s_tar, await ReadAsync(layer));
        Assert.Null(await peers.FindAsync(Digest.Of("unknown"u8), Cancellation));
    }

    [Fact]
    public async Task The_nearest_of_several_is_taken()
    {
        var far = new FakeLayers(s_tar) { Delay = TimeSpan.FromMilliseconds(300) };
        var near = new FakeLayers(s_tar);
        var shares = new[] { await ShareAsync(far), await ShareAsync(near) };
        var peers = Peers(shares);
        await peers.FindAsync(Digest.Of("warm up: connections and handshakes"u8), Cancellation);

        var layer = await peers.FindAsync(DiffId, Cancellation);
        Assert.Equal(shares[1].EndPoint.ToString(), layer!.Peer);
        Assert.Equal(s_tar, await ReadAsync(layer));
        Assert.Equal(0, far.Opened);
    }

    [Fact]
    public async Task A_peer_that_breaks_off_is_continued_by_another()
    {
        var breaking = new FakeLayers(s_tar) { BreaksAt = 2_000_000 };
        var slow = new FakeLayers(s_tar) { Delay = TimeSpan.FromMilliseconds(200) };
        var peers = Peers([await ShareAsync(breaking), await ShareAsync(slow)]);

        var layer = await peers.FindAsync(DiffId, Cancellation);
        Assert.Equal(s_tar, await ReadAsync(layer!));
        Assert.True(breaking.Opened >= 1);
        Assert.Equal(1, slow.Opened);
    }

    [Fact]
    public async Task A_layer_that_no_peer_finishes_fails_with_the_peers_name()
    {
        var share = await ShareAsync(new FakeLayers(s_tar) { BreaksAt = 1000 });
        var layer = await Peers([share]).FindAsync(DiffId, Cancellation);
        var error = await Assert.ThrowsAsync<RegistryException>(() => ReadAsync(layer!));
        Assert.Contains($"peer {share.EndPoint}", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_peer_that_does_not_answer_is_waited_for_once()
    {
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        var peers = new LayerPeers(new PeerConfiguration { Peers = [silent.LocalEndpoint.ToString()!, "127.0.0.1:1"], Tls = _authority.Issue("client") });
        _clients.Add(peers);

        var begin = Stopwatch.StartNew();
        Assert.Null(await peers.FindAsync(DiffId, Cancellation));
        Assert.InRange(begin.ElapsedMilliseconds, 300, 5000);
        begin.Restart();
        Assert.Null(await peers.FindAsync(DiffId, Cancellation));
        Assert.InRange(begin.ElapsedMilliseconds, 0, 250);
    }

    [Fact]
    public async Task A_peer_that_failed_is_asked_again_after_a_while()
    {
        var time = new FakeTime(skipsWaits: false);
        var layers = new FakeLayers(s_tar);
        var share = await ShareAsync(layers);
        var peers = Peers([share], time: time);
        (await peers.FindAsync(DiffId, Cancellation))!.Distrust();

        Assert.Null(await peers.FindAsync(DiffId, Cancellation));
        time.Advance(TimeSpan.FromMinutes(59));
        Assert.Null(await peers.FindAsync(DiffId, Cancellation));
        time.Advance(TimeSpan.FromMinutes(2));
        Assert.NotNull(await peers.FindAsync(DiffId, Cancellation));
        Assert.Equal(2, layers.Asked.Count);
    }

    [Theory]
    [InlineData("stranger")]
    [InlineData("server only")]
    [InlineData("expired")]
    public async Task An_engine_without_the_right_certificate_is_told_nothing(string who)
    {
        using var strangers = new PeerAuthority();
        var layers = new FakeLayers(s_tar);
        var share = await ShareAsync(layers);
        var tls = who switch
        {
            "stranger" => strangers.Issue("stranger", authority: _authority),
            "server only" => _authority.Issue("server", isClient: false),
            _ => _authority.Issue("expired", isExpired: true),
        };
        Assert.Null(await Peers([share], tls).FindAsync(DiffId, Cancellation));
        Assert.Empty(layers.Asked);
    }

    [Fact]
    public async Task A_caller_without_a_certificate_is_told_nothing()
    {
        var layers = new FakeLayers(s_tar);
        var share = await ShareAsync(layers);
        using var http = new HttpClient(new SocketsHttpHandler { SslOptions = { RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate!.Subject.StartsWith("CN=engine", StringComparison.Ordinal) } });
        await Assert.ThrowsAsync<HttpRequestException>(() => http.GetAsync(new Uri($"https://{share.EndPoint}/layers/{DiffId}"), Cancellation));
        Assert.Empty(layers.Asked);
    }

    [Fact]
    public async Task A_peer_without_the_right_certificate_is_not_believed()
    {
        using var strangers = new PeerAuthority();
        var impostor = await ShareAsync(new FakeLayers(s_tar), strangers.Issue("impostor", authority: _authority));
        var clientOnly = await ShareAsync(new FakeLayers(s_tar), _authority.Issue("client-only", isServer: false));
        Assert.Null(await Peers([impostor]).FindAsync(DiffId, Cancellation));
        Assert.Null(await Peers([clientOnly]).FindAsync(DiffId, Cancellation));
    }

    [Theory]
    [InlineData("GET", "/layers/../../etc/passwd", 404)]
    [InlineData("GET", "/layers/sha256:12", 404)]
    [InlineData("GET", "/layers/", 404)]
    [InlineData("GET", "/", 404)]
    [InlineData("GET", "/v2/", 404)]
    [InlineData("PUT", "/layers/{0}", 405)]
    [InlineData("DELETE", "/layers/{0}", 405)]
    public async Task Nothing_but_layers_is_served(string method, string path, int status)
    {
        var share = await ShareAsync(new FakeLayers(s_tar));
        using var http = ClientOf(share, _authority.Issue("client"));
        using var answer = await http.SendAsync(new HttpRequestMessage(new HttpMethod(method), string.Format(path, DiffId)), Cancellation);
        Assert.Equal(status, (int)answer.StatusCode);
    }

    [Fact]
    public async Task A_busy_engine_says_so()
    {
        var layers = new FakeLayers(s_tar) { Gate = new TaskCompletionSource() };
        var share = await ShareAsync(layers);
        using var http = ClientOf(share, _authority.Issue("client"));
        var transfers = Enumerable.Range(0, 4).Select(_ => http.GetAsync($"/layers/{DiffId}", Cancellation)).ToList();
        await WaitUntilAsync(() => layers.Opened == 4);

        using var refused = await http.GetAsync($"/layers/{DiffId}", Cancellation);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        layers.Gate.SetResult();
        foreach (var transfer in transfers)
        {
            using var answer = await transfer;
            Assert.Equal(s_tar.Length, (await answer.Content.ReadAsByteArrayAsync(Cancellation)).Length);
        }
    }

    [Theory]
    [InlineData("peer")]
    [InlineData("user@peer:1")]
    [InlineData("https://peer:1")]
    public void A_peer_that_cannot_be_meant_is_refused(string peer) =>
        Assert.Throws<FormatException>(() => new LayerPeers(new PeerConfiguration { Peers = [peer], Tls = _authority.Issue("client") }));

    [Fact]
    public void Sharing_needs_certificates()
    {
        Assert.Throws<FormatException>(() => new PeerConfiguration { Peers = ["peer:1"] }.Validate());
        Assert.Throws<FormatException>(() => new PeerConfiguration { Listen = "127.0.0.1:0" }.Validate());
        Assert.Throws<FormatException>(() => new LayerPeers(new PeerConfiguration { Peers = ["peer:1"], Tls = _authority.Issue("client") with { Key = "/nonexistent" } }));
        new PeerConfiguration().Validate();
    }

    private async Task<LayerShare> ShareAsync(FakeLayers layers, PeerTls? tls = null)
    {
        var share = await LayerShare.StartAsync(
            new PeerConfiguration { Listen = "127.0.0.1:0", Tls = tls ?? _authority.Issue($"engine{_shares.Count}") }, layers, _ => { }, Cancellation);
        _shares.Add(share);
        return share;
    }

    private LayerPeers Peers(IEnumerable<LayerShare> shares, PeerTls? tls = null, TimeProvider? time = null)
    {
        var peers = new LayerPeers(new PeerConfiguration { Peers = [.. shares.Select(share => share.EndPoint.ToString())], Tls = tls ?? _authority.Issue("client") }, time);
        _clients.Add(peers);
        return peers;
    }

    private static HttpClient ClientOf(LayerShare share, PeerTls tls) => new(new SocketsHttpHandler
    {
        SslOptions =
        {
            RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate!.Subject.StartsWith("CN=engine", StringComparison.Ordinal),
            ClientCertificates = [System.Security.Cryptography.X509Certificates.X509Certificate2.CreateFromPemFile(tls.Certificate, tls.Key)],
        },
    })
    { BaseAddress = new Uri($"https://{share.EndPoint}") };

    private static async Task<byte[]> ReadAsync(PeerLayer layer)
    {
        await using var stream = await layer.OpenAsync(Cancellation);
        using var content = new MemoryStream();
        await stream.CopyToAsync(content, Cancellation);
        return content.ToArray();
    }

    private static async Task WaitUntilAsync(Func<bool> condition)
    {
        while (!condition())
        {
            await Task.Delay(10, Cancellation);
        }
    }

    /// <summary>The layers of an engine that may be far away, or break off.</summary>
    private sealed class FakeLayers(byte[]? tar = null) : ISharedLayers
    {
        private int _opened;

        public TimeSpan Delay { get; init; }

        public int BreaksAt { get; init; } = int.MaxValue;

        public TaskCompletionSource? Gate { get; init; }

        public ConcurrentQueue<Digest> Asked { get; } = new();

        public int Opened => _opened;

        public async ValueTask<SharedLayer?> FindAsync(Digest diffId, CancellationToken cancellationToken)
        {
            Asked.Enqueue(diffId);
            await Task.Delay(Delay, cancellationToken);
            return tar is not null && diffId == Digest.Of(tar) ? new FakeLayer(this, tar) : null;
        }

        private sealed class FakeLayer(FakeLayers layers, byte[] tar) : SharedLayer
        {
            public override long Length => tar.Length;

            public override async ValueTask<Stream> OpenAsync(CancellationToken cancellationToken)
            {
                Interlocked.Increment(ref layers._opened);
                await (layers.Gate?.Task ?? Task.CompletedTask);
                return layers.BreaksAt < tar.Length ? new BreakingStream(tar, layers.BreaksAt) : new MemoryStream(tar);
            }

            public override ValueTask DisposeAsync() => ValueTask.CompletedTask;
        }

        private sealed class BreakingStream(byte[] content, int end) : MemoryStream(content)
        {
            public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
                Position < end ? base.ReadAsync(buffer[..(int)Math.Min(buffer.Length, end - Position)], cancellationToken) : throw new IOException("broken on purpose");
        }
    }
}
