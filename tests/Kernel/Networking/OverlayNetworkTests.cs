using System.Net;
using System.Net.Sockets;
using System.Text;
using Slipway.Kernel.Netlink;
using Slipway.Networking;
using Xunit;

namespace Slipway.Tests.Kernel.Networking;

/// <summary>Networks over VXLAN between two hosts.</summary>
public sealed class OverlayNetworkTests
{
    private const string FirstBlock = "10.77.0.0/27";
    private const string SecondBlock = "10.77.0.32/27";

    private static CancellationToken Cancel => CancellationToken.None;

    [Fact]
    public async Task Containers_on_two_hosts_reach_each_other_with_their_own_addresses_until_they_are_forgotten()
    {
        await using OverlayLab lab = await OverlayLab.CreateAsync();
        OverlayNetwork first = lab.Open(second: false, FirstBlock);
        OverlayNetwork second = lab.Open(second: true, SecondBlock);
        (EndpointInfo here, NamespaceThread inside) = await lab.RunAsync(first, second: false, "here");
        (EndpointInfo there, NamespaceThread remote) = await lab.RunAsync(second, second: true, "there");
        Assert.Equal(("10.77.0.2", "10.77.0.33"), (here.Address.ToString(), there.Address.ToString()));
        await lab.Lab.ServeTcpAsync(remote, new IPEndPoint(IPAddress.Any, 80), "there, ");

        // ARP finds nobody before the hosts were told, and no longer once they were told that the container is gone.
        Assert.Equal("timeout", await NetworkLab.AskTcpAsync(inside, there.Address, 80, seconds: 1));
        await OverlayLab.IntroduceAsync(first, here, second, there);
        Assert.Equal($"there, {here.Address}", await NetworkLab.AskTcpAsync(inside, there.Address, 80, seconds: 10));
        await first.SetPeersAsync([], _ => false, Cancel);
        Assert.NotEqual($"there, {here.Address}", await NetworkLab.AskTcpAsync(inside, there.Address, 80, seconds: 1));
    }

    [Fact]
    public async Task Packets_leave_room_for_the_outer_headers_and_large_ones_arrive()
    {
        await using OverlayLab lab = await OverlayLab.CreateAsync();
        OverlayNetwork first = lab.Open(second: false, FirstBlock);
        OverlayNetwork second = lab.Open(second: true, SecondBlock);
        Assert.Equal(1450, (await first.EnsureAsync(Cancel)).Mtu);
        (EndpointInfo here, NamespaceThread inside) = await lab.RunAsync(first, second: false, "here");
        (EndpointInfo there, NamespaceThread remote) = await lab.RunAsync(second, second: true, "there");
        await OverlayLab.IntroduceAsync(first, here, second, there);
        await lab.Lab.ServeTcpAsync(remote, new IPEndPoint(IPAddress.Any, 80), new string('x', 60));
        Assert.StartsWith("xxx", await NetworkLab.AskTcpAsync(inside, there.Address, 80, seconds: 10), StringComparison.Ordinal);
        int mtu = await inside.RunAsync(() =>
        {
            using RouteSession session = new();
            return session.FindLink("eth0")!.Mtu;
        }, Cancel);
        Assert.Equal(1450, mtu);
        NetworkException error = await Assert.ThrowsAsync<NetworkException>(() => new OverlayNetwork(
            OverlayLab.Options(false, new OverlayLab.FixedBlocks(IPNetwork.Parse(FirstBlock))) with { Mtu = 1500, BridgeName = "ov-1", LinkName = "vx-1" }, TimeProvider.System, new NetworkHost("ov-1", lab.Lab.HostNamespace)).EnsureAsync(Cancel));
        Assert.Contains("more than the underlay leaves: 1450", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Another_engine_adopts_the_network_and_keeps_what_is_not_known_to_be_wrong()
    {
        await using OverlayLab lab = await OverlayLab.CreateAsync();
        OverlayNetwork first = lab.Open(second: false, FirstBlock);
        OverlayNetwork second = lab.Open(second: true, SecondBlock);
        (EndpointInfo here, NamespaceThread inside) = await lab.RunAsync(first, second: false, "here");
        (EndpointInfo there, NamespaceThread remote) = await lab.RunAsync(second, second: true, "there");
        await OverlayLab.IntroduceAsync(first, here, second, there);
        await lab.Lab.ServeTcpAsync(remote, new IPEndPoint(IPAddress.Any, 80), "there, ");
        await first.DisposeAsync();

        OverlayNetwork next = lab.Open(second: false, FirstBlock);
        Assert.True((await next.EnsureAsync(Cancel)).Adopted);
        Assert.Empty(await next.RestoreAsync([here], Cancel));
        await next.SetPeersAsync([], _ => true, Cancel);
        Assert.Equal($"there, {here.Address}", await NetworkLab.AskTcpAsync(inside, there.Address, 80, seconds: 10));

        // The address that is in use is not given again; and of a host that is known to have no such container, nothing is kept.
        (EndpointInfo other, _) = await lab.RunAsync(next, second: false, "other");
        Assert.NotEqual(here.Address, other.Address);
        await next.SetPeersAsync([], _ => false, Cancel);
        Assert.NotEqual($"there, {here.Address}", await NetworkLab.AskTcpAsync(inside, there.Address, 80, seconds: 1));
    }

    [Fact]
    public async Task Addresses_are_of_the_own_blocks_alone()
    {
        await using OverlayLab lab = await OverlayLab.CreateAsync();
        OverlayNetwork network = lab.Open(second: false, "10.77.0.32/30");
        List<string> given = [];
        for (int i = 0; i < 3; i++)
        {
            given.Add((await lab.RunAsync(network, second: false, $"c{i}")).Info.Address.ToString());
        }

        Assert.Equal(["10.77.0.33", "10.77.0.34", "10.77.0.35"], given); // .32 is the bridge's
        NetworkException full = await Assert.ThrowsAsync<NetworkException>(() => lab.RunAsync(network, second: false, "c4"));
        Assert.Equal(NetworkErrorKind.Exhausted, full.Kind);
        await network.DetachAsync("c1", Cancel);
        Assert.Equal("10.77.0.34", (await lab.RunAsync(network, second: false, "c5")).Info.Address.ToString());
        NetworkException taken = await Assert.ThrowsAsync<NetworkException>(() => lab.RunAsync(network, second: false, "c6", IPAddress.Parse("10.77.0.34")));
        Assert.Equal("Address already in use", taken.Message);
        NetworkException outside = await Assert.ThrowsAsync<NetworkException>(() => lab.RunAsync(network, second: false, "c7", IPAddress.Parse("10.78.0.1")));
        Assert.Equal(NetworkErrorKind.InvalidParameter, outside.Kind);
    }

    [Fact]
    public async Task What_was_made_is_removed_again_and_another_network_stays()
    {
        await using OverlayLab lab = await OverlayLab.CreateAsync();
        string before = await lab.Lab.SnapshotAsync();
        OverlayNetwork first = lab.Open(second: false, FirstBlock);
        OverlayNetwork other = lab.Open(second: false, FirstBlock, number: 4243, digits: "1");
        await first.EnsureAsync(Cancel);
        await other.EnsureAsync(Cancel);
        await first.CleanupAsync(Cancel);
        Assert.Contains((await lab.Lab.HostLinksAsync()), link => link.Name == "vx-1");
        IReadOnlyList<MapElement> numbers = await lab.Lab.Host.RunAsync(
            () =>
            {
                using NfTablesSession session = new();
                return session.Elements("slipway.vxlan", "numbers");
            },
            Cancel);
        Assert.Equal([0, 0x10, 0x93, 0], Assert.Single(numbers).Key); // 4243, and the byte behind it in the header
        await other.CleanupAsync(Cancel);
        Assert.Equal(Named(before), Named(await lab.Lab.SnapshotAsync()));

        // Numbers of links count up.
        static string Named(string snapshot) => string.Join('\n', snapshot.Split('\n').Select(line => line.TrimStart("0123456789 ".ToCharArray())));
    }

    [Fact]
    public async Task A_number_that_another_program_has_is_an_error_and_nothing_is_left()
    {
        await using OverlayLab lab = await OverlayLab.CreateAsync();
        lab.Lab.Run("ip", "link", "add", "theirs", "type", "vxlan", "id", $"{OverlayLab.Number}", "dstport", "4789", "local", NetworkLab.HostAddress.ToString());
        OverlayNetwork network = lab.Open(second: false, FirstBlock);
        NetworkException error = await Assert.ThrowsAsync<NetworkException>(() => network.EnsureAsync(Cancel));
        Assert.Equal(NetworkErrorKind.Conflict, error.Kind);
        Assert.DoesNotContain(await lab.Lab.HostLinksAsync(), link => link.Name == "ov-0");
    }

    /// <summary>
    /// The kernel takes a VXLAN packet at any address of the host, whoever sends it. From the other host it is delivered, which shows that the packet is right; from
    /// a container it is not, under its own address or the other host's, to this host or through it to the other; nor from a program of the host.
    /// </summary>
    [Fact]
    public async Task CVE_2023_28840_forged_vxlan_packets_of_containers_and_programs_reach_nobody()
    {
        await using OverlayLab lab = await OverlayLab.CreateAsync();
        OverlayNetwork first = lab.Open(second: false, FirstBlock);
        OverlayNetwork second = lab.Open(second: true, SecondBlock);
        (EndpointInfo victim, NamespaceThread inside) = await lab.RunAsync(first, second: false, "victim");
        (EndpointInfo remote, NamespaceThread there) = await lab.RunAsync(second, second: true, "remote");
        await using BridgeNetwork plain = lab.Lab.Network(new BridgeOptions { BridgeName = "plain0", Address = (IPAddress.Parse("10.78.0.1"), 24), PoolSize = 0, IsolatedPoolSize = 0 });
        await plain.EnsureAsync(Cancel);
        (EndpointInfo attacker, NamespaceThread hostile) = await lab.Lab.RunAsync(plain, "attacker");
        List<string> received = [];
        using Socket here = await ListenAsync(inside, received);
        using Socket far = await ListenAsync(there, received);
        IPAddress gateway = IPAddress.Parse("10.78.0.1");

        await SendAsync(hostile, OverlayLab.Forge(victim, 9999, "own address"), gateway);
        await SendAsync(hostile, OverlayLab.Forge(victim, 9999, "underlay address"), NetworkLab.HostAddress);
        await SendRawAsync(hostile, OverlayLab.Wrap(OverlayLab.Forge(victim, 9999, "spoofed"), NetworkLab.OutsideAddress, gateway));
        await SendAsync(hostile, OverlayLab.Forge(remote, 9999, "through the host"), NetworkLab.OutsideAddress);
        await SendAsync(inside, OverlayLab.Forge(remote, 9999, "from the network itself"), NetworkLab.OutsideAddress);
        await Assert.ThrowsAsync<SocketException>(() => SendAsync(lab.Lab.Host, OverlayLab.Forge(remote, 9999, "program"), NetworkLab.OutsideAddress));

        // The other host with another rule in the place of its own against programs, which would be made again: what it sends is believed.
        await lab.Lab.Outside.RunAsync(() =>
        {
            using NfTablesSession session = new();
            session.Begin().FlushChain("slipway.vxlan", "outgoing").AddRule("slipway.vxlan", "outgoing", new Rule().Accept()).Commit();
        }, Cancel);
        await SendAsync(lab.Lab.Outside, OverlayLab.Forge(victim, 9999, "member"), NetworkLab.HostAddress);
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(20));
        while (!Contains("member"))
        {
            await Task.Delay(20, limit.Token);
        }

        lock (received)
        {
            Assert.Equal(["member"], received);
        }

        bool Contains(string text)
        {
            lock (received)
            {
                return received.Contains(text);
            }
        }
    }

    private static async Task<Socket> ListenAsync(NamespaceThread where, List<string> received)
    {
        Socket socket = await where.RunAsync(() => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp), Cancel);
        socket.Bind(new IPEndPoint(IPAddress.Any, 9999));
        _ = Task.Run(async () =>
        {
            byte[] buffer = new byte[100];
            while (true)
            {
                int length = await socket.ReceiveAsync(buffer);
                lock (received)
                {
                    received.Add(Encoding.ASCII.GetString(buffer, 0, length));
                }
            }
        });
        return socket;
    }

    private static async Task SendAsync(NamespaceThread from, byte[] payload, IPAddress to)
    {
        using Socket socket = await from.RunAsync(() => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp), Cancel);
        await socket.SendToAsync(payload, new IPEndPoint(to, OverlayOptions.DefaultPort));
    }

    private static async Task SendRawAsync(NamespaceThread from, byte[] packet)
    {
        using Socket socket = await from.RunAsync(() => new Socket(AddressFamily.InterNetwork, SocketType.Raw, ProtocolType.Raw), Cancel);
        await socket.SendToAsync(packet, new IPEndPoint(new IPAddress(packet.AsSpan(16, 4)), 0));
    }
}
