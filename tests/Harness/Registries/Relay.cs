using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;

namespace Slipway.Tests.Harness.Registries;

/// <summary>
/// Stands between a client and a registry on loopback: writes down the requests that pass (HTTP/1.1 without TLS), and can cut all connections
/// after some bytes of answers.
/// </summary>
public sealed partial class Relay : IAsyncDisposable
{
    private readonly int _target;
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _end = new();
    private readonly ConcurrentQueue<string> _requests = new();
    private readonly Task _accepting;
    private long _left = long.MaxValue;
    private long _passed;

    public Relay(int target)
    {
        _target = target;
        _listener.Start();
        _accepting = Accept();
    }

    public string Host => $"localhost:{((IPEndPoint)_listener.LocalEndpoint).Port}";

    /// <summary>Method and path of every request, in order.</summary>
    public IReadOnlyList<string> Requests => [.. _requests];

    /// <summary>Digests of the blobs that were asked for.</summary>
    public IReadOnlyList<string> Blobs =>
        [.. Requests.Select(request => BlobGet().Match(request)).Where(match => match.Success).Select(match => match.Groups[1].Value)];

    /// <summary>Bytes of answers so far.</summary>
    public long Passed => Interlocked.Read(ref _passed);

    /// <summary>Called once, in place of a reset, when the bytes of <see cref="CutAfter"/> have passed.</summary>
    public Func<Task>? AtCut { get; set; }

    public void Forget()
    {
        _requests.Clear();
        Interlocked.Exchange(ref _passed, 0);
    }

    /// <summary>After so many more bytes of answers every connection is reset, until <see cref="Mend"/>.</summary>
    public void CutAfter(long bytes) => Interlocked.Exchange(ref _left, bytes);

    public void Mend() => Interlocked.Exchange(ref _left, long.MaxValue);

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        _listener.Stop();
        await _accepting;
        _listener.Dispose();
        _end.Dispose();
    }

    private async Task Accept()
    {
        var connections = new List<Task>();
        try
        {
            while (true)
            {
                connections.Add(Serve(await _listener.AcceptSocketAsync(_end.Token)));
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            await Task.WhenAll(connections);
        }
    }

    private async Task Serve(Socket client)
    {
        using var server = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        using (client)
        {
            try
            {
                if (Interlocked.Read(ref _left) <= 0)
                {
                    Reset(client);
                    return;
                }
                await server.ConnectAsync(IPAddress.Loopback, _target, _end.Token);
                using var either = CancellationTokenSource.CreateLinkedTokenSource(_end.Token);
                var asking = Pass(client, server, Read, either);
                var answering = Pass(server, client, Count, either);
                await Task.WhenAll(asking, answering);
            }
            catch (Exception e) when (e is SocketException or OperationCanceledException or IOException)
            {
                Reset(client);
            }
        }
    }

    private static void Reset(Socket socket) => socket.LingerState = new LingerOption(true, 0);

    private static async Task Pass(Socket from, Socket to, Func<ReadOnlyMemory<byte>, Task<int>> look, CancellationTokenSource either)
    {
        var buffer = new byte[64 * 1024];
        try
        {
            while (await from.ReceiveAsync(buffer, either.Token) is > 0 and var count)
            {
                var allowed = await look(buffer.AsMemory(0, count));
                await to.SendAsync(buffer.AsMemory(0, allowed), either.Token);
                if (allowed < count)
                {
                    throw new IOException("cut");
                }
            }
            to.Shutdown(SocketShutdown.Send);
        }
        catch
        {
            await either.CancelAsync();
            throw;
        }
    }

    /// <summary>A request's first line stands at the start of what is received: clients wait for the answer before they send another.</summary>
    private Task<int> Read(ReadOnlyMemory<byte> bytes)
    {
        var match = RequestLine().Match(Encoding.Latin1.GetString(bytes.Span[..Math.Min(bytes.Length, 2048)]));
        if (match.Success)
        {
            _requests.Enqueue(match.Groups[1].Value);
        }
        return Task.FromResult(bytes.Length);
    }

    private async Task<int> Count(ReadOnlyMemory<byte> bytes)
    {
        var left = Interlocked.Add(ref _left, -bytes.Length);
        var allowed = (int)Math.Clamp(left + bytes.Length, 0, bytes.Length);
        Interlocked.Add(ref _passed, allowed);
        if (allowed < bytes.Length && AtCut is { } act)
        {
            AtCut = null;
            await act();
        }
        return allowed;
    }

    [GeneratedRegex(@"^((?:GET|HEAD|PUT|POST|PATCH|DELETE) \S+) HTTP/1\.1\r\n")]
    private static partial Regex RequestLine();

    [GeneratedRegex("^GET /v2/.*/blobs/(sha256:[0-9a-f]{64})$")]
    private static partial Regex BlobGet();
}
