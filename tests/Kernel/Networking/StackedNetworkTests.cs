using System.Net;
using Slipway.Kernel.Netlink;
using Slipway.Networking;
using Xunit;

namespace Slipway.Tests.Kernel.Networking;

/// <summary>macvlan and ipvlan on the wire between the lab's host and the outside, which is the router.</summary>
public sealed class StackedNetworkTests : IAsyncLifetime
{
    private static CancellationToken None => TestContext.Current.CancellationToken;
    private NetworkLab _lab = null!;
    private NetworkHost _host = null!;

    public async ValueTask InitializeAsync()
    {
        _lab = await NetworkLab.CreateAsync();
        _host = new NetworkHost("lab", _lab.HostNamespace);
    }

    public async ValueTask DisposeAsync()
    {
        await _host.DisposeAsync();
        await _lab.DisposeAsync();
    }

    private StackedNetwork Network(StackedMode mode, string parent = "wan", bool own = false) => new(
        new StackedOptions
        {
            NetworkId = "test",
            Parent = parent,
            HasOwnParent = own,
            Mode = mode,
            Ipv4 = new(IPNetwork.Parse("198.51.100.0/24"), NetworkLab.OutsideAddress, IPNetwork.Parse("198.51.100.128/25"), []),
        },
        _host);

    private async Task<(EndpointInfo Info, NamespaceThread Thread)> RunAsync(StackedNetwork network, string id)
    {
        using Sandbox sandbox = await (await _host.FactoryAsync(None)).MakeIsolatedAsync(None);
        EndpointInfo info = await network.AttachAsync(new EndpointRequest { EndpointId = id, Name = id }, sandbox, None);
        return (info, _lab.Container(sandbox));
    }

    private bool KernelHas(string kind, params string[] options)
    {
        try
        {
            _lab.Run("ip", ["link", "add", "link", "wan", "name", "probe", "type", kind, .. options]);
            _lab.Run("ip", "link", "delete", "probe");
            return true;
        }
        catch (Xunit.Sdk.XunitException)
        {
            return false;
        }
    }

    [Fact]
    public async Task Macvlan_containers_reach_each_other_and_the_outside_with_their_own_addresses()
    {
        string before = await _lab.SnapshotAsync();
        await using (StackedNetwork network = Network(MacvlanMode.Bridge))
        {
            Assert.True((await network.EnsureAsync(None)).Adopted);
            (EndpointInfo first, NamespaceThread one) = await RunAsync(network, "one");
            (EndpointInfo second, NamespaceThread two) = await RunAsync(network, "two");
            Assert.Equal(("198.51.100.128", "02:42:c6:33:64:80", ""), (first.Address.ToString(), first.MacAddress, first.HostLink));
            await _lab.ServeTcpAsync(one, new IPEndPoint(IPAddress.Any, 80));
            await _lab.ServeTcpAsync(_lab.Outside, new IPEndPoint(IPAddress.Any, 81));
            Assert.Equal(second.Address.ToString(), await NetworkLab.AskTcpAsync(two, first.Address, 80));
            Assert.Equal(second.Address.ToString(), await NetworkLab.AskTcpAsync(two, NetworkLab.OutsideAddress, 81));
            Assert.Equal("198.51.100.2", await NetworkLab.AskTcpAsync(_lab.Outside, first.Address, 80));

            // The next has the address at once, though the namespace of the first lives on.
            await network.DetachAsync("one", None);
            (EndpointInfo third, NamespaceThread next) = await RunAsync(network, "three");
            Assert.Equal(first with { EndpointId = "three" }, third with { Ports = first.Ports });
            Assert.Equal("198.51.100.128", await NetworkLab.AskTcpAsync(next, NetworkLab.OutsideAddress, 81));
            await network.CleanupAsync(None);
            Assert.Equal(["lo"], await next.RunAsync(LinkNames, None));
        }

        Assert.Equal(before, await _lab.SnapshotAsync());

        static string[] LinkNames()
        {
            using RouteSession session = new();
            return [.. session.Links().Select(link => link.Name)];
        }
    }

    [Fact]
    public async Task A_failed_attachment_leaves_no_link_and_no_address_taken()
    {
        await using StackedNetwork network = Network(MacvlanMode.Passthru);
        await network.EnsureAsync(None);
        await RunAsync(network, "one");
        for (int round = 0; round < 2; round++)
        {
            NetworkException failure = await Assert.ThrowsAsync<NetworkException>(() => RunAsync(network, "two"));
            Assert.Equal("failed to create the macvlan port: invalid argument", failure.Message);
        }

        await network.DetachAsync("one", None);
        await network.DetachAsync("one", None);
        Assert.Equal("198.51.100.128", (await RunAsync(network, "two")).Info.Address.ToString());
        await Assert.ThrowsAsync<NetworkException>(() => Network(MacvlanMode.Bridge, "nosuch").EnsureAsync(None));
        NetworkException missing = await Assert.ThrowsAsync<NetworkException>(() => RunAsync(Network(MacvlanMode.Bridge, "nosuch"), "three"));
        Assert.Equal("the requested parent interface nosuch was not found on the Docker host", missing.Message);
    }

    [Fact]
    public async Task A_parent_of_its_own_is_made_and_removed()
    {
        string before = await _lab.SnapshotAsync();
        await using (StackedNetwork network = Network(MacvlanMode.Bridge, "dm-test", own: true))
        {
            Assert.False((await network.EnsureAsync(None)).Adopted);
            (EndpointInfo first, NamespaceThread one) = await RunAsync(network, "one");
            (EndpointInfo second, NamespaceThread two) = await RunAsync(network, "two");
            await _lab.ServeTcpAsync(one, new IPEndPoint(IPAddress.Any, 80));
            Assert.Equal(second.Address.ToString(), await NetworkLab.AskTcpAsync(two, first.Address, 80));
        }

        await using StackedNetwork again = Network(MacvlanMode.Bridge, "dm-test", own: true);
        Assert.True((await again.EnsureAsync(None)).Adopted);
        await again.CleanupAsync(None);
        Assert.Equal(before, await _lab.SnapshotAsync());
    }

    [Fact]
    public async Task A_VLAN_is_made_and_removed_where_the_kernel_has_them()
    {
        string before = await _lab.SnapshotAsync();
        await using StackedNetwork network = Network(MacvlanMode.Bridge, "wan.7");
        if (KernelHas("vlan", "id", "7"))
        {
            Assert.False((await network.EnsureAsync(None)).Adopted);
            Assert.Contains("vlan protocol 802.1Q id 7", _lab.Run("ip", "-d", "link", "show", "wan.7"), StringComparison.Ordinal);
            await RunAsync(network, "one");
        }
        else
        {
            Assert.Equal(
                "failed to create wan.7 vlan link: operation not supported", (await Assert.ThrowsAsync<NetworkException>(() => network.EnsureAsync(None))).Message);
        }

        await network.CleanupAsync(None);
        Assert.Equal(before, await _lab.SnapshotAsync());
    }

    [Theory]
    [InlineData(IpvlanLayer.L2, IpvlanSharing.Bridge, true)]
    [InlineData(IpvlanLayer.L3, IpvlanSharing.Bridge, true)]
    [InlineData(IpvlanLayer.L3S, IpvlanSharing.Bridge, true)]
    [InlineData(IpvlanLayer.L2, IpvlanSharing.Private, false)]
    public async Task Ipvlan_links_have_the_parent_s_hardware_address_where_the_kernel_has_them(IpvlanLayer layer, IpvlanSharing sharing, bool reach)
    {
        await using StackedNetwork network = Network(new IpvlanMode(layer, sharing));
        await network.EnsureAsync(None);
        if (!KernelHas("ipvlan"))
        {
            Assert.Equal(
                "failed to create the ipvlan port: operation not supported", (await Assert.ThrowsAsync<NetworkException>(() => RunAsync(network, "one"))).Message);
            return;
        }

        (EndpointInfo first, NamespaceThread one) = await RunAsync(network, "one");
        (EndpointInfo second, NamespaceThread two) = await RunAsync(network, "two");
        Assert.Equal((layer == IpvlanLayer.L2 ? NetworkLab.OutsideAddress : null, ""), (first.Ipv4!.Gateway, first.MacAddress));
        await _lab.ServeTcpAsync(one, new IPEndPoint(IPAddress.Any, 80));
        Assert.Equal(reach ? second.Address.ToString() : "timeout", await NetworkLab.AskTcpAsync(two, first.Address, 80));
        await network.DetachAsync("one", None);
        Assert.Equal(first.Address, (await RunAsync(network, "three")).Info.Address);
    }

    [Fact]
    public async Task Macvlan_containers_have_ipv6_beside_ipv4_or_alone()
    {
        StackedOptions both = new()
        {
            NetworkId = "test",
            Parent = "wan",
            Mode = MacvlanMode.Bridge,
            Ipv4 = new(IPNetwork.Parse("198.51.100.0/24"), NetworkLab.OutsideAddress, IPNetwork.Parse("198.51.100.128/25"), []),
            Ipv6 = new(IPNetwork.Parse("2001:db8::/64"), IPAddress.Parse("2001:db8::2"), IPNetwork.Parse("2001:db8::100/120"), [IPAddress.Parse("2001:db8::101")]),
        };
        await _lab.ServeTcpAsync(_lab.Outside, new IPEndPoint(IPAddress.IPv6Any, 81));
        List<EndpointInfo> running = [];
        await using (StackedNetwork network = new(both, _host))
        {
            Assert.Equal("2001:db8::2", (await network.EnsureAsync(None)).Ipv6!.Gateway.ToString());
            (EndpointInfo first, NamespaceThread one) = await RunAsync(network, "one");
            (EndpointInfo second, NamespaceThread two) = await RunAsync(network, "two");
            Assert.Equal(["198.51.100.128", "2001:db8::100", "198.51.100.129", "2001:db8::102"], first.Addresses.Concat(second.Addresses).Select(address => address.ToString()));
            await _lab.ServeTcpAsync(one, new IPEndPoint(IPAddress.IPv6Any, 80));
            Assert.Equal("2001:db8::102", await NetworkLab.AskTcpAsync(two, first.Ipv6!.Address, 80));
            Assert.Equal("2001:db8::102", await NetworkLab.AskTcpAsync(two, IPAddress.Parse("2001:db8::2"), 81));
            Assert.Equal(["198.51.100.2", "2001:db8::2"], await DefaultRoutesAsync(two));

            // The router learns that the address has another hardware address now.
            await network.DetachAsync("one", None);
            using Sandbox sandbox = await (await _host.FactoryAsync(None)).MakeIsolatedAsync(None);
            EndpointInfo third = await network.AttachAsync(new EndpointRequest { EndpointId = "three", Name = "three", Ipv6Address = first.Ipv6.Address, MacAddress = "02:11:22:33:44:55" }, sandbox, None);
            NamespaceThread three = _lab.Container(sandbox);
            Assert.Equal("2001:db8::100", await NetworkLab.AskTcpAsync(three, IPAddress.Parse("2001:db8::2"), 81));
            NetworkException taken = await Assert.ThrowsAsync<NetworkException>(() => AttachAsync(network, IPAddress.Parse("2001:db8::102")));
            Assert.Equal(NetworkErrorKind.Conflict, taken.Kind);
            (EndpointInfo fourth, _) = await RunAsync(network, "four");
            Assert.Equal("198.51.100.130", fourth.Address.ToString());
            running.AddRange([second, third, fourth]);
        }

        // The next engine knows who has which.
        await using (StackedNetwork again = new(both, _host))
        {
            await again.EnsureAsync(None);
            await again.RestoreAsync(running, None);
            running.Add((await RunAsync(again, "five")).Info);
            Assert.Equal(["198.51.100.131", "2001:db8::104"], running[^1].Addresses.Select(address => address.ToString()));
        }

        await using StackedNetwork alone = new(both with { Ipv4 = null }, _host);
        Assert.Null((await alone.EnsureAsync(None)).Ipv4);
        await alone.RestoreAsync(running, None);
        (EndpointInfo six, NamespaceThread inside) = await RunAsync(alone, "six");
        Assert.Null(six.Ipv4);
        Assert.Equal(six.Ipv6!.Address.ToString(), await NetworkLab.AskTcpAsync(inside, IPAddress.Parse("2001:db8::2"), 81));
        Assert.Equal(["2001:db8::2"], await DefaultRoutesAsync(inside));
        NetworkException without = await Assert.ThrowsAsync<NetworkException>(() => alone.AttachAsync(
            new EndpointRequest { EndpointId = "seven", Name = "seven", Address = IPAddress.Parse("198.51.100.140") }, sandbox: null!, None));
        Assert.Equal("no configured subnet contains IP address 198.51.100.140", without.Message);
        NetworkException small = await Assert.ThrowsAsync<NetworkException>(() => new StackedNetwork(both with { Mtu = 1200 }, _host).EnsureAsync(None));
        Assert.Equal("IPv6 needs an MTU of at least 1280 bytes: 1200", small.Message);

        async Task AttachAsync(StackedNetwork network, IPAddress address)
        {
            using Sandbox sandbox = await (await _host.FactoryAsync(None)).MakeIsolatedAsync(None);
            await network.AttachAsync(new EndpointRequest { EndpointId = "late", Name = "late", Ipv6Address = address }, sandbox, None);
        }
    }

    private static Task<string[]> DefaultRoutesAsync(NamespaceThread inside) => inside.RunAsync(
        () =>
        {
            using RouteSession session = new();
            return session.Routes().Where(route => route.Destination.PrefixLength == 0 && route.Gateway is not null).Select(route => route.Gateway!.ToString()).Order(StringComparer.Ordinal).ToArray();
        },
        None);
}
