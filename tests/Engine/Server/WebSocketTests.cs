using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using Slipway.Engine.Containers;
using Xunit;

namespace Slipway.Tests.Engine.Server;

/// <summary>GET /containers/{id}/attach/ws.</summary>
public sealed class WebSocketTests
{
    private const string Handshake = "Host: d\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("v1.50", WebSocketMessageType.Binary)]
    [InlineData("v1.28", WebSocketMessageType.Binary)]
    [InlineData("v1.27", WebSocketMessageType.Text)]
    public async Task What_is_sent_is_stdin_and_output_comes_back(string version, WebSocketMessageType type)
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.OnAttach = (_, _) => FakeEngine.Session(terminal: true, EchoAsync);
        using ClientWebSocket client = await ConnectAsync(server, $"/{version}/containers/c/attach/ws?stdin=1&stdout=1&stream=1");

        await client.SendAsync("one "u8.ToArray(), WebSocketMessageType.Text, endOfMessage: false, Cancellation);
        await client.SendAsync("two"u8.ToArray(), WebSocketMessageType.Text, endOfMessage: true, Cancellation);
        (string text, WebSocketMessageType received) = await ReceiveAsync(client, "one two".Length);
        Assert.Equal(("one two", type), (text, received));
        await client.SendAsync(new byte[100_000], WebSocketMessageType.Binary, endOfMessage: true, Cancellation);
        Assert.Equal(100_000, (await ReceiveAsync(client, 100_000)).Text.Length);
    }

    [Fact]
    public async Task Frames_of_the_multiplexed_stream_are_taken_apart_and_the_end_is_a_normal_closure()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.OnAttach = (_, _) => FakeEngine.Session(terminal: false, async far =>
        {
            foreach (byte piece in (byte[])[1, 0, 0, 0, 0, 0, 0, 4, .. "out "u8, 2, 0, 0, 0, 0, 0, 0, 3, .. "err"u8, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, .. "!"u8])
            {
                await far.SendAsync(new[] { piece });
            }
        });
        using ClientWebSocket client = await ConnectAsync(server, "/containers/c/attach/ws?stdout=1&stderr=1&stream=1");

        Assert.Equal("out err!", (await ReceiveAsync(client, 8)).Text);
        ValueWebSocketReceiveResult end = await client.ReceiveAsync(new byte[10].AsMemory(), Cancellation);
        Assert.Equal((WebSocketMessageType.Close, WebSocketCloseStatus.NormalClosure), (end.MessageType, client.CloseStatus));
    }

    [Theory]
    [InlineData("v1.50", "stdout=1", false, true, false)]
    [InlineData("v1.42", "stdin=1&stderr=true", true, false, true)]
    [InlineData("v1.41", "", true, true, true)]
    public async Task Which_streams_is_asked_since_1_42(string version, string query, bool stdin, bool stdout, bool stderr)
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        AttachOptions? options = null;
        server.Engine.OnAttach = (_, asked) =>
        {
            options = asked;
            return FakeEngine.Session(terminal: true, _ => Task.CompletedTask);
        };
        using ClientWebSocket client = await ConnectAsync(server, $"/{version}/containers/c/attach/ws?logs=1&stream=1&{query}");
        Assert.Equal(new AttachOptions(stdin, stdout, stderr, Logs: true, Stream: true), options);
    }

    [Theory]
    [InlineData("GET /containers/c/attach/ws HTTP/1.1\r\nHost: d\r\n\r\n", 400, "not websocket protocol")]
    [InlineData("GET /containers/c/attach/ws HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n", 400, "not websocket protocol")]
    [InlineData("GET /containers/c/attach/ws HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c2hvcnQ=\r\n\r\n", 400, "not websocket protocol")]
    [InlineData("GET /containers/c/attach/ws HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", 400, "bad WebSocket version")]
    [InlineData("GET /containers/c/attach/ws?detachKeys=ctrl-1 HTTP/1.1\r\n" + Handshake, 400, "Invalid detach keys (ctrl-1) provided")]
    [InlineData("GET /containers/nosuch/attach/ws HTTP/1.1\r\n" + Handshake, 404, "No such container: nosuch")]
    public async Task A_refusal_is_an_ordinary_answer(string request, int status, string message)
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        using Socket client = await server.ConnectAsync();
        await client.SayAsync(request);
        client.Shutdown(SocketShutdown.Send);
        string answer = await client.ReadTextAsync();
        Assert.StartsWith($"HTTP/1.1 {status} ", answer, StringComparison.Ordinal);
        Assert.Contains(message, answer, StringComparison.Ordinal);
    }

    /// <summary>By hand: the key and answer of RFC 6455, section 1.3, masked frames in single bytes, and a ping between.</summary>
    [Fact]
    public async Task The_protocol_is_that_of_the_rfc()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.OnAttach = (_, _) => FakeEngine.Session(terminal: true, EchoAsync);
        using Socket client = await server.ConnectAsync();
        await client.SayAsync("GET /v1.50/containers/c/attach/ws?stdin=1&stdout=1&stream=1 HTTP/1.1\r\n" + Handshake);
        Assert.Equal("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n", await client.ReadHeadAsync());

        byte[] frames = [.. Masked(0x01, "He"u8), .. Masked(0x89, "ping"u8), .. Masked(0x80, "y"u8)];
        foreach (byte piece in frames)
        {
            await client.SendAsync(new[] { piece }, Cancellation);
        }

        // Content may come back in one frame or two, before or after the pong.
        List<byte> content = [];
        List<byte> pong = [];
        while (content.Count < 3 || pong.Count < 4)
        {
            (byte first, byte[] payload) = await ReadFrameAsync(client);
            (first == 0x8A ? pong : content).AddRange(payload);
            Assert.True(first is 0x8A or 0x82, $"frame {first:x2}");
        }

        Assert.Equal("Hey ping", Encoding.ASCII.GetString([.. content]) + " " + Encoding.ASCII.GetString([.. pong]));
        await client.SendAsync(Masked(0x88, [0x03, 0xE8]), Cancellation);
        (byte close, byte[] status) = await ReadFrameAsync(client);
        Assert.Equal((0x88, 0x03, 0xE8), (close, status[0], status[1]));
        Assert.Equal(0, await client.ReceiveAsync(new byte[1], Cancellation));
    }

    [Fact]
    public async Task A_frame_that_is_not_masked_ends_the_connection()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.OnAttach = (_, _) => FakeEngine.Session(terminal: true, EchoAsync);
        using Socket client = await server.ConnectAsync();
        await client.SayAsync("GET /containers/c/attach/ws?stdin=1&stream=1 HTTP/1.1\r\n" + Handshake);
        await client.ReadHeadAsync();
        await client.SendAsync((byte[])[0x82, 8, .. "raw text"u8], Cancellation);
        Assert.DoesNotContain("raw", await client.ReadTextAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Closing_it_is_the_end_of_stdin()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        TaskCompletionSource<byte[]> stdin = new(TaskCreationOptions.RunContinuationsAsynchronously);
        server.Engine.OnAttach = (_, _) => FakeEngine.Session(terminal: false, async far => stdin.SetResult(await far.ReadToEndAsync()));
        using ClientWebSocket client = await ConnectAsync(server, "/v1.50/containers/c/attach/ws?stdin=1&stream=1");
        await client.SendAsync("last words"u8.ToArray(), WebSocketMessageType.Binary, endOfMessage: true, Cancellation);
        await client.CloseAsync(WebSocketCloseStatus.NormalClosure, null, Cancellation);
        Assert.Equal("last words", Encoding.ASCII.GetString(await stdin.Task.WaitAsync(TimeSpan.FromSeconds(30), Cancellation)));
    }

    [Fact]
    public async Task The_detach_keys_close_it_and_are_not_input()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        TaskCompletionSource<byte[]> stdin = new(TaskCreationOptions.RunContinuationsAsynchronously);
        server.Engine.OnAttach = (_, _) => FakeEngine.Session(terminal: true, async far => stdin.SetResult(await far.ReadToEndAsync()));
        using ClientWebSocket client = await ConnectAsync(server, "/v1.50/containers/c/attach/ws?stdin=1&stdout=1&stream=1&detachKeys=ctrl-a,x");
        await client.SendAsync("ab\u0001"u8.ToArray(), WebSocketMessageType.Binary, endOfMessage: true, Cancellation);
        await client.SendAsync("xafter"u8.ToArray(), WebSocketMessageType.Binary, endOfMessage: true, Cancellation);
        ValueWebSocketReceiveResult end = await client.ReceiveAsync(new byte[10].AsMemory(), Cancellation);
        Assert.Equal((WebSocketMessageType.Close, WebSocketCloseStatus.NormalClosure), (end.MessageType, client.CloseStatus));
        Assert.Equal("ab", Encoding.ASCII.GetString(await stdin.Task.WaitAsync(TimeSpan.FromSeconds(30), Cancellation)));
    }

    private static async Task EchoAsync(Socket far)
    {
        byte[] buffer = new byte[4096];
        for (int count = await far.ReceiveAsync(buffer); count > 0; count = await far.ReceiveAsync(buffer))
        {
            await far.SendAsync(buffer.AsMemory(0, count));
        }
    }

    private static async Task<ClientWebSocket> ConnectAsync(ServerUnderTest server, string path)
    {
        ClientWebSocket client = new();
        using HttpMessageInvoker invoker = new(new SocketsHttpHandler { ConnectCallback = async (_, _) => new NetworkStream(await server.ConnectAsync(), ownsSocket: true) });
        await client.ConnectAsync(new Uri("ws://d" + path), invoker, Cancellation);
        return client;
    }

    private static async Task<(string Text, WebSocketMessageType Type)> ReceiveAsync(ClientWebSocket client, int length)
    {
        byte[] buffer = new byte[length];
        WebSocketMessageType type = default;
        for (int filled = 0; filled < length;)
        {
            ValueWebSocketReceiveResult received = await client.ReceiveAsync(buffer.AsMemory(filled), Cancellation);
            Assert.NotEqual(WebSocketMessageType.Close, received.MessageType);
            filled += received.Count;
            type = received.MessageType;
        }

        return (Encoding.Latin1.GetString(buffer), type);
    }

    private static byte[] Masked(byte first, ReadOnlySpan<byte> payload)
    {
        byte[] mask = [0x12, 0x34, 0x56, 0x78];
        byte[] frame = [first, (byte)(0x80 | payload.Length), .. mask, .. payload];
        for (int i = 0; i < payload.Length; i++)
        {
            frame[6 + i] ^= mask[i % 4];
        }

        return frame;
    }

    private static async Task<(byte First, byte[] Payload)> ReadFrameAsync(Socket client)
    {
        byte[] head = await ReadAsync(client, 2);
        Assert.True(head[1] < 126, "a short frame that is not masked");
        return (head[0], await ReadAsync(client, head[1]));
    }

    private static async Task<byte[]> ReadAsync(Socket client, int length)
    {
        byte[] bytes = new byte[length];
        for (int filled = 0; filled < length;)
        {
            int count = await client.ReceiveAsync(bytes.AsMemory(filled), Cancellation);
            Assert.NotEqual(0, count);
            filled += count;
        }

        return bytes;
    }
}
