using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Streams;

namespace Slipway.Registry.Server.Transport;

/// <summary>
/// The writer of a connection: flushing sends to the socket at once, on the thread that flushes, without a pipe and a second loop
/// between. Used by one request at a time, as the HTTP server does.
/// </summary>
internal sealed class SocketOutput(Socket socket, Action failed) : PipeWriter, IFileOutput
{
    private const int BufferSize = 16 * 1024;

    /// <summary>How much is copied when the socket has no room for the file: the asynchronous send waits for it.</summary>
    private const int WaitingChunk = 32 * 1024;

    /// <summary>What the HTTP server believes to fill while a file is attached. Never written to or read from, so never resident.</summary>
    private static readonly byte[] s_placeholder = GC.AllocateUninitializedArray<byte>(MaximumAdvance);

    /// <summary>Bytes that can be advanced at once while a file is attached.</summary>
    public const int MaximumAdvance = 4 << 20;

    private readonly List<ArraySegment<byte>> _full = [];
    private byte[]? _current;
    private int _written;
    private SafeFileHandle? _file;
    private long _fileOffset;
    private long _filePending;
    private bool _closed;

    public override bool CanGetUnflushedBytes => true;

    public override long UnflushedBytes => _full.Sum(segment => (long)segment.Count) + _written + _filePending;

    public void Attach(SafeFileHandle file, long offset)
    {
        (_file, _fileOffset) = (file, offset);
    }

    public void Detach()
    {
        _file = null;
        _filePending = 0;
    }

    public override Memory<byte> GetMemory(int sizeHint = 0)
    {
        if (_file is not null)
        {
            return s_placeholder;
        }

        if (_current is not null && _current.Length - _written >= Math.Max(sizeHint, 1))
        {
            return _current.AsMemory(_written);
        }

        if (_current is not null)
        {
            _full.Add(new ArraySegment<byte>(_current, 0, _written));
        }

        _current = ArrayPool<byte>.Shared.Rent(Math.Max(sizeHint, BufferSize));
        _written = 0;
        return _current;
    }

    public override Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

    public override void Advance(int bytes)
    {
        if (_file is not null)
        {
            _filePending += bytes;
        }
        else
        {
            _written += bytes;
        }
    }

    public override async ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
    {
        try
        {
            if (!_closed)
            {
                await SendBuffersAsync(cancellationToken);
                await SendFileAsync(cancellationToken);
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The client left, which is told as the end of the connection and not as an error of the request.
            Close();
        }
        finally
        {
            Release();
        }

        return new FlushResult(isCanceled: false, isCompleted: _closed);
    }

    public override void CancelPendingFlush()
    {
    }

    public override void Complete(Exception? exception = null)
    {
        _closed = true;
        Release();
    }

    private async ValueTask SendBuffersAsync(CancellationToken cancellationToken)
    {
        foreach (ArraySegment<byte> segment in _full)
        {
            await SendAllAsync(segment, cancellationToken);
        }

        if (_written > 0)
        {
            await SendAllAsync(_current.AsMemory(0, _written), cancellationToken);
        }
    }

    private async ValueTask SendAllAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        while (!bytes.IsEmpty)
        {
            bytes = bytes[await socket.SendAsync(bytes, cancellationToken)..];
        }
    }

    private async ValueTask SendFileAsync(CancellationToken cancellationToken)
    {
        while (_filePending > 0)
        {
            long sent = SendFile.TrySend(socket.SafeHandle, _file!, ref _fileOffset, _filePending);
            switch (sent)
            {
                case > 0:
                    _filePending -= sent;
                    break;
                case -Errno.EAGAIN:
                    await SendCopyAsync(cancellationToken);
                    break;
                case 0:
                    throw new IOException("a file became shorter while it was sent");
                case -Errno.EPIPE or -Errno.ECONNRESET or -Errno.ENOTCONN or -Errno.ETIMEDOUT or -Errno.EBADF:
                    Close();
                    return;
                default:
                    throw new KernelException("sendfile", (int)-sent);
            }
        }
    }

    /// <summary>The socket's buffer is full. Waiting for room is what an asynchronous send does, and it wants bytes: the next few of the file.</summary>
    private async ValueTask SendCopyAsync(CancellationToken cancellationToken)
    {
        byte[] chunk = ArrayPool<byte>.Shared.Rent(WaitingChunk);
        try
        {
            int count = RandomAccess.Read(_file!, chunk.AsSpan(0, (int)Math.Min(WaitingChunk, _filePending)), _fileOffset);
            if (count == 0)
            {
                throw new IOException("a file became shorter while it was sent");
            }

            await SendAllAsync(chunk.AsMemory(0, count), cancellationToken);
            _fileOffset += count;
            _filePending -= count;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(chunk);
        }
    }

    private void Close()
    {
        _closed = true;
        _filePending = 0;
        failed();
    }

    private void Release()
    {
        foreach (ArraySegment<byte> segment in _full)
        {
            ArrayPool<byte>.Shared.Return(segment.Array!);
        }

        _full.Clear();
        if (_current is not null)
        {
            ArrayPool<byte>.Shared.Return(_current);
            _current = null;
        }

        _written = 0;
    }
}
