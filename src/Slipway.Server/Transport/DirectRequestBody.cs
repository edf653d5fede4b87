using System.Buffers.Text;
using Microsoft.AspNetCore.Http;
using Slipway.Kernel;
using Slipway.Kernel.Compression;
using Slipway.Kernel.Streams;

namespace Slipway.Server.Transport;

/// <summary>
/// A request's chunked body (RFC 9112, 7.1), read from the socket by the thread that works on it. The usual way, over two pipes, a pump
/// and a queue, costs more than the work where a body has a gigabyte; a client that sends small chunks makes it dearer still. The HTTP server below
/// is told that the body was empty.
/// </summary>
internal sealed class DirectRequestBody : ReadOnlyStream, IBlockingStream
{
    private const int BufferSize = 256 << 10;

    /// <summary>Of a chunk's size with its extensions, and of all trailers.</summary>
    private const int MaxLine = 4096;

    private static readonly byte[] s_lastChunk = "0\r\n\r\n"u8.ToArray();

    private readonly IRawConnection _connection;
    private readonly SocketLoan _loan;
    private readonly BlockingSocket _socket;
    private readonly byte[] _buffer;
    private int _start;
    private int _end;
    private long _chunkLeft;
    private bool _between;
    private bool _ended;

    private DirectRequestBody(IRawConnection connection, SocketLoan loan, ReadOnlySpan<byte> received, CancellationToken cancellationToken)
    {
        (_connection, _loan) = (connection, loan);
        _socket = new BlockingSocket(connection.Handle, cancellationToken);
        _buffer = new byte[Math.Max(BufferSize, received.Length)];
        received.CopyTo(_buffer);
        _end = received.Length;
    }

    public long Moved => _socket.Moved;

    public void Interrupt() => _socket.Interrupt();

    /// <summary>Null where the body has to be read the usual way: it has a length, or comes over TLS, or waits to be asked for, or the client is gone.</summary>
    public static async Task<DirectRequestBody?> TryOpenAsync(HttpRequest request, IRawConnection connection, CancellationToken cancellationToken)
    {
        if (!HttpProtocol.IsHttp11(request.Protocol) || request.Headers.TransferEncoding != "chunked" || request.Headers.ContainsKey("Expect"))
        {
            return null;
        }

        return await connection.TryBorrowInputAsync() is var (loan, received) ? new DirectRequestBody(connection, loan, received.Span, cancellationToken) : null;
    }

    /// <exception cref="BadHttpRequestException">The body is malformed, or ends before its end.</exception>
    public override int Read(Span<byte> buffer)
    {
        if (_chunkLeft == 0 && !_ended && !buffer.IsEmpty)
        {
            NextChunk();
        }

        if (_ended || buffer.IsEmpty)
        {
            return 0;
        }

        if (_start == _end)
        {
            Receive();
        }

        var count = (int)Math.Min(Math.Min(buffer.Length, _end - _start), _chunkLeft);
        _buffer.AsSpan(_start, count).CopyTo(buffer);
        _start += count;
        _chunkLeft -= count;
        return count;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _loan.Return(_ended ? LoanEnd.Whole : LoanEnd.Abandoned, _ended ? (byte[])[.. s_lastChunk, .. _buffer.AsSpan(_start, _end - _start)] : s_lastChunk);
        }

        base.Dispose(disposing);
    }

    private void NextChunk()
    {
        if (_between && !Line().IsEmpty)
        {
            throw new BadHttpRequestException("Bad chunk suffix");
        }

        _between = true;
        var line = Line();
        if (!Utf8Parser.TryParse(line, out _chunkLeft, out var digits, 'x') || _chunkLeft < 0 || !IsSize(line, digits))
        {
            throw new BadHttpRequestException("Bad chunk size data.");
        }

        if (_chunkLeft == 0)
        {
            for (var left = MaxLine; Line() is { IsEmpty: false } trailer;)
            {
                left -= trailer.Length;
                if (left < 0)
                {
                    throw new BadHttpRequestException("Request trailers too long.");
                }
            }

            _ended = true;
        }
    }

    /// <summary>Digits and nothing else, but for an extension.</summary>
    private static bool IsSize(ReadOnlySpan<byte> line, int digits) => char.IsAsciiHexDigit((char)line[0]) && (digits == line.Length || line[digits] == (byte)';');

    /// <summary>A line without its CRLF, valid until the next call.</summary>
    private ReadOnlySpan<byte> Line()
    {
        while (true)
        {
            var length = _buffer.AsSpan(_start, _end - _start).IndexOf((byte)'\n');
            if (length > MaxLine || (length < 0 && _end - _start > MaxLine) || length == 0)
            {
                throw new BadHttpRequestException("Bad chunk size data.");
            }

            if (length > 0)
            {
                var line = _buffer.AsSpan(_start, length);
                _start += length + 1;
                return line[^1] == (byte)'\r' ? line[..^1] : throw new BadHttpRequestException("Bad chunk size data.");
            }

            if (_start > 0)
            {
                _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
                (_start, _end) = (0, _end - _start);
            }

            Receive();
        }
    }

    /// <summary>Adds to the buffer; where it was all taken, from its beginning.</summary>
    private void Receive()
    {
        if (_start == _end)
        {
            _start = _end = 0;
        }

        try
        {
            var count = _socket.Receive(_buffer.AsSpan(_end));
            _end += count > 0 ? count : throw new BadHttpRequestException("Unexpected end of request content.");
        }
        catch (KernelException)
        {
            _connection.Fail();
            throw;
        }
    }
}
