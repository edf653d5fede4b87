using System.Collections.Concurrent;
using Slipway.Kernel.Streams;

namespace Slipway.Server.Transport;

/// <summary>
/// The thread that waits for connections that have something to say or room for more. A connection is reported once for each time it asks: one whose
/// socket is in the hands of another thread wakes nobody here. (The runtime's own sockets are watched for as long as they are open, and wake two threads
/// with each piece that arrives, whoever reads it.)
/// </summary>
#pragma warning disable CA1001 // Lives as long as the process.
internal sealed class SocketPoller
#pragma warning restore CA1001
{
    private const int Batch = 64;

    private readonly Epoll _epoll = new(Batch);
    private readonly ConcurrentDictionary<ulong, PolledSocket> _sockets = new();
    private ulong _last;

    private SocketPoller() => new Thread(Run) { Name = "api-poll", IsBackground = true }.Start();

    /// <summary>One for all listeners of the process.</summary>
    public static SocketPoller Instance { get; } = new();

    /// <returns>What the socket is known by here.</returns>
    public ulong Add(PolledSocket socket)
    {
        var token = Interlocked.Increment(ref _last);
        _sockets[token] = socket;
        _epoll.Add(socket.Handle, EpollEvents.OneShot, token);
        return token;
    }

    public void Arm(PolledSocket socket, ulong token, EpollEvents events) => _epoll.Change(socket.Handle, events | EpollEvents.OneShot, token);

    public void Remove(PolledSocket socket, ulong token)
    {
        _epoll.Remove(socket.Handle);
        _sockets.TryRemove(token, out _);
    }

    private void Run()
    {
        var ready = new List<ReadyDescriptor>(Batch);
        while (true)
        {
            _epoll.Wait(ready, Timeout.Infinite);
            foreach (var (token, events) in ready)
            {
                if (_sockets.TryGetValue(token, out var socket))
                {
                    socket.Report(events);
                }
            }
        }
    }
}
