using System.Net;
using System.Net.Sockets;
using System.Text;
using Slipway.Kernel.Netlink;
using Slipway.Networking;
using Xunit;

namespace Slipway.Tests.Kernel.Networking;

/// <summary>A published port is a port of the host: what the host's input chain closes is closed, and what it opens is open (decision 13).</summary>
public sealed class InputPolicyTests : IAsyncLifetime
{
    private const string All = "8080 8081 5353 | 8080 8081 5353";

    private const string Drop =
        "add table inet host; add chain inet host input { type filter hook input priority 0; policy drop; }; "
        + "add rule inet host input icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept; ";

    private PublishedPortsLab _ports = null!;

    private NetworkLab Lab => _ports.Lab;

    public async ValueTask InitializeAsync() => _ports = await PublishedPortsLab.CreateAsync(PortAdmission.Input);

    public ValueTask DisposeAsync() => _ports.DisposeAsync();

    [Fact]
    public async Task A_policy_of_nftables_that_drops_closes_ports_and_a_set_opens_some()
    {
        Assert.Equal(All, await _ports.OpenAsync());
        Lab.Run("nft", Drop + "add set inet host open { type inet_service; }; "
            + "add rule inet host input ct state established,related accept; add rule inet host input iif lo accept; add rule inet host input iifname wan tcp dport @open accept");
        Assert.Equal("|", await _ports.OpenAsync());

        // The host itself is not outside.
        Assert.StartsWith("served ", await NetworkLab.AskTcpAsync(Lab.Host, IPAddress.Loopback, 8081), StringComparison.Ordinal);
        Assert.StartsWith("served ", await NetworkLab.AskTcpAsync(Lab.Host, NetworkLab.HostAddress, 8081), StringComparison.Ordinal);

        Lab.Run("nft", "add element inet host open { 22, 8081 }");
        Assert.Equal("8081 | 8081", await _ports.OpenAsync());
        Lab.Run("nft", "delete element inet host open { 8081 }");
        Assert.Equal("|", await _ports.OpenAsync());
    }

    [Theory]
    [InlineData("iptables-nft", "ip6tables-nft")]
    [InlineData("iptables-legacy", "ip6tables-legacy")]
    public async Task Rules_of_iptables_decide_with_all_their_matches(string ipv4, string ipv6)
    {
        foreach (string program in (string[])[ipv4, ipv6])
        {
            Lab.Run(program, "-w", "-N", "users");
            Lab.Run(program, "-w", "-A", "INPUT", "-m", "conntrack", "--ctstate", "ESTABLISHED,RELATED", "-j", "ACCEPT");
            Lab.Run(program, "-w", "-A", "INPUT", "-m", "addrtype", "--dst-type", "LOCAL", "-m", "conntrack", "--ctstate", "NEW", "-j", "users");
            Lab.Run(program, "-w", "-A", "users", "-i", "wan", "-p", "tcp", "-m", "multiport", "--dports", "22,8080", "-m", "limit", "--limit", "100/sec", "-j", "ACCEPT");
            Lab.Run(program, "-w", "-A", "users", "-p", "tcp", "--dport", "8081", "-j", "REJECT", "--reject-with", "tcp-reset");
        }

        Lab.Run(ipv6, "-w", "-A", "INPUT", "-p", "ipv6-icmp", "-j", "ACCEPT");
        foreach (string program in (string[])[ipv4, ipv6])
        {
            Lab.Run(program, "-w", "-P", "INPUT", "DROP");
        }

        Assert.Equal("8080 | 8080", await _ports.OpenAsync());
        Assert.Equal(nameof(SocketError.ConnectionRefused), await NetworkLab.AskTcpAsync(Lab.Outside, NetworkLab.HostAddress, 8081));
    }

    [Fact]
    public async Task The_forward_chain_sees_established_connections_only_and_addresses_stay()
    {
        Lab.Run("nft", "add table inet host; add chain inet host forward { type filter hook forward priority 10; policy drop; }; add rule inet host forward ct state established,related accept");

        // A reverse path filter as strict as there is.
        await Lab.Host.RunAsync(() => File.WriteAllText("/proc/sys/net/ipv4/conf/all/rp_filter", "1"), TestContext.Current.CancellationToken);
        Assert.Equal(All, await _ports.OpenAsync());
        Assert.Equal($"served {NetworkLab.OutsideAddress}", await NetworkLab.AskTcpAsync(Lab.Outside, NetworkLab.HostAddress, 8080));
        Assert.Equal("served 2001:db8::2", await NetworkLab.AskUdpAsync(Lab.Outside, NetworkLab.HostAddress6, 5353));
    }

    [Fact]
    public async Task The_chain_is_asked_while_no_engine_runs()
    {
        await _ports.Network.DisposeAsync();
        await _ports.Engine.DisposeAsync();
        Assert.Equal(All, await _ports.OpenAsync());
        Lab.Run("nft", Drop + "add rule inet host input tcp dport 8080 accept");
        Assert.Equal("8080 | 8080", await _ports.OpenAsync());
    }

    [Fact]
    public async Task Containers_of_other_networks_are_asked_too_and_those_of_internal_ones_do_not_get_out()
    {
        await using BridgeNetwork other = new(PublishedPortsLab.Options with { BridgeName = "br-other", Ipv6 = new Ipv6Options { Address = (IPAddress.Parse("fd00:6::1"), 64) } }, TimeProvider.System, _ports.Engine);
        await other.EnsureAsync(TestContext.Current.CancellationToken);
        (_, NamespaceThread client) = await Lab.RunAsync(other, "client");
        Assert.Equal(All, await _ports.OpenAsync(client));
        (_, NamespaceThread sibling) = await Lab.RunAsync(_ports.Network, "sibling");
        Assert.Equal(All, await _ports.OpenAsync(sibling));
        Lab.Run("nft", Drop + "add rule inet host input iifname br-other tcp dport 8080 accept");
        Assert.Equal(["8080 | 8080", "|"], await Task.WhenAll(_ports.OpenAsync(client), _ports.OpenAsync(sibling)));

        await using BridgeNetwork inner = new(new BridgeOptions { BridgeName = "br-inner", Internal = true, PoolSize = 0, IsolatedPoolSize = 0 }, TimeProvider.System, _ports.Engine);
        NetworkInfo info = await inner.EnsureAsync(TestContext.Current.CancellationToken);
        (_, NamespaceThread prisoner) = await Lab.RunAsync(inner, "prisoner");
        Lab.Run("nft", "flush ruleset inet");
        Assert.Equal("timeout", await NetworkLab.AskTcpAsync(prisoner, info.Ipv4!.Gateway, 8080));
    }

    [Fact]
    public async Task A_first_datagram_in_fragments_arrives_whole()
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        using Socket socket = await Lab.Outside.RunAsync(() => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp), cancel);
        NamespaceThread server = _ports.Inside;
        using Socket sizes = await server.RunAsync(() => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp), cancel);
        sizes.Bind(new IPEndPoint(IPAddress.Any, 54));
        await _ports.Network.ChangePortsAsync("server", "server", [], [new PortRequest(PortProtocol.Udp, 54, HostPort: 5454)], cancel);
        byte[] sent = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Range(0, 1500).Select(i => i.ToString("D4", System.Globalization.CultureInfo.InvariantCulture))));
        await socket.SendToAsync(sent, new IPEndPoint(NetworkLab.HostAddress, 5454), cancel);
        byte[] received = new byte[65536];
        using CancellationTokenSource patience = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        patience.CancelAfter(TimeSpan.FromSeconds(10));
        int length = (await sizes.ReceiveFromAsync(received, new IPEndPoint(IPAddress.Any, 0), patience.Token)).ReceivedBytes;
        Assert.Equal(sent, received[..length]);
    }

    [Fact]
    public async Task The_rules_follow_the_option()
    {
        Lab.Run("nft", Drop);
        await _ports.Network.DisposeAsync();
        await _ports.Engine.DisposeAsync();
        await using NetworkHost engine = new("lab", Lab.HostNamespace, PortAdmission.Forward);
        await using BridgeNetwork network = new(PublishedPortsLab.Options, TimeProvider.System, engine);
        await network.EnsureAsync(TestContext.Current.CancellationToken);
        await network.RestoreAsync([_ports.Server], TestContext.Current.CancellationToken);
        Assert.Equal(All, await _ports.OpenAsync());
    }

    [Fact]
    public async Task A_kernel_without_what_the_rules_need_is_told_of_with_the_way_out() => await Lab.Host.RunAsync(
        () =>
        {
            using NfTablesSession session = new();

            // A jump to nowhere has the errno that a missing kind of expression has.
            FirewallTable table = new(session, "lacking", (batch, name) => batch.AddChain(name, "lonely").AddRule(name, "lonely", new Rule().Jump("nowhere")));
            BridgePolicy policy = new("br-x", IPNetwork.Parse("10.7.0.0/24"), GatewayMode.Nat, Internal: false, Masquerade: true, [], []);
            NetworkException e = Assert.Throws<NetworkException>(() => new BridgeFirewall(table, "br-x").Ensure(policy));
            Assert.Equal(NetworkErrorKind.Unavailable, e.Kind);
            Assert.Contains("set \"published-ports\" to \"forward\"", e.Message, StringComparison.Ordinal);
            Assert.DoesNotContain(session.Tables(), made => made.Name == table.Name);
        },
        TestContext.Current.CancellationToken);
}
