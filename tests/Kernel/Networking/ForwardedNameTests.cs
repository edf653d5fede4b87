using System.Net;
using System.Net.Sockets;
using System.Text;
using Slipway.Kernel.Netlink;
using Slipway.Networking;
using Xunit;

namespace Slipway.Tests.Kernel.Networking;

/// <summary>Questions that a container's name server passes on, to servers that are slow, silent or hostile.</summary>
public sealed class ForwardedNameTests : IAsyncLifetime
{
    private static readonly IPAddress s_first = IPAddress.Parse("127.0.0.2");
    private static readonly IPAddress s_second = IPAddress.Parse("127.0.0.3");

    private readonly List<Socket> _servers = [];
    private NetworkLab _lab = null!;
    private NetworkHost _host = null!;
    private ResolverHost _resolvers = null!;
    private Sandbox _sandbox = null!;
    private NamespaceThread _inside = null!;

    private static CancellationToken None => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _lab = await NetworkLab.CreateAsync();
        _host = new NetworkHost("lab", _lab.HostNamespace);
        _resolvers = new ResolverHost(_lab.HostNamespace);
        _sandbox = await (await _host.FactoryAsync(None)).MakeIsolatedAsync(None);
        _inside = _lab.Container(_sandbox);
    }

    public async ValueTask DisposeAsync()
    {
        _servers.ForEach(server => server.Dispose());
        _sandbox.Dispose();
        await _resolvers.DisposeAsync();
        await _host.DisposeAsync();
        await _lab.DisposeAsync();
    }

    [Fact]
    public async Task An_answer_is_asked_for_once_until_its_time_is_over()
    {
        List<byte[]> asked = await ServeAsync(s_first, query => [Answer(query, 200)]);
        await using SandboxResolver resolver = await StartAsync(s_first);
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal([10, 9, 8, 7], (await AskAsync("kept.example"))[^4..]);
        }

        Assert.Single(asked);
        await AskAsync("other.example");
        Assert.Equal(2, asked.Count);
    }

    [Fact]
    public async Task A_silent_server_is_waited_for_once()
    {
        List<byte[]> silent = await ServeAsync(s_first, _ => []);
        List<byte[]> asked = await ServeAsync(s_second, query => [Answer(query, 0)]);
        await using SandboxResolver resolver = await StartAsync(s_first, s_second);
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal([10, 9, 8, 7], (await AskAsync("a.example"))[^4..]);
        }

        Assert.Single(silent);
        Assert.Equal(3, asked.Count);
    }

    [Fact]
    public async Task A_server_that_fails_is_passed_over_and_its_failure_told_if_all_do()
    {
        List<byte[]> failing = await ServeAsync(s_first, query => [Failure(query)]);
        await using (SandboxResolver resolver = await StartAsync(s_first))
        {
            Assert.Equal(2, (await AskAsync("a.example"))[3] & 0xF);
        }

        await ServeAsync(s_second, query => [Answer(query, 0)]);
        await using SandboxResolver both = await StartAsync(s_first, s_second);
        Assert.Equal([10, 9, 8, 7], (await AskAsync("a.example"))[^4..]);
        Assert.Equal(2, failing.Count);
    }

    [Fact]
    public async Task What_does_not_answer_the_question_is_passed_over_until_the_answer_comes()
    {
        await ServeAsync(s_first, query =>
        {
            byte[] good = Answer(query, 0);
            byte[] otherNumber = [.. good];
            otherNumber[0] ^= 0xFF;
            byte[] otherName = [.. good];
            otherName[13] ^= 1;
            byte[] noResponse = [.. good];
            noResponse[2] &= 0x7F;
            byte[] loop = [.. good[..12], 0xC0, 12, 0, 1, 0, 1];
            return [otherNumber, otherName, noResponse, loop, good[..8], [], good];
        });
        await using SandboxResolver resolver = await StartAsync(s_first);
        Assert.Equal([10, 9, 8, 7], (await AskAsync("a.example"))[^4..]);
    }

    private static byte[] Answer(byte[] query, byte seconds)
    {
        byte[] answer = [.. query, 0xC0, 12, 0, 1, 0, 1, 0, 0, (byte)(seconds == 0 ? 0 : 1), seconds, 0, 4, 10, 9, 8, 7];
        (answer[2], answer[3], answer[7]) = (0x81, 0x80, 1);
        return answer;
    }

    private static byte[] Failure(byte[] query)
    {
        byte[] answer = [.. query];
        (answer[2], answer[3]) = (0x81, 0x82);
        return answer;
    }

    private Task<SandboxResolver> StartAsync(params IPAddress[] servers) =>
        _resolvers.StartAsync(_sandbox, new ResolverZones(), [.. servers.Select(address => new UpstreamServer(address, FromContainer: false))], [], None);

    /// <summary>A server at the host's port 53, that sends what it is told to for each question; the questions it got.</summary>
    private async Task<List<byte[]>> ServeAsync(IPAddress address, Func<byte[], byte[][]> answers)
    {
        List<byte[]> asked = [];
        Socket server = await _lab.Host.RunAsync(() => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp), None);
        _servers.Add(server);
        server.Bind(new IPEndPoint(address, 53));
        _ = Task.Run(
            async () =>
            {
                byte[] buffer = new byte[512];
                while (true)
                {
                    SocketReceiveFromResult got = await server.ReceiveFromAsync(buffer, new IPEndPoint(IPAddress.Any, 0));
                    asked.Add(buffer[..got.ReceivedBytes]);
                    foreach (byte[] answer in answers(buffer[..got.ReceivedBytes]))
                    {
                        await server.SendToAsync(answer, got.RemoteEndPoint);
                    }
                }
            },
            None);
        return asked;
    }

    private async Task<byte[]> AskAsync(string name)
    {
        byte[] query = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, .. name.Split('.').SelectMany(label => (byte[])[(byte)label.Length, .. Encoding.ASCII.GetBytes(label)]), 0, 0, 1, 0, 1];
        using Socket socket = await _inside.RunAsync(() => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp), None);
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(30));
        await socket.ConnectAsync(new IPEndPoint(SandboxResolver.Address, 53), limit.Token);
        await socket.SendAsync(query, limit.Token);
        byte[] buffer = new byte[512];
        int length = await socket.ReceiveAsync(buffer, limit.Token);
        Assert.Equal(query[..2], buffer[..2]);
        return buffer[..length];
    }
}
