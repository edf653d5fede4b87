using System.Buffers.Binary;
using System.Net;
using Slipway.Kernel.Netlink;
using Slipway.Networking;

namespace Slipway.Tests.Kernel.Networking;

/// <summary>The lab's two machines as hosts of one overlay network, 10.77.0.0/24, of which each has a block.</summary>
internal sealed class OverlayLab : IAsyncDisposable
{
    public const int Number = 4242;

    public static readonly IPNetwork Subnet = IPNetwork.Parse("10.77.0.0/24");

    private readonly List<IAsyncDisposable> _owned = [];

    private OverlayLab(NetworkLab lab, NetworkNamespace second) => (Lab, Second) = (lab, second);

    public NetworkLab Lab { get; }

    private NetworkNamespace Second { get; }

    public static async Task<OverlayLab> CreateAsync()
    {
        NetworkLab lab = await NetworkLab.CreateAsync();
        return new OverlayLab(lab, await lab.Outside.RunAsync(NetworkNamespace.OfThisThread, CancellationToken.None));
    }

    /// <summary>The network as an engine on the first or second host has it.</summary>
    public OverlayNetwork Open(bool second, string block, int number = Number, string digits = "0")
    {
        NetworkHost host = new("ov-" + digits, second ? Second : Lab.HostNamespace);
        OverlayNetwork network = new(Options(second, new FixedBlocks(IPNetwork.Parse(block))) with { Number = number, BridgeName = "ov-" + digits, LinkName = "vx-" + digits }, TimeProvider.System, host);
        _owned.AddRange([network, host]);
        return network;
    }

    public static OverlayOptions Options(bool second, IOverlayBlocks blocks) => new()
    {
        BridgeName = "ov-0",
        LinkName = "vx-0",
        Number = Number,
        Local = second ? NetworkLab.OutsideAddress : NetworkLab.HostAddress,
        Hosts = [second ? NetworkLab.HostAddress : NetworkLab.OutsideAddress],
        Subnet = Subnet,
        Gateway = IPAddress.Parse("10.77.0.1"),
        Blocks = blocks,
    };

    /// <summary>A container on the network.</summary>
    public async Task<(EndpointInfo Info, NamespaceThread Thread)> RunAsync(OverlayNetwork network, bool second, string id, IPAddress? address = null)
    {
        await using NetworkHost host = new("unused", second ? Second : Lab.HostNamespace);
        await using BridgeNetwork maker = new(new BridgeOptions { BridgeName = "unused", PoolSize = 0, IsolatedPoolSize = 0 }, TimeProvider.System, host);
        await maker.EnsureAsync(CancellationToken.None);
        using Sandbox sandbox = await maker.PrepareSandboxAsync(SandboxKind.Isolated, CancellationToken.None);
        await maker.CleanupAsync(CancellationToken.None);
        EndpointInfo info = await network.AttachAsync(new EndpointRequest { EndpointId = id, Name = id, Address = address }, sandbox, CancellationToken.None);
        return (info, Lab.Container(sandbox));
    }

    /// <summary>Tells each of two containers' hosts of the other's.</summary>
    public static async Task IntroduceAsync(OverlayNetwork first, EndpointInfo here, OverlayNetwork second, EndpointInfo there)
    {
        await first.SetPeersAsync([Peer(there, NetworkLab.OutsideAddress)], _ => false, CancellationToken.None);
        await second.SetPeersAsync([Peer(here, NetworkLab.HostAddress)], _ => false, CancellationToken.None);
    }

    public static OverlayPeer Peer(EndpointInfo endpoint, IPAddress host) => new(endpoint.Address, endpoint.MacAddress, host);

    /// <summary>A VXLAN packet's payload: a datagram for a container, as if from another on the network.</summary>
    public static byte[] Forge(EndpointInfo victim, int port, string text, int number = Number)
    {
        byte[] data = System.Text.Encoding.ASCII.GetBytes(text);
        byte[] packet = new byte[8 + 14 + 20 + 8 + data.Length];
        packet[0] = 0x08; // RFC 7348 section 5: the number is valid
        BinaryPrimitives.WriteInt32BigEndian(packet.AsSpan(4), number << 8);
        Span<byte> frame = packet.AsSpan(8);
        Convert.FromHexString(victim.MacAddress.Replace(":", "", StringComparison.Ordinal)).CopyTo(frame);
        frame[6] = 0x02;
        BinaryPrimitives.WriteUInt16BigEndian(frame[12..], 0x0800);
        WriteIpv4(frame[14..], IPAddress.Parse("10.77.0.99"), victim.Address, 17, (ushort)(28 + data.Length));
        WriteUdp(frame[34..], port, (ushort)(8 + data.Length));
        data.CopyTo(frame[42..]);
        return packet;
    }

    /// <summary>The same in a packet with a sender of one's choice, for a raw socket.</summary>
    public static byte[] Wrap(byte[] vxlan, IPAddress source, IPAddress destination)
    {
        byte[] packet = new byte[28 + vxlan.Length];
        WriteIpv4(packet, source, destination, 17, (ushort)packet.Length);
        WriteUdp(packet.AsSpan(20), OverlayOptions.DefaultPort, (ushort)(8 + vxlan.Length));
        vxlan.CopyTo(packet, 28);
        return packet;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (IAsyncDisposable owned in _owned)
        {
            await owned.DisposeAsync();
        }

        Second.Dispose();
        await Lab.DisposeAsync();
    }

    private static void WriteUdp(Span<byte> header, int port, ushort length)
    {
        BinaryPrimitives.WriteUInt16BigEndian(header, 40000);
        BinaryPrimitives.WriteUInt16BigEndian(header[2..], (ushort)port);
        BinaryPrimitives.WriteUInt16BigEndian(header[4..], length);
    }

    private static void WriteIpv4(Span<byte> header, IPAddress source, IPAddress destination, byte protocol, ushort length)
    {
        header[0] = 0x45;
        BinaryPrimitives.WriteUInt16BigEndian(header[2..], length);
        header[8] = 64;
        header[9] = protocol;
        source.GetAddressBytes().CopyTo(header[12..]);
        destination.GetAddressBytes().CopyTo(header[16..]);
        uint sum = 0;
        for (int i = 0; i < 20; i += 2)
        {
            sum += BinaryPrimitives.ReadUInt16BigEndian(header[i..]);
        }

        sum = (sum & 0xffff) + (sum >> 16);
        BinaryPrimitives.WriteUInt16BigEndian(header[10..], (ushort)~((sum & 0xffff) + (sum >> 16)));
    }

    /// <summary>Blocks that were given beforehand; there are no others.</summary>
    public sealed class FixedBlocks(params IReadOnlyList<IPNetwork> blocks) : IOverlayBlocks
    {
        public IReadOnlyList<IPNetwork> Owned => blocks;

        public Task<IPNetwork> ClaimAsync(IPAddress? containing, CancellationToken cancellationToken) =>
            throw new NetworkException(NetworkErrorKind.Exhausted, "no available IPv4 addresses on this network's address pools");
    }
}
