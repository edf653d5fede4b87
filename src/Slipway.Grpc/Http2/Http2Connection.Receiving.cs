using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;

namespace Slipway.Grpc.Http2;

/// <summary>What the other end sends.</summary>
internal sealed partial class Http2Connection
{
    private async Task ReadAsync()
    {
        PipeReader reader = PipeReader.Create(_stream, new StreamPipeReaderOptions(bufferSize: 64 * 1024, leaveOpen: true));
        try
        {
            while (true)
            {
                ReadResult result = await reader.ReadAsync(_closed.Token);
                ReadOnlySequence<byte> buffer = result.Buffer;
                while (buffer.Length >= FrameHeader.Size)
                {
                    FrameHeader header = FrameHeader.Read(buffer);
                    if (header.Length > FrameHeader.MaxLength)
                    {
                        throw new Http2Exception(Http2Error.FrameSize, $"a frame of {header.Length} bytes was received");
                    }

                    if (buffer.Length < FrameHeader.Size + header.Length)
                    {
                        break;
                    }

                    await HandleAsync(header, buffer.Slice(FrameHeader.Size, header.Length));
                    buffer = buffer.Slice(FrameHeader.Size + header.Length);
                }

                reader.AdvanceTo(buffer.Start, buffer.End);
                if (result.IsCompleted)
                {
                    throw new IOException("the connection was closed by the other end");
                }
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException or InvalidOperationException)
        {
            Fail(e is OperationCanceledException ? new IOException("the connection is closed", e) : e);
        }
    }

    private async Task HandleAsync(FrameHeader header, ReadOnlySequence<byte> content)
    {
        if (_unfinished is { } open && (header.Kind != FrameKind.Continuation || header.StreamId != open.Id))
        {
            throw new Http2Exception(Http2Error.Protocol, "headers were not finished");
        }

        switch (header.Kind)
        {
            case FrameKind.Data:
                await ReceiveDataAsync(header, Unpad(header, content));
                break;
            case FrameKind.Headers:
                content = Unpad(header, content);
                _unfinished = (header.StreamId, header.Flags.HasFlag(FrameFlags.End));
                _block.ResetWrittenCount();
                Collect(header, header.Flags.HasFlag(FrameFlags.Priority) ? Skip(content, 5) : content);
                break;
            case FrameKind.Continuation:
                Collect(header, content);
                break;
            case FrameKind.ResetStream:
                uint code = Number(content);
                Find(header.StreamId, remove: true)?.Fail(new IOException($"the stream was reset by the other end: {code}"));
                Wake();
                break;
            case FrameKind.Settings when !header.Flags.HasFlag(FrameFlags.End):
                ApplySettings(content.ToArray());
                await SendAsync(FrameKind.Settings, FrameFlags.End, 0, default, CancellationToken.None);
                break;
            case FrameKind.Ping when !header.Flags.HasFlag(FrameFlags.End):
                await SendAsync(FrameKind.Ping, FrameFlags.End, 0, content.ToArray(), CancellationToken.None);
                break;
            case FrameKind.WindowUpdate:
                Widen(header.StreamId, Number(content) & int.MaxValue);
                break;
            case FrameKind.PushPromise:
                throw new Http2Exception(Http2Error.Protocol, "a push was received that was not allowed");
        }
    }

    private async Task ReceiveDataAsync(FrameHeader header, ReadOnlySequence<byte> data)
    {
        Http2Stream? stream = Find(header.StreamId, remove: header.Flags.HasFlag(FrameFlags.End));
        if (stream is not null)
        {
            await stream.Receive(data);
        }

        if (header.Flags.HasFlag(FrameFlags.End))
        {
            stream?.End();
            Wake();
        }

        // The connection's window bounds nothing: each stream has its own.
        _receivedSinceUpdate += header.Length;
        if (_receivedSinceUpdate >= ConnectionWindow / 2)
        {
            int increment = (int)_receivedSinceUpdate;
            _receivedSinceUpdate = 0;
            await SendWindowUpdateAsync(0, increment);
        }
    }

    /// <summary>Adds to the list of headers that is being received, and takes it when it is whole.</summary>
    private void Collect(FrameHeader header, in ReadOnlySequence<byte> content)
    {
        (int id, bool isLast) = _unfinished ?? throw new Http2Exception(Http2Error.Protocol, "headers were continued that had not begun");
        if (_block.WrittenCount + content.Length > MaxBlock)
        {
            throw new Http2Exception(Http2Error.Compression, $"a list of headers has more than {MaxBlock} bytes");
        }

        foreach (ReadOnlyMemory<byte> segment in content)
        {
            _block.Write(segment.Span);
        }

        if (!header.Flags.HasFlag(FrameFlags.EndHeaders))
        {
            return;
        }

        _unfinished = null;
        IReadOnlyList<HeaderField> fields = HeaderBlock.Decode(_block.WrittenSpan);
        if (Find(id, remove: isLast) is { } stream)
        {
            stream.Receive(fields, isLast);
            if (isLast)
            {
                stream.End();
                Wake();
            }
        }
    }

    private void ApplySettings(ReadOnlySpan<byte> settings)
    {
        if (settings.Length % 6 != 0)
        {
            throw new Http2Exception(Http2Error.FrameSize, "a setting is cut");
        }

        for (; !settings.IsEmpty; settings = settings[6..])
        {
            if ((SettingId)BinaryPrimitives.ReadUInt16BigEndian(settings) == SettingId.InitialWindowSize)
            {
                long window = BinaryPrimitives.ReadUInt32BigEndian(settings[2..]);
                if (window > int.MaxValue)
                {
                    throw new Http2Exception(Http2Error.FlowControl, "a window is too large");
                }

                lock (_gate)
                {
                    foreach (Http2Stream stream in _streams.Values)
                    {
                        stream.SendWindow += window - _initialSendWindow;
                    }

                    _initialSendWindow = window;
                }

                Wake();
            }
        }
    }

    private void Widen(int id, uint increment)
    {
        lock (_gate)
        {
            if (id == 0)
            {
                _sendWindow += increment;
            }
            else if (_streams.TryGetValue(id, out Http2Stream? stream))
            {
                stream.SendWindow += increment;
            }

            if (increment == 0 || _sendWindow > int.MaxValue)
            {
                throw new Http2Exception(Http2Error.FlowControl, "a window was widened beyond what is possible");
            }
        }

        Wake();
    }

    private Http2Stream? Find(int id, bool remove)
    {
        lock (_gate)
        {
            return remove ? _streams.Remove(id, out Http2Stream? removed) ? removed : null : _streams.GetValueOrDefault(id);
        }
    }

    /// <summary>Those who wait for room look again.</summary>
    private void Wake()
    {
        TaskCompletionSource room;
        lock (_gate)
        {
            room = _room;
            _room = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        room.SetResult();
    }

    private void Fail(Exception error)
    {
        List<Http2Stream> streams;
        lock (_gate)
        {
            _failure ??= error;
            streams = [.. _streams.Values];
            _streams.Clear();
        }

        foreach (Http2Stream stream in streams)
        {
            stream.Fail(error);
        }

        Wake();
    }

    private static ReadOnlySequence<byte> Unpad(FrameHeader header, in ReadOnlySequence<byte> content)
    {
        if (!header.Flags.HasFlag(FrameFlags.Padded))
        {
            return content;
        }

        ReadOnlySequence<byte> rest = Skip(content, 1);
        int padding = content.FirstSpan[0];
        return padding <= rest.Length ? rest.Slice(0, rest.Length - padding) : throw new Http2Exception(Http2Error.Protocol, "a frame has more padding than content");
    }

    private static ReadOnlySequence<byte> Skip(in ReadOnlySequence<byte> content, int count) =>
        content.Length >= count ? content.Slice(count) : throw new Http2Exception(Http2Error.FrameSize, "a frame is too short");

    private static uint Number(in ReadOnlySequence<byte> content)
    {
        if (content.Length != 4)
        {
            throw new Http2Exception(Http2Error.FrameSize, "a frame has not the size of its kind");
        }

        Span<byte> bytes = stackalloc byte[4];
        content.CopyTo(bytes);
        return BinaryPrimitives.ReadUInt32BigEndian(bytes);
    }
}
