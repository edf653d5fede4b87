using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Threading.Tasks.Sources;
using Microsoft.AspNetCore.Connections;
using Slipway.Kernel;
using Slipway.Kernel.Sockets;
using Slipway.Kernel.Streams;

namespace Slipway.Server.Transport;

/// <summary>A connected socket that is waited for by <see cref="SocketPoller"/>. One reader and one writer at a time.</summary>
internal sealed class PolledSocket : IDisposable
{
    private const EpollEvents ReadEvents = EpollEvents.In | EpollEvents.PeerHangUp | EpollEvents.HangUp | EpollEvents.Error;
    private const EpollEvents WriteEvents = EpollEvents.Out | EpollEvents.HangUp | EpollEvents.Error;

    private readonly Socket _socket;
    private readonly Lock _gate = new();
    private readonly Waiter _read = new();
    private readonly Waiter _write = new();
    private readonly ulong _token;

    /// <param name="socket">Owned; nothing asynchronous was ever asked of it.</param>
    public PolledSocket(Socket socket)
    {
        _socket = socket;
        _token = SocketPoller.Instance.Add(this);
    }

    public SafeHandle Handle => _socket.SafeHandle;

    /// <returns>Bytes received; 0 at the end of what the peer sends; null where nothing is there.</returns>
    /// <exception cref="ConnectionResetException">The connection is broken.</exception>
    public int? TryReceive(Span<byte> buffer) => Result("recv", StreamSocket.TryReceive(Handle, buffer));

    /// <returns>Bytes sent; null where there is no room. Sending nothing tells whether the peer is there.</returns>
    /// <exception cref="ConnectionResetException">The connection is broken.</exception>
    public int? TrySend(ReadOnlySpan<byte> bytes) => Result("send", StreamSocket.TrySend(Handle, bytes));

    /// <summary>Until there may be something to receive; false where <see cref="EndRead"/> was called.</summary>
    public ValueTask<bool> WaitToReadAsync() => WaitAsync(_read);

    /// <summary>Until there may be room to send; false where <see cref="EndWrite"/> was called.</summary>
    public ValueTask<bool> WaitToWriteAsync() => WaitAsync(_write);

    /// <summary>Ends waiting to read, now and whenever it is tried, until <see cref="ResumeRead"/>.</summary>
    public void EndRead() => End(_read);

    public void ResumeRead()
    {
        lock (_gate)
        {
            _read.HasEnded = false;
        }
    }

    public void EndWrite() => End(_write);

    public void ShutdownSend() => _socket.Shutdown(SocketShutdown.Send);

    public void Dispose()
    {
        SocketPoller.Instance.Remove(this, _token);
        _socket.Dispose();
    }

    /// <summary>By the poller: what was found.</summary>
    public void Report(EpollEvents events)
    {
        bool readable;
        bool writable;
        lock (_gate)
        {
            readable = _read.IsPending && (events & ReadEvents) != 0;
            writable = _write.IsPending && (events & WriteEvents) != 0;
            _read.IsPending &= !readable;
            _write.IsPending &= !writable;
            ArmPending();
        }

        if (readable)
        {
            _read.Complete(true);
        }

        if (writable)
        {
            _write.Complete(true);
        }
    }

    private static int? Result(string call, int result) => result switch
    {
        >= 0 => result,
        -Errno.EAGAIN or -Errno.EINTR => null,
        _ => throw new ConnectionResetException(new KernelException(call, -result).Message),
    };

    private ValueTask<bool> WaitAsync(Waiter waiter)
    {
        lock (_gate)
        {
            if (waiter.HasEnded)
            {
                return ValueTask.FromResult(false);
            }

            var wait = waiter.Begin();
            ArmPending();
            return wait;
        }
    }

    private void End(Waiter waiter)
    {
        bool pending;
        lock (_gate)
        {
            waiter.HasEnded = true;
            pending = waiter.IsPending;
            waiter.IsPending = false;
        }

        if (pending)
        {
            waiter.Complete(false);
        }
    }

    private void ArmPending()
    {
        var events = (_read.IsPending ? EpollEvents.In | EpollEvents.PeerHangUp : EpollEvents.None) | (_write.IsPending ? EpollEvents.Out : EpollEvents.None);
        if (events != EpollEvents.None)
        {
            SocketPoller.Instance.Arm(this, _token, events);
        }
    }

    /// <summary>One wait after another, without memory for each.</summary>
    private sealed class Waiter : IValueTaskSource<bool>
    {
        private ManualResetValueTaskSourceCore<bool> _core = new() { RunContinuationsAsynchronously = true };

        public bool IsPending { get; set; }

        public bool HasEnded { get; set; }

        public ValueTask<bool> Begin()
        {
            _core.Reset();
            IsPending = true;
            return new ValueTask<bool>(this, _core.Version);
        }

        public void Complete(bool result) => _core.SetResult(result);

        bool IValueTaskSource<bool>.GetResult(short token) => _core.GetResult(token);

        ValueTaskSourceStatus IValueTaskSource<bool>.GetStatus(short token) => _core.GetStatus(token);

        void IValueTaskSource<bool>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
            _core.OnCompleted(continuation, state, token, flags);
    }
}
