using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;

namespace Slipway.Tests.Harness;

/// <summary>An authorization plugin in this process: HTTP on a unix socket. It allows what it is not told to refuse.</summary>
public sealed class FakeAuthorizationPlugin : IAsyncDisposable
{
    private readonly string _path;
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentQueue<PluginCall> _calls = new();
    private readonly Task _serving;

    public FakeAuthorizationPlugin(string socket)
    {
        _path = socket;
        _listener.Bind(new UnixDomainSocketEndPoint(socket));
        _listener.Listen(64);
        _serving = ServeAsync();
    }

    /// <summary>What it was asked, in order.</summary>
    public IReadOnlyList<PluginCall> Calls => [.. _calls];

    /// <summary>The calls about requests; those about answers are <see cref="Answers"/>.</summary>
    public IReadOnlyList<PluginCall> Requests => [.. _calls.Where(call => call.Method == "AuthZPlugin.AuthZReq")];

    public IReadOnlyList<PluginCall> Answers => [.. _calls.Where(call => call.Method == "AuthZPlugin.AuthZRes")];

    /// <summary>Null allows; a text is the reason of a refusal.</summary>
    public Func<PluginCall, string?> Judge { get; set; } = _ => null;

    /// <summary>Sent in place of the verdict: status and body; an empty body with status 0 is silence.</summary>
    public Func<PluginCall, (int Status, string Body)?> Instead { get; set; } = _ => null;

    public string Implements { get; set; } = "authz";

    public async ValueTask DisposeAsync()
    {
        if (_serving.IsCompleted)
        {
            return;
        }
        await _stop.CancelAsync();
        _listener.Dispose();
        await _serving;
        _stop.Dispose();
        File.Delete(_path);
    }

    private async Task ServeAsync()
    {
        List<Task> connections = [];
        try
        {
            while (true)
            {
                connections.Add(AnswerAsync(await _listener.AcceptAsync(_stop.Token)));
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            await Task.WhenAll(connections);
        }
    }

    private async Task AnswerAsync(Socket connection)
    {
        using (connection)
        {
            try
            {
                (var method, JsonNode arguments) = await ReceiveAsync(connection);
                var (status, body) = (200, $$"""{"Implements":["{{Implements}}"]}""");
                if (method != "Plugin.Activate")
                {
                    var call = new PluginCall(method, arguments);
                    _calls.Enqueue(call);
                    (status, body) = Instead(call) ?? (200, Judge(call) is { } reason ? $$"""{"Allow":false,"Msg":"{{reason}}"}""" : """{"Allow":true}""");
                }
                if (status == 0)
                {
                    await Task.Delay(Timeout.Infinite, _stop.Token);
                }
                await connection.SendAsync(Encoding.UTF8.GetBytes($"HTTP/1.1 {status} X\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\nConnection: close\r\n\r\n{body}"), _stop.Token);
            }
            catch (Exception exception) when (exception is OperationCanceledException or SocketException)
            {
                // The test is over, or the engine waits no longer.
            }
        }
    }

    private async Task<(string Method, JsonNode Arguments)> ReceiveAsync(Socket connection)
    {
        using var request = new MemoryStream();
        var buffer = new byte[64 * 1024];
        while (true)
        {
            var count = await connection.ReceiveAsync(buffer, _stop.Token);
            if (count == 0)
            {
                throw new SocketException((int)SocketError.ConnectionReset);
            }
            request.Write(buffer, 0, count);
            var received = request.GetBuffer().AsSpan(0, (int)request.Length);
            var head = received.IndexOf("\r\n\r\n"u8);
            if (head < 0)
            {
                continue;
            }
            var lines = Encoding.ASCII.GetString(received[..head]).Split("\r\n");
            var length = int.Parse(lines.First(line => line.StartsWith("Content-Length:", StringComparison.OrdinalIgnoreCase)).Split(':')[1], System.Globalization.CultureInfo.InvariantCulture);
            if (received.Length - head - 4 >= length)
            {
                // A dockerd on the same machine asks all sockets of the plugins' folder what they are, with nothing in it.
                return (lines[0].Split(' ')[1].TrimStart('/'), length == 0 ? new JsonObject() : JsonNode.Parse(received.Slice(head + 4, length))!);
            }
        }
    }
}

/// <summary>One question to a plugin.</summary>
public sealed record PluginCall(string Method, JsonNode Arguments)
{
    public string Verb => (string)Arguments["RequestMethod"]!;

    public string Uri => (string)Arguments["RequestUri"]!;

    /// <summary>Empty where none was shown.</summary>
    public string Body => Text("RequestBody");

    public int Status => (int)Arguments["ResponseStatusCode"]!;

    public string Answer => Text("ResponseBody");

    private string Text(string field) => (string?)Arguments[field] is { } text ? Encoding.UTF8.GetString(Convert.FromBase64String(text)) : "";
}
