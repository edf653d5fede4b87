using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Streams;

namespace Slipway.Server.Transport;

/// <summary>
/// The body of an answer, written to the socket in chunks (RFC 9112, 7.1) by the thread that makes it; files go from the page cache to the socket.
/// The HTTP server has sent the head and sends the last chunk; it believes that there was nothing between.
/// </summary>
internal sealed class DirectResponseBody : Stream, IBlockingStream, IFileSink
{
    private const int BufferSize = 128 << 10;

    /// <summary>Room for a chunk's size before its data, written when it is known.</summary>
    private const int MaxPrefix = 8;

    /// <summary>Room for the end of a chunk, and for the beginning of one that is a file.</summary>
    private const int MaxSuffix = 24;

    private static readonly byte[] s_zeros = new byte[64 << 10];

    private readonly IRawConnection _connection;
    private readonly SocketLoan _loan;
    private readonly BlockingSocket _socket;
    private readonly byte[] _buffer = new byte[MaxPrefix + BufferSize + MaxSuffix];
    private int _length;

    private DirectResponseBody(IRawConnection connection, SocketLoan loan, CancellationToken cancellationToken)
    {
        (_connection, _loan) = (connection, loan);
        _socket = new BlockingSocket(connection.Handle, cancellationToken);
    }

    public long Moved => _socket.Moved;

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>Sends the head. Null where the body has to be written the usual way: over TLS, or to a client that knows no chunks.</summary>
    public static async Task<DirectResponseBody?> TryOpenAsync(HttpContext http, IRawConnection connection, CancellationToken cancellationToken)
    {
        if (!HttpProtocol.IsHttp11(http.Request.Protocol) || http.Response.ContentLength is not null || HttpMethods.IsHead(http.Request.Method) || !connection.IsPlain)
        {
            return null;
        }

        await http.Response.StartAsync(cancellationToken);
        await http.Response.BodyWriter.FlushAsync(cancellationToken);
        return await connection.TryBorrowOutputAsync() is { } loan ? new DirectResponseBody(connection, loan, cancellationToken) : throw new ConnectionResetException("the client left");
    }

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        while (!buffer.IsEmpty)
        {
            var count = Math.Min(buffer.Length, BufferSize - _length);
            buffer[..count].CopyTo(_buffer.AsSpan(MaxPrefix + _length));
            _length += count;
            buffer = buffer[count..];
            if (_length == BufferSize)
            {
                Send([]);
            }
        }
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    /// <summary>The file is a chunk of its own, whose size is promised before it is read.</summary>
    public void WriteFile(SafeFileHandle file, long count)
    {
        Send(Encoding.ASCII.GetBytes(count.ToString("x", CultureInfo.InvariantCulture) + "\r\n"));
        try
        {
            for (var missing = count - _socket.SendFile(file, count); missing > 0;)
            {
                // Cut while it was sent.
                var zeros = s_zeros.AsSpan(0, (int)Math.Min(missing, s_zeros.Length));
                _socket.Send(zeros);
                missing -= zeros.Length;
            }

            _socket.Send("\r\n"u8);
        }
        catch (KernelException error) when (error.Errno is Errno.EPIPE or Errno.ECONNRESET)
        {
            throw Left(error);
        }
    }

    public override void Flush() => Send([]);

    public void Interrupt() => _socket.Interrupt();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _loan.Return(LoanEnd.Whole, default);
        }

        base.Dispose(disposing);
    }

    /// <summary>Sends what is collected as a chunk, and what comes behind it in the same call.</summary>
    private void Send(ReadOnlySpan<byte> behind)
    {
        var (start, end) = (MaxPrefix, MaxPrefix + _length);
        if (_length > 0)
        {
            var prefix = Encoding.ASCII.GetBytes(_length.ToString("x", CultureInfo.InvariantCulture) + "\r\n");
            start -= prefix.Length;
            prefix.CopyTo(_buffer, start);
            "\r\n"u8.CopyTo(_buffer.AsSpan(end));
            end += 2;
        }

        behind.CopyTo(_buffer.AsSpan(end));
        _length = 0;
        try
        {
            _socket.Send(_buffer.AsSpan(start, end + behind.Length - start));
        }
        catch (KernelException error)
        {
            throw Left(error);
        }
    }

    private ConnectionResetException Left(KernelException error)
    {
        _connection.Fail();
        return new ConnectionResetException(error.Message, error);
    }
}
