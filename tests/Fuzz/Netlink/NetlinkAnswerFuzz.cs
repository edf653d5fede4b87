using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Netlink;
using Xunit;

namespace Slipway.Tests.Fuzz.Netlink;

/// <summary>
/// Answers that the kernel would not give: cut, with lengths that lie, attributes in attributes, errors of any number, other messages than were asked for, none. A
/// session ends with a result or a KernelException; it does not wait for what does not come.
/// </summary>
public sealed class NetlinkAnswerFuzz : IDisposable
{
    private const ushort NewLink = 16, NewAddress = 20, NewRoute = 24, NfTables = 10 << 8, Conntrack = 1 << 8, NewPolicy = 0x13;
    private const int MaxQueued = 8;

    private static readonly ushort[] s_types = [NetlinkMessage.Error, NetlinkMessage.Done, NewLink, NewAddress, NewRoute, NfTables, NfTables | 12, NfTables | 15, Conntrack, NewPolicy, 0, ushort.MaxValue];

    private static readonly (string Name, Action<SafeFileHandle> Run)[] s_requests =
    [
        ("links", socket => _ = new RouteSession(socket).Links(master: 3)),
        ("link", socket => _ = new RouteSession(socket).FindLink("eth0")),
        ("addresses", socket => _ = new RouteSession(socket).Addresses()),
        ("routes", socket => _ = new RouteSession(socket).Routes()),
        ("generation", socket => _ = new NfTablesSession(socket).Generation()),
        ("tables", socket => _ = new NfTablesSession(socket).Tables()),
        ("elements", socket => _ = new NfTablesSession(socket).Elements("slipway", "ports")),
        ("connections", socket => _ = new ConntrackSession(socket).Delete(NfTablesFamily.Ipv4, _ => true)),
        ("states", socket => _ = new XfrmSession(socket).States(requestId: 0)),
        ("policies", socket => _ = new XfrmSession(socket).Policies(requestId: 0)),
    ];

    private readonly string _directory = Directory.CreateTempSubdirectory("slipway-netlink-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void Any_answer_ends_a_request()
    {
        using Socket kernel = Bound("kernel"), session = Bound("session");
        kernel.Connect(session.LocalEndPoint!);
        session.Connect(kernel.LocalEndPoint!);
        using SafeFileHandle handle = new(session.Handle, ownsHandle: false);
        byte[] drain = new byte[1 << 16];
        int results = 0, refusals = 0;
        foreach (int seed in FuzzRun.Rounds(3))
        {
            Random random = new(seed);
            for (int datagrams = random.Next(MaxQueued); datagrams > 0; datagrams--)
            {
                kernel.Send(Datagram(random));
            }

            (string name, Action<SafeFileHandle> run) = s_requests[random.Next(s_requests.Length)];
            try
            {
                run(handle);
                results++;
            }
            catch (KernelException)
            {
                refusals++;
            }
#pragma warning disable CA1031 // Whatever it is, the seed is wanted.
            catch (Exception e)
#pragma warning restore CA1031
            {
                Assert.Fail($"seed {seed}, {name}: {e}");
            }

            Drain(kernel, drain);
            Drain(session, drain);
        }

        Assert.True(results > 10 && refusals > 10, $"{results} results and {refusals} refusals: the answers prove little");
    }

    [Fact]
    public void An_answer_that_does_not_come_is_an_error()
    {
        using Socket kernel = Bound("kernel"), session = Bound("session");
        session.Connect(kernel.LocalEndPoint!);
        using SafeFileHandle handle = new(session.Handle, ownsHandle: false);
        Assert.Equal(Errno.EPROTO, Assert.Throws<KernelException>(() => new RouteSession(handle).Links()).Errno);
    }

    private Socket Bound(string name)
    {
        Socket socket = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(Path.Combine(_directory, name)));
        return socket;
    }

    private static void Drain(Socket socket, byte[] buffer)
    {
        while (socket.Poll(0, SelectMode.SelectRead))
        {
            socket.Receive(buffer);
        }
    }

    private static byte[] Datagram(Random random)
    {
        List<byte> bytes = [];
        for (int messages = random.Next(1, 4); messages > 0; messages--)
        {
            bytes.AddRange(Message(random));
        }

        byte[] datagram = [.. bytes];
        for (int flips = random.Next(3) == 0 ? random.Next(4) : 0; flips > 0; flips--)
        {
            datagram[random.Next(datagram.Length)] = (byte)random.Next(256);
        }

        return random.Next(8) == 0 ? datagram[..random.Next(1, datagram.Length)] : datagram;
    }

    /// <summary>A header with the sequence number of a session's first request, and a payload that fits its type more often than not.</summary>
    private static byte[] Message(Random random)
    {
        ushort type = s_types[random.Next(s_types.Length)];
        byte[] payload = type is NetlinkMessage.Error or NetlinkMessage.Done ? Result(random) : [.. Fixed(random, type), .. Attributes(random, 0)];
        byte[] message = new byte[(16 + payload.Length + 3) & ~3];
        int length = random.Next(10) == 0 ? random.Next() : 16 + payload.Length;
        BinaryPrimitives.WriteInt32LittleEndian(message, length);
        BinaryPrimitives.WriteUInt16LittleEndian(message.AsSpan(4), type);
        BinaryPrimitives.WriteUInt16LittleEndian(message.AsSpan(6), (ushort)(random.Next(4) == 0 ? random.Next(ushort.MaxValue) : 2));
        BinaryPrimitives.WriteUInt32LittleEndian(message.AsSpan(8), random.Next(10) == 0 ? (uint)random.Next() : 1);
        payload.CopyTo(message, 16);
        return message;
    }

    private static byte[] Result(Random random)
    {
        int[] codes = [0, 0, 0, -2, -17, -19, -105, int.MinValue, int.MaxValue, 1];
        byte[] code = BitConverter.GetBytes(codes[random.Next(codes.Length)]);
        byte[] result = [.. code, .. new byte[16], .. random.Next(2) == 0 ? Attributes(random, 0) : []];
        return random.Next(6) == 0 ? result[..random.Next(result.Length)] : result;
    }

    private static byte[] Fixed(Random random, ushort type)
    {
        byte[] data = new byte[type switch { NewLink => 16, NewAddress => 8, NewRoute => 12, _ => 4 }];
        random.NextBytes(data);
        if (type == NewRoute && random.Next(4) > 0)
        {
            (data[0], data[1], data[4], data[7]) = ((byte)(random.Next(2) == 0 ? 2 : 10), (byte)random.Next(129), 254, 1);
        }

        return data;
    }

    private static byte[] Attributes(Random random, int depth)
    {
        List<byte> bytes = [];
        for (int count = random.Next(6); count > 0 && bytes.Count < 20_000; count--)
        {
            byte[] value = random.Next(5) switch
            {
                0 => [],
                1 => BitConverter.GetBytes(random.Next()),
                2 => [.. "eth0"u8, 0],
                3 => IPAddress.IPv6Loopback.GetAddressBytes(),
                _ => depth < 40 ? Attributes(random, depth + 1) : new byte[random.Next(300)],
            };
            int length = random.Next(12) == 0 ? random.Next(ushort.MaxValue) : 4 + value.Length;
            bytes.AddRange(BitConverter.GetBytes((ushort)length));
            bytes.AddRange(BitConverter.GetBytes((ushort)(random.Next(20) | (random.Next(2) == 0 ? 0x8000 : 0))));
            bytes.AddRange(value);
            bytes.AddRange(new byte[-value.Length & 3]);
        }

        return [.. bytes];
    }
}
