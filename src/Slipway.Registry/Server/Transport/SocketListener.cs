using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;

namespace Slipway.Registry.Server.Transport;

/// <summary>Kestrel's transport: TCP sockets that were bound before the server started, and connections that can send files.</summary>
internal sealed class SocketTransport(IReadOnlyDictionary<EndPoint, Socket> listening) : IConnectionListenerFactory
{
    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) =>
        listening.TryGetValue(endpoint, out Socket? socket)
            ? ValueTask.FromResult<IConnectionListener>(new SocketListener(endpoint, socket))
            : throw new InvalidOperationException($"{endpoint} was not bound");
}

internal sealed class SocketListener(EndPoint endpoint, Socket socket) : IConnectionListener
{
    private static long s_lastId;

    public EndPoint EndPoint { get; } = endpoint;

    /// <returns>Null when the listener was unbound.</returns>
    public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
    {
        while (true)
        {
            try
            {
                Socket accepted = await socket.AcceptAsync(cancellationToken);
                accepted.NoDelay = true;
                return new SocketConnection(accepted, Interlocked.Increment(ref s_lastId));
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
