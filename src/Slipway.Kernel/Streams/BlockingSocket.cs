using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Sockets;

namespace Slipway.Kernel.Streams;

/// <summary>A connected stream socket, which may be non-blocking, as one thread uses it that has nothing else to do.</summary>
/// <param name="socket">Not owned.</param>
/// <param name="cancellationToken">Looked at about four times a second while the peer lets the thread wait.</param>
public sealed class BlockingSocket(SafeHandle socket, CancellationToken cancellationToken)
{
    private const int LookMilliseconds = 250;
    private const int CopyBuffer = 64 << 10;

    /// <summary>Less than this at once is a trickle: a client that makes a system call for every few bytes.</summary>
    private const int Trickle = 8 << 10;

    /// <summary>
    /// To let a trickle collect. Who waits in the kernel is woken for each of the client's writes, which costs both sides more than the write;
    /// meanwhile the client goes on, there is room for hundreds of its writes. With the timer's slack (PR_SET_TIMERSLACK of prctl(2), 50 µs) it is less than what fills the socket's 208 KiB at the speed of
    /// a client that copies a large file, which would then wait in its turn.
    /// </summary>
    private const int CollectMicroseconds = 20;

    private bool _trickles;
    private volatile bool _interrupted;
    private long _moved;

    /// <summary>Bytes sent and received.</summary>
    public long Moved => Volatile.Read(ref _moved);

    /// <summary>From another thread: the peer is waited for no more.</summary>
    public void Interrupt() => _interrupted = true;

    /// <returns>Bytes received; 0 at the peer's end.</returns>
    /// <exception cref="KernelException">Of the connection: ECONNRESET.</exception>
    public int Receive(Span<byte> buffer)
    {
        bool collected = !_trickles;
        while (true)
        {
            int count = StreamSocket.TryReceive(socket, buffer);
            if (count >= 0)
            {
                _trickles = count < Trickle;
                Volatile.Write(ref _moved, _moved + count);
                return count;
            }

            if (count == -Errno.EAGAIN && !collected)
            {
                collected = true;
                Readiness.Pause(CollectMicroseconds);
                continue;
            }

            WaitAfter("recv", -count, write: false);
        }
    }

    /// <exception cref="KernelException">Of the connection: EPIPE, ECONNRESET.</exception>
    public void Send(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            int count = StreamSocket.TrySend(socket, bytes);
            if (count >= 0)
            {
                bytes = bytes[count..];
                Volatile.Write(ref _moved, _moved + count);
            }
            else
            {
                WaitAfter("send", -count, write: true);
            }
        }
    }

    /// <summary>Sends a file from its beginning.</summary>
    /// <returns>How much of <paramref name="count"/> the file had.</returns>
    public long SendFile(SafeFileHandle file, long count)
    {
        // sendfile(2) knows no MSG_DONTWAIT: in a socket that blocks it waits for the peer, and hears of no token.
        DescriptorIO.SetNonBlocking(socket);
        long offset = 0;
        while (offset < count)
        {
            long sent = Streams.SendFile.TrySend(socket, file, ref offset, count - offset);
            if (sent == 0)
            {
                break;
            }

            // A file system without splice_read, or a file that was opened for direct access.
            if (sent is -Errno.EINVAL or -Errno.ENOSYS or -Errno.EOPNOTSUPP)
            {
                return SendCopy(file, offset, count);
            }

            if (sent < 0)
            {
                WaitAfter("sendfile", (int)-sent, write: true);
            }
            else
            {
                Volatile.Write(ref _moved, _moved + sent);
            }
        }

        return offset;
    }

    private long SendCopy(SafeFileHandle file, long offset, long count)
    {
        byte[] buffer = new byte[CopyBuffer];
        while (offset < count)
        {
            int length = RandomAccess.Read(file, buffer.AsSpan(0, (int)Math.Min(buffer.Length, count - offset)), offset);
            if (length == 0)
            {
                break;
            }

            Send(buffer.AsSpan(0, length));
            offset += length;
        }

        return offset;
    }

    private void WaitAfter(string call, int errno, bool write)
    {
        if (errno == Errno.EINTR)
        {
            return;
        }

        if (errno != Errno.EAGAIN)
        {
            throw new KernelException(call, errno);
        }

        bool ready;
        do
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (_interrupted)
            {
                throw new OperationCanceledException();
            }

            ready = write ? Readiness.WaitToWrite(socket, LookMilliseconds) : Readiness.WaitToRead(socket, LookMilliseconds);
        }
        while (!ready);
    }
}
