using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Slipway.Client;

/// <summary>
/// A connection that stopped being HTTP: what is written goes to a process' stdin, what is read is its output, raw where it
/// has a terminal and in multiplexed frames otherwise (Engine API, "ContainerAttach").
/// </summary>
public sealed class HijackedStream : IAsyncDisposable
{
    private const int MaxHead = 64 * 1024;
    private readonly Socket _socket;
    private readonly NetworkStream _stream;
    private ReadOnlyMemory<byte> _early;

    private HijackedStream(Socket socket, ReadOnlyMemory<byte> early)
    {
        _socket = socket;
        _stream = new NetworkStream(socket, ownsSocket: true);
        _early = early;
    }

    public async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (_early.IsEmpty)
        {
            return await _stream.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
        }

        int count = Math.Min(buffer.Length, _early.Length);
        _early[..count].CopyTo(buffer);
        _early = _early[count..];
        return count;
    }

    public ValueTask WriteAsync(ReadOnlyMemory<byte> data, CancellationToken cancellationToken) => _stream.WriteAsync(data, cancellationToken);

    /// <summary>Ends stdin; output still comes.</summary>
    public void CloseWrite() => _socket.Shutdown(SocketShutdown.Send);

    /// <summary>Copies the output to <paramref name="stdout"/> and <paramref name="stderr"/> until it ends.</summary>
    /// <param name="terminal">The output is raw.</param>
    public async Task CopyOutputAsync(bool terminal, Stream stdout, Stream stderr, CancellationToken cancellationToken)
    {
        byte[] buffer = new byte[32 * 1024];
        if (terminal)
        {
            for (int count; (count = await ReadAsync(buffer, cancellationToken).ConfigureAwait(false)) > 0;)
            {
                await stdout.WriteAsync(buffer.AsMemory(0, count), cancellationToken).ConfigureAwait(false);
                await stdout.FlushAsync(cancellationToken).ConfigureAwait(false);
            }

            return;
        }

        await MultiplexedFrames.CopyAsync(ReadAsync, stdout, stderr, buffer, cancellationToken).ConfigureAwait(false);
    }

    public ValueTask DisposeAsync() => _stream.DisposeAsync();

    /// <summary>Sends a POST that asks for an upgrade and reads the answer's head.</summary>
    /// <exception cref="EngineApiException">The engine refused.</exception>
    internal static Task<HijackedStream> OpenAsync(EngineAddress address, string path, byte[]? json, CancellationToken cancellationToken) =>
        OpenAsync(address, path, json, "tcp", [new("Content-Type", "application/json")], cancellationToken);

    /// <param name="protocol">That is asked for.</param>
    /// <param name="headers">Without line breaks.</param>
    internal static async Task<HijackedStream> OpenAsync(
        EngineAddress address, string path, byte[]? json, string protocol, IReadOnlyList<KeyValuePair<string, string>> headers, CancellationToken cancellationToken)
    {
        Socket socket = await address.ConnectAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            string head = string.Create(CultureInfo.InvariantCulture,
                $"POST {path} HTTP/1.1\r\nHost: slipway\r\nUser-Agent: slipway\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n{string.Concat(headers.Select(header => $"{header.Key}: {header.Value}\r\n"))}Content-Length: {json?.Length ?? 0}\r\n\r\n");
            await socket.SendAsync(Encoding.ASCII.GetBytes(head), cancellationToken).ConfigureAwait(false);
            if (json is { Length: > 0 })
            {
                await socket.SendAsync(json, cancellationToken).ConfigureAwait(false);
            }

            (string answer, byte[] rest) = await ReadHeadAsync(socket, cancellationToken).ConfigureAwait(false);
            int status = answer.Length > 12 && int.TryParse(answer.AsSpan(9, 3), NumberStyles.None, CultureInfo.InvariantCulture, out int code)
                ? code
                : throw new IOException("the engine's answer is not HTTP");
            if (status is 101 or 200)
            {
                return new HijackedStream(socket, rest);
            }

            throw new EngineApiException((HttpStatusCode)status, await ReadErrorAsync(socket, answer, rest, cancellationToken).ConfigureAwait(false));
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static async Task<(string Head, byte[] Remainder)> ReadHeadAsync(Socket socket, CancellationToken cancellationToken)
    {
        byte[] buffer = new byte[4096];
        int length = 0;
        while (true)
        {
            int count = await socket.ReceiveAsync(buffer.AsMemory(length), cancellationToken).ConfigureAwait(false);
            if (count == 0)
            {
                throw new IOException("the engine closed the connection");
            }

            length += count;
            int end = buffer.AsSpan(0, length).IndexOf("\r\n\r\n"u8);
            if (end >= 0)
            {
                return (Encoding.Latin1.GetString(buffer, 0, end), buffer[(end + 4)..length]);
            }

            if (length == buffer.Length)
            {
                Array.Resize(ref buffer, length < MaxHead ? length * 2 : throw new IOException("the engine's answer has too long a head"));
            }
        }
    }

    private static async Task<string> ReadErrorAsync(Socket socket, string head, byte[] rest, CancellationToken cancellationToken)
    {
        int expected = 0;
        foreach (string line in head.Split("\r\n"))
        {
            if (line.StartsWith("content-length:", StringComparison.OrdinalIgnoreCase)
                && !int.TryParse(line.AsSpan(15).Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out expected))
            {
                throw new IOException("the engine's answer has a wrong length");
            }
        }

        byte[] body = new byte[Math.Clamp(expected, rest.Length, MaxHead)];
        rest.CopyTo(body, 0);
        int length = rest.Length;
        while (length < body.Length)
        {
            int count = await socket.ReceiveAsync(body.AsMemory(length), cancellationToken).ConfigureAwait(false);
            if (count == 0)
            {
                break;
            }

            length += count;
        }

        return EngineClient.ErrorText(body.AsSpan(0, length));
    }
}
