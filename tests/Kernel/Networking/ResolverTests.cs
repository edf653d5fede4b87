using System.Net;
using System.Net.Sockets;
using Slipway.Kernel.Netlink;
using Slipway.Networking;
using Xunit;

namespace Slipway.Tests.Kernel.Networking;

/// <summary>The name server of a container, asked from inside its network namespace byte by byte.</summary>
public sealed class ResolverTests : IAsyncLifetime
{
    private const ushort A = 1;
    private const ushort Aaaa = 28;

    private static readonly byte[] s_edns = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];

    private readonly NetworkNames _names = new("net");
    private NetworkLab _lab = null!;
    private BridgeNetwork _network = null!;
    private ResolverHost _resolvers = null!;
    private SandboxResolver _resolver = null!;
    private Sandbox _sandbox = null!;
    private NamespaceThread _inside = null!;

    private static CancellationToken None => CancellationToken.None;

    public async ValueTask InitializeAsync()
    {
        _lab = await NetworkLab.CreateAsync();
        _network = _lab.Network(new BridgeOptions { PoolSize = 0, IsolatedPoolSize = 0 });
        await _network.EnsureAsync(None);
        _resolvers = new ResolverHost(_lab.HostNamespace);
        _sandbox = await _network.PrepareSandboxAsync(SandboxKind.Isolated, None);
        _inside = _lab.Container(_sandbox);
        _names.Set("one", ["web"], IPAddress.Parse("10.0.0.2"));
        _resolver = await _resolvers.StartAsync(_sandbox, new ResolverZones { Networks = [_names] }, [], [], None);
    }

    public async ValueTask DisposeAsync()
    {
        await _resolver.DisposeAsync();
        _sandbox.Dispose();
        await _resolvers.DisposeAsync();
        await _network.DisposeAsync();
        await _lab.DisposeAsync();
    }

    [Fact]
    public async Task A_name_is_answered_by_UDP_and_TCP()
    {
        byte[] expected = [0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 10, 0, 4, 10, 0, 0, 2];
        foreach (bool stream in new[] { false, true })
        {
            byte[] answer = await AskAsync(Query("web", A), stream);
            Assert.Equal([0x12, 0x34, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0], answer[..12]);
            Assert.Equal(expected, answer[^expected.Length..]);
        }
    }

    [Fact]
    public async Task A_known_name_has_no_other_types_and_unknown_ones_without_servers_fail()
    {
        byte[] none = await AskAsync(Query("web", Aaaa), stream: false);
        Assert.Equal((0, 0), (none[3] & 0xF, none[7]));
        Assert.Equal(2, (await AskAsync(Query("nosuch", A), stream: false))[3] & 0xF);
    }

    [Fact]
    public async Task What_does_not_fit_is_cut_off_by_UDP_and_whole_by_TCP()
    {
        for (int i = 0; i < 100; i++)
        {
            _names.Set($"many{i}", [$"n{i}", "many"], new IPAddress([10, 1, 0, (byte)i]));
        }

        byte[] cut = await AskAsync(Query("many", A), stream: false);
        Assert.True(cut.Length <= 512);
        Assert.Equal(2, cut[2] & 2);
        byte[] more = await AskAsync(Query("many", A, s_edns), stream: false);
        Assert.InRange(more.Length, 513, 1232);
        Assert.Equal(41, more[^9]);
        byte[] whole = await AskAsync(Query("many", A), stream: true);
        Assert.Equal((0, 100), (whole[2] & 2, whole[7]));
    }

    [Fact]
    public async Task What_is_no_query_is_refused_or_passed_over_and_the_next_is_answered()
    {
        byte[] good = Query("web", A);
        byte[] response = [.. good];
        response[2] |= 0x80;
        byte[] pointer = [.. good[..12], 0xC0, 12, 0, 1, 0, 1];
        byte[] cut = good[..14];
        byte[] update = [.. good];
        update[2] = 5 << 3;
        byte[] two = [.. good];
        two[5] = 2;
        Assert.Equal(1, (await AskAsync(pointer, stream: false))[3] & 0xF);
        Assert.Equal(1, (await AskAsync(cut, stream: false))[3] & 0xF);
        Assert.Equal(1, (await AskAsync(two, stream: false))[3] & 0xF);
        Assert.Equal(4, (await AskAsync(update, stream: false))[3] & 0xF);

        // No answer to an answer, or to what is too short to be answered: the next one is.
        Assert.Equal(good[..2], (await AskAsync(good, stream: false, before: [response, [1, 2, 3], []]))[..2]);
    }

    [Fact]
    public async Task Any_bytes_are_survived()
    {
        Random random = new(20240229);
        byte[] good = Query("web", A, s_edns);
        List<byte[]> noise = [];
        for (int i = 0; i < 2000; i++)
        {
            byte[] message = [.. good[..random.Next(good.Length + 1)]];
            for (int change = random.Next(4); change > 0 && message.Length > 0; change--)
            {
                message[random.Next(message.Length)] = (byte)random.Next(256);
            }

            if (message.Length > 2)
            {
                message[0] = 0xFF; // another id than that of the question at the end
            }

            noise.Add(message);
        }

        foreach (byte[][] part in noise.Chunk(50))
        {
            Assert.Equal(1, (await AskAsync(good, stream: false, before: part))[7]);
        }
    }

    [Fact]
    public async Task A_resolver_started_anew_takes_the_place_of_the_one_before()
    {
        await _resolver.DisposeAsync();
        _resolver = await _resolvers.StartAsync(_sandbox, new ResolverZones { Networks = [_names] }, [], [], None);
        Assert.Equal(1, (await AskAsync(Query("web", A), stream: true))[7]);
        Assert.Equal(1, (await AskAsync(Query("web", A), stream: false))[7]);
    }

    private static byte[] Query(string name, ushort type, byte[]? additional = null) =>
    [
        0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, (byte)(additional is null ? 0 : 1),
        (byte)name.Length, .. System.Text.Encoding.ASCII.GetBytes(name), 0, 0, (byte)type, 0, 1, .. additional ?? [],
    ];

    /// <summary>Asks 127.0.0.11 port 53; of what comes back, what has the id of the query.</summary>
    private async Task<byte[]> AskAsync(byte[] query, bool stream, IReadOnlyList<byte[]>? before = null)
    {
        using Socket socket = await _inside.RunAsync(
            () => new Socket(AddressFamily.InterNetwork, stream ? SocketType.Stream : SocketType.Dgram, stream ? ProtocolType.Tcp : ProtocolType.Udp), None);
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(20));
        await socket.ConnectAsync(new IPEndPoint(SandboxResolver.Address, 53), limit.Token);
        if (stream)
        {
            using NetworkStream connection = new(socket);
            await connection.WriteAsync((byte[])[(byte)(query.Length >> 8), (byte)query.Length, .. query], limit.Token);
            byte[] length = new byte[2];
            await connection.ReadExactlyAsync(length, limit.Token);
            byte[] message = new byte[(length[0] << 8) | length[1]];
            await connection.ReadExactlyAsync(message, limit.Token);
            return message;
        }

        foreach (byte[] noise in before ?? [])
        {
            await socket.SendAsync(noise, limit.Token);
        }

        byte[] buffer = new byte[65535];
        while (true)
        {
            await socket.SendAsync(query, limit.Token);
            int received = await socket.ReceiveAsync(buffer, limit.Token);
            if (received >= 12 && buffer[0] == query[0] && buffer[1] == query[1])
            {
                return buffer[..received];
            }
        }
    }
}
