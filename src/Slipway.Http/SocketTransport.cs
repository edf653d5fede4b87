using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;

namespace Slipway.Http;

/// <summary>
/// Kestrel's transport over sockets of one's own: they were bound before the server started, so that whoever is told of it can connect, and
/// what a connection can do is decided by who makes it.
/// </summary>
/// <param name="listening">Sockets that listen; each is disposed with its listener.</param>
/// <param name="connect">Makes the connection of an accepted socket at one of the end points.</param>
public sealed class SocketTransport(IReadOnlyDictionary<EndPoint, Socket> listening, Func<EndPoint, Socket, ConnectionContext> connect) : IConnectionListenerFactory
{
    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) =>
        listening.TryGetValue(endpoint, out Socket? socket)
            ? ValueTask.FromResult<IConnectionListener>(new Listener(endpoint, socket, connect))
            : throw new InvalidOperationException($"{endpoint} was not bound");

    private sealed class Listener(EndPoint endpoint, Socket socket, Func<EndPoint, Socket, ConnectionContext> connect) : IConnectionListener
    {
        /// <summary>How long nothing is accepted after descriptors or memory ran out.</summary>
        private static readonly TimeSpan s_relief = TimeSpan.FromMilliseconds(100);

        public EndPoint EndPoint { get; } = endpoint;

        /// <returns>Null when the listener was unbound.</returns>
        public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
        {
            while (true)
            {
                try
                {
                    Socket accepted = await socket.AcceptAsync(cancellationToken);
                    if (accepted.AddressFamily != AddressFamily.Unix)
                    {
                        accepted.NoDelay = true;
                    }

                    return connect(EndPoint, accepted);
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
                    // Those that are served give some back; giving up would end the server.
                    await Task.Delay(s_relief, cancellationToken);
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
}
