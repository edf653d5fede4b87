using System.Net;
using System.Net.Sockets;

namespace Slipway.Networking;

/// <summary>
/// Carries TCP connections that come by IPv6 and that no rule redirects: those to a container that has IPv4 only, because the kernel redirects no packet to
/// another family, and those to ::1 and to link-local addresses, from which an answer would not find back.
/// Connections under way end with the engine; new ones are accepted again once it has restarted.
/// </summary>
internal sealed class Ipv6Forwarder : IDisposable
{
    private readonly Socket _listener;
    private readonly IPEndPoint _target;
    private readonly Func<Task<Socket>> _makeSocket;
    private readonly CancellationTokenSource _stopping = new();
    private readonly CancellationToken _stopped;

    /// <param name="listener">Owned by the caller, who closes it after <see cref="Dispose"/>.</param>
    /// <param name="makeSocket">Makes a stream socket of the target's family in the host's network namespace.</param>
    public Ipv6Forwarder(Socket listener, IPEndPoint target, Func<Task<Socket>> makeSocket)
    {
        _listener = listener;
        _target = target;
        _makeSocket = makeSocket;
        _stopped = _stopping.Token;
        _ = AcceptAsync();
    }

    /// <summary>Ends accepting, and the connections under way.</summary>
    public void Dispose()
    {
        _stopping.Cancel();
        _stopping.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (!_stopped.IsCancellationRequested)
        {
            try
            {
                Socket client = await _listener.AcceptAsync(_stopped).ConfigureAwait(false);
                _ = ForwardAsync(client);
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
            catch (SocketException)
            {
                // The client gave up before it was accepted, or descriptors are short for a moment.
                await Task.Delay(TimeSpan.FromMilliseconds(50), CancellationToken.None).ConfigureAwait(false);
            }
        }
    }

    private async Task ForwardAsync(Socket client)
    {
        using (client)
        {
            try
            {
                using Socket server = await _makeSocket().ConfigureAwait(false);
                await server.ConnectAsync(_target, _stopped).ConfigureAwait(false);
                await Task.WhenAll(CopyAsync(client, server), CopyAsync(server, client)).ConfigureAwait(false);
            }
            catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
            {
                // Either side broke off, or the container does not listen: the client's connection is reset, as it would be without us.
                client.LingerState = new LingerOption(enable: true, seconds: 0);
            }
        }
    }

    /// <summary>Until the end of one direction, which is passed on as such.</summary>
    private async Task CopyAsync(Socket from, Socket to)
    {
        byte[] buffer = new byte[32 * 1024];
        int length;
        while ((length = await from.ReceiveAsync(buffer, _stopped).ConfigureAwait(false)) > 0)
        {
            for (int sent = 0; sent < length;)
            {
                sent += await to.SendAsync(buffer.AsMemory(sent, length - sent), _stopped).ConfigureAwait(false);
            }
        }

        to.Shutdown(SocketShutdown.Send);
    }
}
