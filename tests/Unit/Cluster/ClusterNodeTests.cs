using System.Collections.Concurrent;
using System.Net;
using Slipway.Engine;
using Slipway.Engine.Cluster;
using Slipway.Engine.Cluster.Keys;
using Slipway.Engine.Cluster.Links;
using Slipway.Engine.Cluster.Votes;
using Slipway.Networking;
using Slipway.Registry.Peers;
using Slipway.Storage.State;
using Slipway.Tests.Unit.Registry.Peers;
using Xunit;

namespace Slipway.Tests.Unit.Cluster;

/// <summary>Members that speak to each other by mutual TLS: 127.0.0.1 and 127.0.0.2.</summary>
public sealed class ClusterNodeTests : IAsyncDisposable
{
    private static readonly IPAddress s_first = IPAddress.Loopback;
    private static readonly IPAddress s_second = IPAddress.Parse("127.0.0.2");

    private readonly PeerAuthority _authority = new();
    private readonly List<ClusterNode> _nodes = [];
    private readonly IPEndPoint[] _members = [new(s_first, FreePort(s_first)), new(s_second, FreePort(s_second))];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        foreach (ClusterNode node in _nodes)
        {
            await node.DisposeAsync();
        }

        _authority.Dispose();
    }

    [Fact]
    public async Task Members_agree_and_what_one_has_the_other_is_refused()
    {
        (ClusterNode first, ClusterNode second) = (await OpenAsync(0), await OpenAsync(1));
        await first.StartAsync(pairs: null, Cancellation);
        Claim name = Claim.Name(TestCluster.Id(1), "backend");
        EngineException alone = await Assert.ThrowsAsync<EngineException>(() => first.ClaimAsync([name], "network backend", Cancellation));
        Assert.Equal(ErrorKind.Unavailable, alone.Kind);
        Assert.StartsWith("network backend: more than half of the cluster's members must agree, and of 2 1 answer (127.0.0.2: ", alone.Message, StringComparison.Ordinal);
        Assert.Empty(await first.UseAsync(state => state.Claims.All, Cancellation)); // nothing is left claimed

        await second.StartAsync(pairs: null, Cancellation);
        await UntilAsync(() => first.UseAsync(state => state.Voter.IsExperienced && state.Peers[0].IsAlive, Cancellation));
        await UntilAsync(() => second.UseAsync(state => state.Voter.IsExperienced && state.Peers[0].IsAlive, Cancellation));
        await first.ClaimAsync([name], "network backend", Cancellation);
        Assert.Equal([name], first.Owned);
        ClaimRefusedException refused = await Assert.ThrowsAsync<ClaimRefusedException>(() => second.ClaimAsync([name with { Network = TestCluster.Id(2) }], "network backend", Cancellation));
        Assert.Equal((name.Key, "127.0.0.1", TestCluster.Id(1)), (refused.Refusal.Key, refused.Refusal.Holder, refused.Refusal.Network));
        Assert.Empty(await second.UseAsync(state => state.Claims.All, Cancellation));
    }

    [Fact]
    public async Task What_is_had_is_remembered()
    {
        FakeValues values = new();
        ClusterNode first = await OpenAsync(0, values: values);
        ClusterNode second = await OpenAsync(1);
        await first.StartAsync(pairs: null, Cancellation);
        await second.StartAsync(pairs: null, Cancellation);
        Claim name = Claim.Name(TestCluster.Id(1), "backend");
        await UntilAsync(async () =>
        {
            try
            {
                await first.ClaimAsync([name], "network backend", Cancellation);
                return true;
            }
            catch (EngineException)
            {
                return false; // they have not met yet
            }
        });
        ClusterNode next = await OpenAsync(0, values: values);
        Assert.Equal([name], next.Owned);
    }

    [Fact]
    public async Task A_member_by_another_authority_is_refused_and_believed_nothing()
    {
        using PeerAuthority stranger = new();
        ClusterNode node = await OpenAsync(0);
        await node.StartAsync(pairs: null, Cancellation);
        PeerTls tls = stranger.Issue("stranger", authority: _authority, address: s_second);
        await AssertRefusedAsync(node, tls);
    }

    [Fact]
    public async Task A_member_speaks_for_its_own_address_alone()
    {
        ClusterNode node = await OpenAsync(0);
        await node.StartAsync(pairs: null, Cancellation);
        PeerTls tls = _authority.Issue("third", address: IPAddress.Parse("127.0.0.3")); // of the cluster's authority, for another address
        await AssertRefusedAsync(node, tls);
    }

    [Fact]
    public async Task Members_give_each_other_keys_and_nobody_else_any()
    {
        FakeEspPairs[] pairs = [new(TimeProvider.System), new(TimeProvider.System)];
        await (await OpenAsync(0)).StartAsync(pairs[0], Cancellation);
        PeerTls third = _authority.Issue("third", address: IPAddress.Parse("127.0.0.3")); // of the cluster's authority, for another address
        using ClusterClient stranger = new(third);
        KeyRequest lie = new() { From = s_second.ToString(), Wants = true };
        await Assert.ThrowsAsync<ClusterConnectionException>(() => stranger.AskAsync(_members[0], lie, Cancellation));
        await Assert.ThrowsAsync<ClusterConnectionException>(() => stranger.AskAsync(_members[0], lie with { From = "127.0.0.3" }, Cancellation));
        Assert.Empty(pairs[0].Receiving);

        await (await OpenAsync(1)).StartAsync(pairs[1], Cancellation);
        await UntilAsync(() => Task.FromResult(Array.TrueForAll(pairs, pair => pair.Sending.Count == 1)));
        for (int i = 0; i < 2; i++)
        {
            uint spi = pairs[i].Sending[0].Spi;
            Assert.Equal(pairs[1 - i].Secrets[spi], pairs[i].Secrets[spi]);
        }
    }

    [Fact]
    public async Task A_member_whose_kernel_refuses_gives_no_key_until_it_does_not()
    {
        FakeEspPairs[] pairs = [new(TimeProvider.System), new(TimeProvider.System)];
        pairs[0].Failure = new NetworkException(NetworkErrorKind.Conflict, "another program has a policy");
        await (await OpenAsync(0)).StartAsync(pairs[0], Cancellation);
        using (ClusterClient second = new(_authority.Issue("second", address: s_second)))
        {
            ClusterConnectionException refused = await Assert.ThrowsAsync<ClusterConnectionException>(() => second.AskAsync(_members[0], new KeyRequest { From = s_second.ToString(), Wants = true }, Cancellation));
            Assert.Equal("it answers 503", refused.Message);
        }

        await (await OpenAsync(1)).StartAsync(pairs[1], Cancellation);
        pairs[0].Failure = null;
        await UntilAsync(() => Task.FromResult(Array.TrueForAll(pairs, pair => pair.Sending.Count == 1)));
    }

    [Fact]
    public async Task A_member_without_encrypted_networks_gives_no_key()
    {
        await (await OpenAsync(0)).StartAsync(pairs: null, Cancellation);
        using ClusterClient second = new(_authority.Issue("second", address: s_second));
        KeyAnswer answer = await second.AskAsync(_members[0], new KeyRequest { From = s_second.ToString(), Wants = true }, Cancellation);
        Assert.Equal((null, 0u, null), (answer.Receiving, answer.Spi, answer.Secret));
    }

    [Fact]
    public async Task A_message_that_is_too_long_is_refused()
    {
        ClusterNode node = await OpenAsync(0);
        await node.StartAsync(pairs: null, Cancellation);
        using HttpMessageInvoker http = PeerConnections.Open(_authority.Issue("second", address: s_second), TimeSpan.FromSeconds(10));
        using HttpRequestMessage request = new(HttpMethod.Post, new Uri($"https://{_members[0]}{ClusterServer.PushPath}")) { Content = new ByteArrayContent(new byte[ClusterServer.MaxMessage + 1]) };
        try
        {
            using HttpResponseMessage response = await http.SendAsync(request, Cancellation);
            Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
        }
        catch (HttpRequestException error)
        {
            // The server has closed the connection before all was sent.
            Assert.IsAssignableFrom<IOException>(error.InnerException);
        }
    }

    [Theory]
    [InlineData("GET", "/cluster/v1/push")]
    [InlineData("POST", "/")]
    [InlineData("POST", "/containers/json")]
    public async Task Nothing_else_is_served(string method, string path)
    {
        ClusterNode node = await OpenAsync(0);
        await node.StartAsync(pairs: null, Cancellation);
        using HttpMessageInvoker http = PeerConnections.Open(_authority.Issue("second", address: s_second), TimeSpan.FromSeconds(10));
        using HttpRequestMessage request = new(new HttpMethod(method), new Uri($"https://{_members[0]}{path}"));
        using HttpResponseMessage response = await http.SendAsync(request, Cancellation);
        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
    }

    [Fact]
    public async Task Certificates_that_cannot_be_read_and_an_address_of_another_host_are_refused()
    {
        ClusterNode node = await OpenAsync(0, tls: new PeerTls { CertificateAuthority = "/nonexistent/ca.pem", Certificate = "/nonexistent/cert.pem", Key = "/nonexistent/key.pem" });
        EngineException unreadable = await Assert.ThrowsAsync<EngineException>(() => node.StartAsync(pairs: null, Cancellation));
        Assert.StartsWith("cluster: cluster.tls: ", unreadable.Message, StringComparison.Ordinal);
        ClusterNode elsewhere = await OpenAsync(0, listen: new IPEndPoint(IPAddress.Parse("203.0.113.1"), 2377));
        Assert.StartsWith("cluster: cannot listen on 203.0.113.1:2377", (await Assert.ThrowsAsync<EngineException>(() => elsewhere.StartAsync(pairs: null, Cancellation))).Message, StringComparison.Ordinal);
    }

    private static int FreePort(IPAddress address)
    {
        using System.Net.Sockets.TcpListener listener = new(address, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static async Task UntilAsync(Func<Task<bool>> condition)
    {
        while (!await condition())
        {
            await Task.Delay(20, Cancellation);
        }
    }

    private async Task AssertRefusedAsync(ClusterNode node, PeerTls tls)
    {
        using ClusterClient client = new(tls);
        ClusterState liar = new(s_second.ToString(), [.. _members.Select(member => member.Address.ToString())], new ClusterMemory(null, null, null), TimeProvider.System);
        await Assert.ThrowsAsync<ClusterConnectionException>(() => client.SendAsync(_members[0], liar.PushTo(liar.Peers[0]), Cancellation));
        Assert.Null(await node.UseAsync(state => state.Peers[0].Heard, Cancellation));
    }

    private async Task<ClusterNode> OpenAsync(int member, FakeValues? values = null, PeerTls? tls = null, IPEndPoint? listen = null)
    {
        ClusterConfiguration configuration = new()
        {
            Listen = listen ?? _members[member],
            Advertise = _members[member].Address,
            Members = _members,
            Tls = tls ?? _authority.Issue($"member{member}", address: _members[member].Address),
        };
        ClusterNode node = await ClusterNode.OpenAsync(configuration, values ?? new FakeValues(), new NoLog(), TimeProvider.System, Cancellation);
        _nodes.Add(node);
        return node;
    }

    private sealed class FakeValues : IKeyValueTable
    {
        private readonly ConcurrentDictionary<string, byte[]> _values = [];

        public Task<byte[]?> GetAsync(string key, CancellationToken cancellationToken) => Task.FromResult(_values.GetValueOrDefault(key));

        public Task SetAsync(string key, byte[] value, CancellationToken cancellationToken)
        {
            _values[key] = value;
            return Task.CompletedTask;
        }

        public Task<bool> DeleteAsync(string key, CancellationToken cancellationToken) => Task.FromResult(_values.TryRemove(key, out _));
    }

    private sealed class NoLog : IEngineLog
    {
        public void Write(EngineLogLevel level, string message, Exception? exception = null)
        {
            // Tests look at what members know, not at what they tell their operator.
        }
    }
}
