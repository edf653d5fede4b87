using System.Buffers;
using System.Buffers.Binary;

namespace Slipway.Grpc.Http2;

/// <summary>
/// The client's side of an HTTP/2 connection (RFC 9113) over a stream that exists. The runtime's own client joins headers of one name into one, which
/// gRPC does not take apart: the patterns of a context could not be sent with it.
/// </summary>
internal sealed partial class Http2Connection : IAsyncDisposable
{
    private const int DefaultWindow = 65535;
    private const int ConnectionWindow = 1 << 24;
    private const int MaxBlock = 2 * HeaderBlock.MaxListSize;

    private static readonly byte[] s_preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8.ToArray();

    private readonly Stream _stream;
    private readonly SemaphoreSlim _writing = new(1);
    private readonly Lock _gate = new();
    private readonly Dictionary<int, Http2Stream> _streams = [];
    private readonly ArrayBufferWriter<byte> _block = new();
    private readonly CancellationTokenSource _closed = new();
    private TaskCompletionSource _room = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task? _reading;
    private Exception? _failure;
    private long _sendWindow = DefaultWindow;
    private long _initialSendWindow = DefaultWindow;
    private long _receivedSinceUpdate;
    private int _nextId = 1;
    private (int Id, bool IsLast)? _unfinished;

    /// <param name="stream">Disposed with the connection.</param>
    public Http2Connection(Stream stream) => _stream = stream;

    /// <summary>Sends a request's headers.</summary>
    public async Task<Http2Stream> OpenAsync(IEnumerable<HeaderField> headers, CancellationToken cancellationToken)
    {
        byte[] block = HeaderBlock.Encode(headers);
        await _writing.WaitAsync(cancellationToken);
        try
        {
            await GreetAsync();
            Http2Stream stream;
            lock (_gate)
            {
                if (_failure is not null)
                {
                    throw new IOException(_failure.Message, _failure);
                }

                stream = new Http2Stream(this, _nextId, _initialSendWindow);
                _nextId += 2;
                _streams.Add(stream.Id, stream);
            }

            for (int offset = 0; offset == 0 || offset < block.Length; offset += FrameHeader.MaxLength)
            {
                int length = Math.Min(FrameHeader.MaxLength, block.Length - offset);
                FrameFlags flags = offset + length == block.Length ? FrameFlags.EndHeaders : FrameFlags.None;
                await WriteFrameAsync(offset == 0 ? FrameKind.Headers : FrameKind.Continuation, flags, stream.Id, block.AsMemory(offset, length));
            }

            return stream;
        }
        finally
        {
            _writing.Release();
        }
    }

    /// <summary>Says what we take: the other end need not wait for a first request to know that it is understood.</summary>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await _writing.WaitAsync(cancellationToken);
        try
        {
            await GreetAsync();
        }
        finally
        {
            _writing.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        Fail(new IOException("the connection is closed"));
        await _closed.CancelAsync();
        await (_reading ?? Task.CompletedTask);
        await _stream.DisposeAsync();
    }

    internal async Task SendDataAsync(Http2Stream stream, ReadOnlyMemory<byte> bytes, bool isLast, CancellationToken cancellationToken)
    {
        do
        {
            int count = await TakeRoomAsync(stream, Math.Min(bytes.Length, FrameHeader.MaxLength), cancellationToken);
            bool end = isLast && count == bytes.Length;
            await SendAsync(FrameKind.Data, end ? FrameFlags.End : FrameFlags.None, stream.Id, bytes[..count], cancellationToken);
            bytes = bytes[count..];
        }
        while (!bytes.IsEmpty);
    }

    internal Task SendWindowUpdateAsync(int id, int increment)
    {
        byte[] content = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(content, increment);
        return SendAsync(FrameKind.WindowUpdate, FrameFlags.None, id, content, CancellationToken.None);
    }

    internal Task SendResetAsync(int id)
    {
        byte[] content = new byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(content, (uint)Http2Error.Cancel);
        return SendAsync(FrameKind.ResetStream, FrameFlags.None, id, content, CancellationToken.None);
    }

    /// <returns>Whether it was still open.</returns>
    internal bool Forget(Http2Stream stream)
    {
        lock (_gate)
        {
            return _streams.Remove(stream.Id);
        }
    }

    /// <summary>Waits until something may be sent.</summary>
    /// <returns>How much, at most as asked for.</returns>
    private async Task<int> TakeRoomAsync(Http2Stream stream, int wanted, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task room;
            lock (_gate)
            {
                if ((stream.Failure ?? _failure) is { } failure)
                {
                    throw new IOException(failure.Message, failure);
                }

                int count = (int)Math.Min(wanted, Math.Min(_sendWindow, stream.SendWindow));
                if (count > 0 || wanted == 0)
                {
                    _sendWindow -= count;
                    stream.SendWindow -= count;
                    return count;
                }

                room = _room.Task;
            }

            await room.WaitAsync(cancellationToken);
        }
    }

    private async Task SendAsync(FrameKind kind, FrameFlags flags, int id, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        await _writing.WaitAsync(cancellationToken);
        try
        {
            // Not cancelled on the way: half a frame would spoil the connection.
            await WriteFrameAsync(kind, flags, id, content);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException)
        {
            Fail(e);
            throw new IOException(e.Message, e);
        }
        finally
        {
            _writing.Release();
        }
    }

    private async Task WriteFrameAsync(FrameKind kind, FrameFlags flags, int id, ReadOnlyMemory<byte> content)
    {
        byte[] frame = ArrayPool<byte>.Shared.Rent(FrameHeader.Size + content.Length);
        try
        {
            new FrameHeader(content.Length, kind, flags, id).Write(frame);
            content.CopyTo(frame.AsMemory(FrameHeader.Size));
            await _stream.WriteAsync(frame.AsMemory(0, FrameHeader.Size + content.Length), CancellationToken.None);
            await _stream.FlushAsync(CancellationToken.None);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(frame);
        }
    }

    private async Task GreetAsync()
    {
        if (_reading is not null)
        {
            return;
        }

        _reading = Task.CompletedTask;
        byte[] settings = new byte[18];
        WriteSetting(settings, SettingId.HeaderTableSize, 0);
        WriteSetting(settings.AsSpan(6), SettingId.EnablePush, 0);
        WriteSetting(settings.AsSpan(12), SettingId.InitialWindowSize, Http2Stream.Window);
        await _stream.WriteAsync(s_preface, CancellationToken.None);
        await WriteFrameAsync(FrameKind.Settings, FrameFlags.None, 0, settings);
        byte[] window = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(window, ConnectionWindow - DefaultWindow);
        await WriteFrameAsync(FrameKind.WindowUpdate, FrameFlags.None, 0, window);
        _reading = ReadAsync();

        static void WriteSetting(Span<byte> target, SettingId id, int value)
        {
            BinaryPrimitives.WriteUInt16BigEndian(target, (ushort)id);
            BinaryPrimitives.WriteInt32BigEndian(target[2..], value);
        }
    }

    private enum SettingId : ushort
    {
        HeaderTableSize = 1,
        EnablePush = 2,
        InitialWindowSize = 4,
    }
}
