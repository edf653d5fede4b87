using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>Attaching to real containers by websocket.</summary>
public sealed class WebSocketTests(SharedEngine engine) : EngineTest(engine)
{
    private async Task<ClientWebSocket> Connect(string container, string query)
    {
        var client = new ClientWebSocket();
        using var invoker = new HttpMessageInvoker(new SocketsHttpHandler
        {
            ConnectCallback = async (_, cancellation) =>
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(Docker.Socket), cancellation);
                return new NetworkStream(socket, ownsSocket: true);
            },
        });
        await client.ConnectAsync(new Uri($"ws://d/v1.45/containers/{container}/attach/ws?{query}"), invoker, Cancellation);
        return client;
    }

    private static async Task<string> ReadToEnd(ClientWebSocket client)
    {
        var text = new StringBuilder();
        var buffer = new byte[4096];
        while (true)
        {
            var received = await client.ReceiveAsync(buffer.AsMemory(), Cancellation);
            if (received.MessageType == WebSocketMessageType.Close)
            {
                return text.ToString();
            }

            text.Append(Encoding.UTF8.GetString(buffer, 0, received.Count));
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Input_goes_in_and_output_comes_until_the_container_ends(bool terminal)
    {
        var name = Container();
        await Docker.Ok(["create", "-i", .. terminal ? (string[])["-t"] : [], "--name", name, "alpine", "sh", "-c", "read line; echo \"got $line\"; echo error >&2"]);
        using var client = await Connect(name, "stdin=1&stdout=1&stderr=1&stream=1");
        await Docker.Ok("start", name);
        await client.SendAsync("hello\n"u8.ToArray(), WebSocketMessageType.Text, endOfMessage: true, Cancellation);
        var output = (await ReadToEnd(client)).Replace("\r\n", "\n", StringComparison.Ordinal);
        Assert.Contains("got hello\n", output, StringComparison.Ordinal);
        Assert.Contains("error\n", output, StringComparison.Ordinal);
        Assert.Equal("0", await Docker.Ok("wait", name));
    }

    [Fact]
    public async Task Past_output_comes_first_and_only_the_streams_asked_for()
    {
        var name = Container();
        await Docker.Ok("run", "--name", name, "alpine", "sh", "-c", "echo out; echo error >&2");
        using (var client = await Connect(name, "stdout=1&logs=1"))
        {
            Assert.Equal("out\n", await ReadToEnd(client));
        }

        using (var client = await Connect(name, "stderr=1&logs=1"))
        {
            Assert.Equal("error\n", await ReadToEnd(client));
        }
    }

    [Fact]
    public async Task Closing_it_ends_the_stdin_of_a_container_that_has_no_more_than_one()
    {
        var name = Container();
        await Docker.Ok("create", "-i", "--name", name, "alpine", "cat");
        using var client = await Connect(name, "stdin=1&stdout=1&stream=1");
        await Docker.Ok("start", name);
        await client.SendAsync("kept\n"u8.ToArray(), WebSocketMessageType.Binary, endOfMessage: true, Cancellation);
        Assert.True((await client.ReceiveAsync(new byte[100].AsMemory(), Cancellation)).Count > 0);
        await client.CloseAsync(WebSocketCloseStatus.NormalClosure, null, Cancellation);
        Assert.Equal("0", await Docker.Ok("wait", name));
        Assert.Equal("kept", await Docker.Ok("logs", name));
    }
}
