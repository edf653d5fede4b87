using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;

namespace Slipway.Tests.Engine.Volumes;

/// <summary>A volume plugin in this process: HTTP on a unix socket, directories as volumes.</summary>
internal sealed class FakePlugin : IAsyncDisposable
{
    private readonly string _root;
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _serving;

    /// <param name="root">Where its volumes lie.</param>
    public FakePlugin(string socket, string root)
    {
        _root = root;
        _listener.Bind(new UnixDomainSocketEndPoint(socket));
        _listener.Listen();
        _serving = ServeAsync();
    }

    /// <summary>Method and arguments, in order.</summary>
    public List<string> Calls { get; } = [];

    /// <summary>The error that a method answers with.</summary>
    public Dictionary<string, string> Failures { get; } = [];

    public string Implements { get; set; } = "VolumeDriver";

    /// <summary>What Mount answers instead of the volume's directory.</summary>
    public string? Mountpoint { get; set; }

    /// <summary>Sent instead of any answer.</summary>
    public string? Garbage { get; set; }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        await _serving;
        _stop.Dispose();
    }

    private async Task ServeAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                using Socket connection = await _listener.AcceptAsync(_stop.Token);
                await AnswerAsync(connection);
            }
            catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                // The test is over, or the engine has closed its connection.
            }
        }
    }

    private async Task AnswerAsync(Socket connection)
    {
        StringBuilder request = new();
        byte[] buffer = new byte[4096];
        while (!IsWhole(request.ToString()))
        {
            int count = await connection.ReceiveAsync(buffer, _stop.Token);
            if (count == 0)
            {
                return;
            }

            request.Append(Encoding.UTF8.GetString(buffer, 0, count));
        }

        string text = request.ToString();
        string method = text.Split(' ')[1].TrimStart('/');
        string body = Garbage ?? Answer(method, JsonNode.Parse(text[(text.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..])!).ToJsonString();
        await connection.SendAsync(Encoding.UTF8.GetBytes($"HTTP/1.1 200 OK\r\nContent-Length: {body.Length}\r\nConnection: close\r\n\r\n{body}"), _stop.Token);
    }

    private static bool IsWhole(string request)
    {
        int end = request.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        if (end < 0)
        {
            return false;
        }

        string length = request[..end].Split("\r\n").First(line => line.StartsWith("Content-Length:", StringComparison.OrdinalIgnoreCase)).Split(':')[1];
        return request.Length - end - 4 >= int.Parse(length, System.Globalization.CultureInfo.InvariantCulture);
    }

    private JsonObject Answer(string method, JsonNode call)
    {
        string name = (string?)call["Name"] ?? "";
        Calls.Add(string.Join(' ', new[] { method, name, (string?)call["ID"], (string?)call["Opts"]?["color"] }.Where(part => !string.IsNullOrEmpty(part))));
        if (Failures.TryGetValue(method, out string? failure))
        {
            return new JsonObject { ["Err"] = failure };
        }

        string path = $"{_root}/{name}";
        switch (method)
        {
            case "Plugin.Activate":
                return new JsonObject { [nameof(Implements)] = new JsonArray(Implements) };
            case "VolumeDriver.Capabilities":
                return new JsonObject { ["Capabilities"] = new JsonObject { ["Scope"] = "global" } };
            case "VolumeDriver.Create":
                Directory.CreateDirectory(path);
                return new JsonObject { ["Err"] = "" };
            case "VolumeDriver.Get":
                return new JsonObject { ["Volume"] = new JsonObject { ["Name"] = name, [nameof(Mountpoint)] = path } };
            case "VolumeDriver.Mount":
                return new JsonObject { [nameof(Mountpoint)] = Mountpoint ?? path };
            case "VolumeDriver.Remove":
                Directory.Delete(path, recursive: true);
                return new JsonObject { ["Err"] = "" };
            default:
                return new JsonObject { ["Err"] = "" };
        }
    }
}
