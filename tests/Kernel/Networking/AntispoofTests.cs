using System.Net;
using Slipway.Kernel.Netlink;
using Slipway.Networking;
using Xunit;

namespace Slipway.Tests.Kernel.Networking;

/// <summary>A container that makes frames of its own passes for a neighbour, unless the network has been told not to let it.</summary>
public sealed class AntispoofTests : IAsyncLifetime
{
    private const ushort Ip = 0x0800;
    private const ushort Arp = 0x0806;
    private const ushort Vlan = 0x8100;
    private const ushort Ip6 = 0x86dd;
    private const byte EchoRequest = 128;
    private const byte RouterAdvertisement = 134;
    private const byte NeighbourSolicitation = 135;
    private const byte NeighbourAdvertisement = 136;
    private const byte Redirect = 137;
    private const byte ListenerReport = 143;
    private const byte Last = 255;

    private NetworkLab _lab = null!;

    private static CancellationToken None => TestContext.Current.CancellationToken;

    private static BridgeOptions Options(bool antispoof) => new()
    {
        PoolSize = 1,
        Antispoof = antispoof,
        Ipv6 = new Ipv6Options { Address = (IPAddress.Parse("fd00:5::1"), 64) },
    };

    public async ValueTask InitializeAsync() => _lab = await NetworkLab.CreateAsync();

    public async ValueTask DisposeAsync() => await _lab.DisposeAsync();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task CVE_2020_13401_a_container_sends_as_itself_only(bool antispoof)
    {
        await using BridgeNetwork network = _lab.Network(Options(antispoof));
        await network.EnsureAsync(None);
        (EndpointInfo own, NamespaceThread attacker) = await _lab.RunAsync(network, "attacker");
        (EndpointInfo other, _) = await _lab.RunAsync(network, "victim");
        (_, NamespaceThread observer) = await _lab.RunAsync(network, "observer");
        (byte[] Frame, bool Honest)[] frames = [.. Frames(own, other)];
        using RawFrames sending = await RawFrames.OpenAsync(attacker, "eth0");
        using RawFrames receiving = await RawFrames.OpenAsync(observer, "eth0");
        foreach ((byte[] frame, _) in frames)
        {
            sending.Send(frame);
        }

        byte[] expected = [.. frames.Where(frame => frame.Honest || !antispoof).Select(frame => frame.Frame[^1])];
        Assert.Equal(expected, receiving.ReceiveUntil(Last));
    }

    [Fact]
    public async Task The_guard_survives_a_restart_follows_the_option_and_goes_with_the_container()
    {
        string before = await _lab.SnapshotAsync();
        EndpointInfo[] infos = new EndpointInfo[2];
        await using (BridgeNetwork network = _lab.Network(Options(antispoof: true)))
        {
            await network.EnsureAsync(None);
            (infos[0], _) = await _lab.RunAsync(network, "one");
            (infos[1], _) = await _lab.RunAsync(network, "two");
            Assert.Equal((true, true), Guarded());
        }

        _lab.Run("nft", "delete", "table", "bridge", "slipway-slipway0");
        await using (BridgeNetwork repaired = _lab.Network(Options(antispoof: true)))
        {
            await repaired.EnsureAsync(None);
            Assert.Empty(await repaired.RestoreAsync(infos, None));
            Assert.Equal((true, true), Guarded());
            await repaired.DetachAsync("one", None);
            Assert.Equal((false, true), Guarded());
        }

        await using BridgeNetwork without = _lab.Network(Options(antispoof: false));
        await without.EnsureAsync(None);
        Assert.Empty(await without.RestoreAsync([infos[1]], None));
        Assert.DoesNotContain("table bridge", _lab.Run("nft", "list", "tables"), StringComparison.Ordinal);
        await without.CleanupAsync(None);
        Assert.Equal(before, await _lab.SnapshotAsync());

        (bool One, bool Two) Guarded()
        {
            string rules = _lab.Run("nft", "list", "table", "bridge", "slipway-slipway0");
            return (rules.Contains(infos[0].HostLink, StringComparison.Ordinal), rules.Contains(infos[1].HostLink, StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task Honest_containers_reach_everything_in_a_guarded_network()
    {
        await using BridgeNetwork network = _lab.Network(Options(antispoof: true));
        await network.EnsureAsync(None);
        (EndpointInfo info, NamespaceThread server) = await _lab.RunAsync(network, "server", new PortRequest(PortProtocol.Tcp, 80, HostPort: 8080));
        (EndpointInfo asking, NamespaceThread client) = await _lab.RunAsync(network, "client");
        await _lab.ServeTcpAsync(server, new IPEndPoint(IPAddress.IPv6Any, 80));
        await _lab.ServeTcpAsync(server, new IPEndPoint(IPAddress.Any, 81));
        await _lab.RouteToOutsideAsync();
        await _lab.ServeTcpAsync(_lab.Outside, new IPEndPoint(IPAddress.Any, 80));
        Assert.Equal(asking.Ipv6!.Address.ToString(), await NetworkLab.AskTcpAsync(client, info.Ipv6!.Address, 80));
        Assert.Equal(asking.Ipv4!.Address.ToString(), await NetworkLab.AskTcpAsync(client, info.Ipv4!.Address, 81));
        Assert.Equal(NetworkLab.HostAddress.ToString(), await NetworkLab.AskTcpAsync(client, NetworkLab.OutsideAddress, 80));
        Assert.Equal("2001:db8::2", await NetworkLab.AskTcpAsync(_lab.Outside, NetworkLab.HostAddress6, 8080));

        // An address that is given to another comes with its guard.
        await network.DetachAsync("client", None);
        (EndpointInfo heir, NamespaceThread next) = await _lab.RunAsync(network, "heir");
        Assert.Equal(asking.Ipv4!.Address, heir.Ipv4!.Address);
        Assert.Equal(asking.Ipv4!.Address.ToString(), await NetworkLab.AskTcpAsync(next, info.Ipv4!.Address, 81));
    }

    /// <summary>All that the attacker sends, numbered, and whether it is true.</summary>
    private static IEnumerable<(byte[] Frame, bool Honest)> Frames(EndpointInfo own, EndpointInfo other)
    {
        Assert.True(MacAddress.TryParse(own.MacAddress, out MacAddress mine));
        Assert.True(MacAddress.TryParse(other.MacAddress, out MacAddress theirs));
        (IPAddress me, IPAddress you, IPAddress me6, IPAddress you6) = (own.Ipv4!.Address, other.Ipv4!.Address, own.Ipv6!.Address, other.Ipv6!.Address);
        (IPAddress nobody, IPAddress nobody6, IPAddress gateway) = (IPAddress.Any, IPAddress.IPv6Any, own.Ipv4.Gateway!);
        byte number = 0;
        (byte[], bool) Make(bool honest, MacAddress from, ushort type, byte[] packet) => (RawFrames.Frame(from, type, packet, ++number), honest);

        yield return Make(true, mine, Ip, RawFrames.Ipv4(me));
        yield return Make(false, mine, Ip, RawFrames.Ipv4(you));
        yield return Make(false, theirs, Ip, RawFrames.Ipv4(me));
        yield return Make(false, mine, Ip, RawFrames.Ipv4(gateway));
        yield return Make(true, mine, Arp, RawFrames.Arp(mine, me));
        yield return Make(true, mine, Arp, RawFrames.Arp(mine, nobody));
        yield return Make(false, mine, Arp, RawFrames.Arp(mine, you));
        yield return Make(false, mine, Arp, RawFrames.Arp(mine, gateway));
        yield return Make(false, mine, Arp, RawFrames.Arp(theirs, me));
        yield return Make(true, mine, Ip6, RawFrames.Icmp6(me6, EchoRequest, me6));
        yield return Make(true, mine, Ip6, RawFrames.Icmp6(mine.ToLinkLocal(), EchoRequest, me6));
        yield return Make(false, mine, Ip6, RawFrames.Icmp6(you6, EchoRequest, me6));
        yield return Make(true, mine, Ip6, RawFrames.Icmp6(me6, NeighbourAdvertisement, me6));
        yield return Make(false, mine, Ip6, RawFrames.Icmp6(me6, NeighbourAdvertisement, you6));
        yield return Make(true, mine, Ip6, RawFrames.Icmp6(me6, NeighbourSolicitation, you6));
        yield return Make(true, mine, Ip6, RawFrames.Icmp6(nobody6, NeighbourSolicitation, me6));
        yield return Make(false, mine, Ip6, RawFrames.Icmp6(nobody6, NeighbourSolicitation, you6));
        yield return Make(true, mine, Ip6, RawFrames.Icmp6(nobody6, ListenerReport, me6));
        yield return Make(false, mine, Ip6, RawFrames.Icmp6(mine.ToLinkLocal(), RouterAdvertisement, nobody6));
        yield return Make(false, mine, Ip6, RawFrames.Icmp6(mine.ToLinkLocal(), Redirect, you6));
        yield return Make(false, mine, Vlan, [0, 5, 8, 0, .. RawFrames.Ipv4(you)]);
        yield return Make(false, mine, 0x88b5, [1, 2, 3]);
        yield return (RawFrames.Frame(mine, Arp, RawFrames.Arp(mine, me), Last), true);
    }
}
