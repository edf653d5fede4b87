using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Slipway.Kernel.Sockets;
using Slipway.Server.Authorization;

namespace Slipway.Server.Transport;

/// <summary>
/// Kestrel's transport: sockets that were bound before the server started. Kestrel's own answers a client's half-close by
/// closing both directions, which loses the output of <c>echo x | docker run -i</c>; these keep the write side open.
/// </summary>
internal sealed class SocketTransport(ListeningSockets listening) : IConnectionListenerFactory
{
    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) =>
        listening.ByEndPoint.TryGetValue(endpoint, out Socket? socket)
            ? ValueTask.FromResult<IConnectionListener>(new SocketListener(endpoint, socket, listening.PolicyOf(endpoint)))
            : throw new InvalidOperationException($"{endpoint} was not bound");
}

internal sealed class SocketListener(EndPoint endpoint, Socket socket, SocketPolicy? policy) : IConnectionListener
{
    /// <summary>
    /// Bytes (socket(7): doubled for what the kernel keeps beside them, and only taken when they are sent). A client reads a list or an archive by 4 to 32 KB: with
    /// the usual 200 KB in between this process has to get its turn every few milliseconds, which on a busy machine it does not.
    /// </summary>
    private const int LocalSendBuffer = 1 << 20;

    public EndPoint EndPoint { get; } = endpoint;

    /// <returns>Null when the listener was unbound.</returns>
    public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
    {
        while (true)
        {
            try
            {
                Socket accepted = await socket.AcceptAsync(cancellationToken);
                if (accepted.AddressFamily == AddressFamily.Unix)
                {
                    StreamSocket.SetSendBuffer(accepted.SafeHandle, LocalSendBuffer);
                }
                else
                {
                    accepted.NoDelay = true;
                }

                SocketConnection connection = new(accepted, policy);
                connection.Start();
                return connection;
            }
            catch (ObjectDisposedException)
            {
                return null;
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.OperationAborted)
            {
                return null;
            }
            catch (SocketException e) when (e.SocketErrorCode is SocketError.ConnectionReset or SocketError.ConnectionAborted)
            {
                // The client left before it was accepted (accept(2), ECONNABORTED).
            }
            catch (SocketException e) when (e.SocketErrorCode is SocketError.TooManyOpenSockets or SocketError.NoBufferSpaceAvailable)
            {
                // Out of descriptors or memory: those that are served give some back; giving up would end the server.
                await Task.Delay(TimeSpan.FromMilliseconds(100), cancellationToken);
            }
        }
    }

    public ValueTask UnbindAsync(CancellationToken cancellationToken = default)
    {
        socket.Dispose();
        return ValueTask.CompletedTask;
    }

    public ValueTask DisposeAsync() => UnbindAsync();
}
