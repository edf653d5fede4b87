using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Slipway.Kernel.Netlink;

namespace Slipway.Tests.Kernel.Networking;

/// <summary>Sends and receives frames as they are (packet(7)), in the namespace of a thread. Each frame ends with a byte that tells it from others.</summary>
internal sealed class RawFrames : IDisposable
{
    private const int ETH_P_ALL = 3;
    private readonly Socket _socket;
    private readonly int _link;

    private RawFrames(Socket socket, int link) => (_socket, _link) = (socket, link);

    public static Task<RawFrames> OpenAsync(NamespaceThread where, string link) => where.RunAsync(
        () =>
        {
            using RouteSession session = new();
            return new RawFrames(new Socket(AddressFamily.Packet, SocketType.Raw, (ProtocolType)(ETH_P_ALL << 8)), session.FindLink(link)!.Index);
        },
        CancellationToken.None);

    public void Send(byte[] frame) => _socket.SendTo(frame, new LinkEndPoint(_link));

    /// <summary>The last bytes of the frames that come from a link-layer peer's tests, up to one byte.</summary>
    public IReadOnlyList<byte> ReceiveUntil(byte last)
    {
        List<byte> seen = [];
        byte[] buffer = new byte[2000];
        _socket.ReceiveTimeout = 10_000;
        while (!seen.Contains(last))
        {
            int length = _socket.Receive(buffer);
            if (buffer.AsSpan(0, length).IndexOf(Marker) is > 0 and var at && at == length - Marker.Length - 1)
            {
                seen.Add(buffer[length - 1]);
            }
        }

        return seen;
    }

    public void Dispose() => _socket.Dispose();

    private static ReadOnlySpan<byte> Marker => "slipway-frame"u8;

    /// <summary>A frame to everybody.</summary>
    public static byte[] Frame(MacAddress source, ushort type, byte[] packet, byte number)
    {
        byte[] sender = new byte[6];
        source.CopyTo(sender);
        return [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, .. sender, (byte)(type >> 8), (byte)type, .. packet, .. Marker, number];
    }

    /// <summary>RFC 826: an answer, that an address is at a hardware address.</summary>
    public static byte[] Arp(MacAddress hardware, IPAddress sender)
    {
        byte[] address = new byte[6];
        hardware.CopyTo(address);
        return [0, 1, 8, 0, 6, 4, 0, 2, .. address, .. sender.GetAddressBytes(), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, .. sender.GetAddressBytes()];
    }

    /// <summary>RFC 791, with a datagram of which the rest of the frame is the payload.</summary>
    public static byte[] Ipv4(IPAddress source)
    {
        const int Payload = 14; // the marker and the number
        byte[] packet = [0x45, 0, 0, 28 + Payload, 0, 0, 0, 0, 1, 17, 0, 0, .. source.GetAddressBytes(), 255, 255, 255, 255, 0, 9, 0, 9, 0, 8 + Payload, 0, 0];
        uint sum = 0;
        for (int i = 0; i < 20; i += 2)
        {
            sum += BinaryPrimitives.ReadUInt16BigEndian(packet.AsSpan(i));
        }

        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(10), (ushort)~((sum & 0xffff) + (sum >> 16)));
        return packet;
    }

    /// <summary>RFC 8200, to all nodes, with an ICMP message (RFC 4443) of which the rest of the frame is the payload.</summary>
    public static byte[] Icmp6(IPAddress source, byte type, IPAddress about)
    {
        const int Payload = 14;
        return [0x60, 0, 0, 0, 0, 24 + Payload, 58, 255, .. source.GetAddressBytes(), .. IPAddress.Parse("ff02::1").GetAddressBytes(), type, 0, 0, 0, 0, 0, 0, 0, .. about.GetAddressBytes()];
    }

    /// <summary>struct sockaddr_ll.</summary>
    private sealed class LinkEndPoint(int link) : EndPoint
    {
        public override AddressFamily AddressFamily => AddressFamily.Packet;

        public override SocketAddress Serialize()
        {
            SocketAddress address = new(AddressFamily.Packet, 20);
            for (int i = 0; i < 4; i++)
            {
                address[4 + i] = (byte)(link >> (8 * i));
            }

            return address;
        }
    }
}
