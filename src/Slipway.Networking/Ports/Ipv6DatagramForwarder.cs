using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Slipway.Networking;

/// <summary>
/// What <see cref="Ipv6Forwarder"/> is for connections, for datagrams: each client has a socket towards the container, by which answers find back to it, until none went either way for a while.
/// </summary>
internal sealed class Ipv6DatagramForwarder : IDisposable
{
    /// <summary>Of one port: whoever makes up addresses takes no more descriptors.</summary>
    private const int MostClients = 256;

    private const int LargestDatagram = 65535;

    /// <summary>As the kernel remembers datagrams that were answered (nf_conntrack_udp_timeout_stream).</summary>
    private static readonly TimeSpan s_idle = TimeSpan.FromSeconds(120);

    private readonly Socket _listener;
    private readonly IPEndPoint _target;
    private readonly Func<SocketType, Task<Socket>> _makeSocket;
    private readonly ConcurrentDictionary<IPEndPoint, Client> _clients = new();
    private readonly CancellationTokenSource _stopping = new();
    private readonly CancellationToken _stopped;

    /// <param name="listener">Owned by the caller, who closes it after <see cref="Dispose"/>.</param>
    /// <param name="makeSocket">Makes a socket of the target's family in the host's network namespace.</param>
    public Ipv6DatagramForwarder(Socket listener, IPEndPoint target, Func<SocketType, Task<Socket>> makeSocket)
    {
        _listener = listener;
        _target = target;
        _makeSocket = makeSocket;
        _stopped = _stopping.Token;
        _ = ReceiveAsync();
    }

    public void Dispose()
    {
        _stopping.Cancel();
        _stopping.Dispose();
    }

    private async Task ReceiveAsync()
    {
        byte[] buffer = new byte[LargestDatagram];
        IPEndPoint anybody = new(IPAddress.IPv6Any, 0);
        while (!_stopped.IsCancellationRequested)
        {
            try
            {
                SocketReceiveFromResult received = await _listener.ReceiveFromAsync(buffer, SocketFlags.None, anybody, _stopped).ConfigureAwait(false);
                if (await ClientAsync((IPEndPoint)received.RemoteEndPoint).ConfigureAwait(false) is { } client)
                {
                    client.Idle.CancelAfter(s_idle);
                    await client.Socket.SendAsync(buffer.AsMemory(0, received.ReceivedBytes), _stopped).ConfigureAwait(false);
                }
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (ObjectDisposedException)
            {
                // The listener, or a client's socket that ended at this moment: the datagram is lost, as datagrams may be.
            }
            catch (SocketException)
            {
                // The container does not listen, or descriptors are short for a moment.
                await Task.Delay(TimeSpan.FromMilliseconds(5), CancellationToken.None).ConfigureAwait(false);
            }
        }
    }

    private async Task<Client?> ClientAsync(IPEndPoint address)
    {
        if (_clients.TryGetValue(address, out Client? known))
        {
            return known;
        }

        if (_clients.Count >= MostClients)
        {
            return null;
        }

        Socket socket = await _makeSocket(SocketType.Dgram).ConfigureAwait(false);
        try
        {
            await socket.ConnectAsync(_target, _stopped).ConfigureAwait(false);
        }
        catch
        {
            socket.Dispose();
            throw;
        }

        Client client = new(address, socket, CancellationTokenSource.CreateLinkedTokenSource(_stopped));
        _clients[address] = client;
        _ = AnswerAsync(client);
        return client;
    }

    private async Task AnswerAsync(Client client)
    {
        byte[] buffer = new byte[LargestDatagram];
        CancellationToken idle = client.Idle.Token;
        using (client.Socket)
        {
            while (!idle.IsCancellationRequested)
            {
                try
                {
                    int length = await client.Socket.ReceiveAsync(buffer, idle).ConfigureAwait(false);
                    client.Idle.CancelAfter(s_idle);
                    await _listener.SendToAsync(buffer.AsMemory(0, length), client.Address, idle).ConfigureAwait(false);
                }
                catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
                {
                    break;
                }
                catch (SocketException)
                {
                    // Nobody listens in the container, which it told of one datagram; another may find somebody.
                    await Task.Delay(TimeSpan.FromMilliseconds(5), CancellationToken.None).ConfigureAwait(false);
                }
            }
        }

        // Not disposed: the receiving side may put its end off at this moment. Its timer has ended.
        _clients.TryRemove(client.Address, out _);
    }

    private sealed record Client(IPEndPoint Address, Socket Socket, CancellationTokenSource Idle);
}
