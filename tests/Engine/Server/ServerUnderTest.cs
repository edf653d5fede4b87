using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using Slipway.Server;
using Xunit;

namespace Slipway.Tests.Engine.Server;

/// <summary>A server over a unix socket in a directory of its own, for one test.</summary>
internal sealed class ServerUnderTest : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop;
    private readonly string _directory;
    private readonly Task _running;
    private bool _warningsExpected;

    private ServerUnderTest(FakeEngine engine, string directory, Task running, HttpClient http, CollectingLog log, CancellationTokenSource stop)
    {
        (Engine, _directory, _running, Http, Log, _stop) = (engine, directory, running, http, log, stop);
    }

    public FakeEngine Engine { get; }

    /// <summary>What the server warned of: nothing, unless a test says otherwise.</summary>
    public CollectingLog Log { get; }

    /// <summary>A well-behaved client.</summary>
    public HttpClient Http { get; }

    public string SocketPath => Path.Combine(_directory, "s.sock");

    /// <param name="configure">Changes the options, given the server's directory.</param>
    public static async Task<ServerUnderTest> StartAsync(Func<ServerOptions, string, ServerOptions>? configure = null)
    {
        string directory = Directory.CreateTempSubdirectory("slipway-server-").FullName;
        FakeEngine engine = new() { DataRoot = Path.Combine(directory, "data") };
        string socket = Path.Combine(directory, "s.sock");
        TaskCompletionSource listening = new(TaskCreationOptions.RunContinuationsAsynchronously);
        CancellationTokenSource stop = new();
        CollectingLog log = new();
        ServerOptions options = new() { Logging = log, WarmUp = false, Hosts = ["unix://" + socket], Listening = () => listening.TrySetResult(), StopTimeout = TimeSpan.FromSeconds(2) };
        try
        {
            Task running = ServerHost.RunAsync(engine, configure?.Invoke(options, directory) ?? options, stop.Token);
            await await Task.WhenAny(listening.Task, running);
            return new ServerUnderTest(engine, directory, running, Client(socket), log, stop);
        }
        catch
        {
            stop.Dispose();
            Directory.Delete(directory, recursive: true);
            throw;
        }
    }

    /// <summary>A client of a socket in the server's directory.</summary>
    public HttpClient ClientOf(string socket) => Client(Path.Combine(_directory, socket));

    public string PathOf(string file) => Path.Combine(_directory, file);

    public void ExpectWarnings() => _warningsExpected = true;

    /// <summary>A connection that says what it likes.</summary>
    public Task<Socket> ConnectAsync() => ConnectAsync(SocketPath, TestContext.Current.CancellationToken);

    public async Task<(int Status, string Body)> SendAsync(string method, string path, string? json = null, string contentType = "application/json")
    {
        using HttpRequestMessage request = new(new HttpMethod(method), path);
        if (json is not null)
        {
            request.Content = new StringContent(json, Encoding.UTF8);
            request.Content.Headers.ContentType = MediaTypeHeaderValue.Parse(contentType);
        }

        using HttpResponseMessage response = await Http.SendAsync(request, TestContext.Current.CancellationToken);
        return ((int)response.StatusCode, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await _stop.CancelAsync();
        await _running;
        IReadOnlyList<string> warnings = Log.Entries;
        Assert.True(warnings.Count == 0 || _warningsExpected, string.Join('\n', warnings));
        Directory.Delete(_directory, recursive: true);
        _stop.Dispose();
    }

    private static HttpClient Client(string socket) => new(new SocketsHttpHandler
    {
        ConnectCallback = async (_, token) => new NetworkStream(await ConnectAsync(socket, token), ownsSocket: true),
    })
    { BaseAddress = new Uri("http://slipway"), Timeout = TimeSpan.FromSeconds(60) };

    private static async Task<Socket> ConnectAsync(string path, CancellationToken cancellationToken)
    {
        Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken);
        return socket;
    }
}

/// <summary>Words for raw connections.</summary>
internal static class RawClient
{
    public static async Task SayAsync(this Socket socket, string text) =>
        await socket.SendAsync(Encoding.Latin1.GetBytes(text), TestContext.Current.CancellationToken);

    /// <summary>Reads up to the empty line after the headers, and not a byte more.</summary>
    public static async Task<string> ReadHeadAsync(this Socket socket)
    {
        StringBuilder head = new();
        byte[] one = new byte[1];
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            int count = await socket.ReceiveAsync(one, TestContext.Current.CancellationToken);
            if (count == 0)
            {
                break;
            }

            head.Append((char)one[0]);
        }

        return head.ToString();
    }

    public static async Task<byte[]> ReadToEndAsync(this Socket socket)
    {
        using MemoryStream all = new();
        byte[] buffer = new byte[64 * 1024];
        int count;
        while ((count = await socket.ReceiveAsync(buffer, TestContext.Current.CancellationToken)) > 0)
        {
            all.Write(buffer, 0, count);
        }

        return all.ToArray();
    }

    public static async Task<string> ReadTextAsync(this Socket socket) => Encoding.Latin1.GetString(await socket.ReadToEndAsync());
}
