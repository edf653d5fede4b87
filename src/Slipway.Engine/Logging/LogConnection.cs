using System.Net.Security;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Security.Authentication;
using System.Security.Cryptography;

namespace Slipway.Engine.Logging;

/// <summary>A connection to a receiver of logs, which is made again when it was lost. Used by one caller at a time.</summary>
/// <param name="tls">How to speak TLS, for endpoints that do.</param>
internal sealed class LogConnection(LogEndpoint endpoint, Func<SslClientAuthenticationOptions>? tls = null) : IAsyncDisposable
{
    /// <summary>A receiver that takes nothing for so long is treated as gone.</summary>
    private static readonly TimeSpan s_sendTimeout = TimeSpan.FromSeconds(10);

    private Socket? _socket;
    private Stream? _stream;

    /// <summary>Null: the default. Zero or a time after which a write that does not go through has failed.</summary>
    public TimeSpan? SendTimeout { get; init; }

    /// <exception cref="IOException">The receiver cannot be reached, in the words of Go's net.Dial.</exception>
    public async ValueTask OpenAsync(CancellationToken cancellationToken)
    {
        if (_socket is not null && IsAlive())
        {
            return;
        }

        Close();

        // First: a file that cannot be read is told whether anybody listens or not.
        SslClientAuthenticationOptions? secure = endpoint.IsTls ? tls!() : null;
        Socket socket = endpoint.IsUnix
            ? new Socket(AddressFamily.Unix, endpoint.SocketType, ProtocolType.Unspecified)
            : new Socket(endpoint.SocketType, endpoint.IsDatagram ? ProtocolType.Udp : ProtocolType.Tcp);
        try
        {
            using CancellationTokenSource limit = Limit(cancellationToken);
            if (endpoint.IsUnix)
            {
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(endpoint.Address), limit.Token);
            }
            else
            {
                (string host, int port) = endpoint.Split();
                await socket.ConnectAsync(host, port, limit.Token);
            }

            if (secure is not null)
            {
                SslStream secured = new(new NetworkStream(socket, ownsSocket: false));
                await secured.AuthenticateAsClientAsync(secure, limit.Token);
                _stream = secured;
            }

            _socket = socket;
        }
        catch (Exception exception) when (exception is SocketException or AuthenticationException or IOException or CryptographicException)
        {
            socket.Dispose();
            throw new IOException($"dial {Network}: {Reason(exception)}", exception);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            socket.Dispose();
            throw new IOException($"dial {Network}: i/o timeout");
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Sends all of it: one datagram, or bytes of the stream.</summary>
    /// <exception cref="IOException">It did not go through; the connection is made anew by the next call.</exception>
    public async ValueTask SendAsync(ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        await OpenAsync(cancellationToken);
        try
        {
            using CancellationTokenSource limit = Limit(cancellationToken);
            if (_stream is not null)
            {
                await _stream.WriteAsync(data, limit.Token);
                return;
            }

            do
            {
                data = data[await _socket!.SendAsync(data, limit.Token)..];
            }
            while (!data.IsEmpty);
        }
        catch (SocketException exception) when (endpoint.Protocol == "udp" && exception.SocketErrorCode == SocketError.ConnectionRefused)
        {
            // An ICMP message about an earlier datagram (udp(7)); nobody acknowledges datagrams, so nobody is waited for.
        }
        catch (Exception exception) when (exception is SocketException or IOException)
        {
            Close();
            throw new IOException($"write {Network}: {Reason(exception)}", exception);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            Close();
            throw new IOException($"write {Network}: i/o timeout");
        }
    }

    /// <summary>Reads what the receiver answers; never 0.</summary>
    /// <exception cref="IOException">It closed the connection, or answers nothing.</exception>
    public async ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        try
        {
            using CancellationTokenSource limit = Limit(cancellationToken);
            int count = _stream is not null ? await _stream.ReadAsync(buffer, limit.Token) : await _socket!.ReceiveAsync(buffer, limit.Token);
            return count > 0 ? count : throw new IOException($"read {Network}: EOF");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            Close();
            throw new IOException($"read {Network}: i/o timeout");
        }
        catch (Exception exception) when (exception is SocketException or IOException)
        {
            Close();
            throw exception as IOException ?? new IOException($"read {Network}: {Reason(exception)}", exception);
        }
    }

    public ValueTask DisposeAsync()
    {
        if (_socket is not null && !endpoint.IsDatagram)
        {
            try
            {
                _socket.Shutdown(SocketShutdown.Send);
            }
            catch (SocketException)
            {
                // The receiver was faster.
            }
        }

        Close();
        return ValueTask.CompletedTask;
    }

    private string Network => $"{endpoint.Protocol.Replace("tcp+tls", "tcp", StringComparison.Ordinal)} {endpoint.Address}";

    /// <summary>The first write to a stream whose other side has closed would succeed and be lost.</summary>
    private bool IsAlive()
    {
        try
        {
            return endpoint.IsDatagram || !_socket!.Poll(TimeSpan.Zero, SelectMode.SelectRead) || _socket.Available > 0;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private CancellationTokenSource Limit(CancellationToken cancellationToken)
    {
        CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(SendTimeout is { } timeout && timeout > TimeSpan.Zero ? timeout : s_sendTimeout);
        return limit;
    }

    private void Close()
    {
        _stream?.Dispose();
        _socket?.Dispose();
        _stream = null;
        _socket = null;
    }

    private static string Reason(Exception exception) => exception is SocketException socket
        ? socket.SocketErrorCode == SocketError.HostNotFound
            ? "lookup: no such host"
            : $"connect: {Marshal.GetPInvokeErrorMessage(socket.NativeErrorCode).ToLowerInvariant()}"
        : exception.Message;
}
