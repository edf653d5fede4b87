using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Sockets;
using Slipway.Kernel.Streams;
using Slipway.Runtime.Logs;
using Slipway.Runtime.Supervision.Protocol;

namespace Slipway.Runtime.Supervision.Host;

/// <summary>
/// A client stream of a process. Output that its socket does not take waits here; <see cref="IsCongested"/> then asks the
/// process' task to stop reading, which holds back this process only. A client that is gone is dropped.
/// </summary>
internal sealed class AttachedClient : IReadinessHandler, ILoopTask, IDisposable
{
    public const int FrameHeader = 8;

    // With one more read of 64 KiB the bound is about 1 MiB, as dockerd's is.
    private const int CongestedBytes = 960 * 1024;

    private readonly EventLoop _loop;
    private readonly ILoopTask _owner;
    private readonly SafeFileHandle _socket;
    private readonly AttachmentFlags _flags;
    private readonly ulong _token;
    private readonly ByteBuffer _waiting = new();
    private bool _readable;
    private bool _hungUp;
    private bool _inputEnded;
    private bool _outputEnding;
    private bool _orphaned;

    /// <param name="socket">Owned.</param>
    public AttachedClient(EventLoop loop, ILoopTask owner, SafeFileHandle socket, AttachmentFlags flags)
    {
        _loop = loop;
        _owner = owner;
        _socket = socket;
        _flags = flags;
        _token = loop.Register(socket, EpollEvents.In | EpollEvents.Out | EpollEvents.PeerHangUp, this);
    }

    public bool IsScheduled { get; set; }

    /// <summary>Nothing is left to be done for it; its socket is closed.</summary>
    public bool IsGone { get; private set; }

    public bool IsCongested => !IsGone && _waiting.Length > CongestedBytes;

    public bool HasInput => (_flags & AttachmentFlags.Stdin) != 0 && _readable && !_inputEnded && !IsGone;

    public void OnReady(EpollEvents events)
    {
        if ((events & (EpollEvents.In | EpollEvents.PeerHangUp | EpollEvents.HangUp | EpollEvents.Error)) != 0)
        {
            _readable = true;
        }

        // Both directions are shut: nobody will read. Its last input is still taken.
        _hungUp |= (events & (EpollEvents.HangUp | EpollEvents.Error)) != 0;
        if (_hungUp && (_orphaned || !HasInput))
        {
            Dispose();
        }

        _loop.Schedule(_orphaned ? this : _owner);
    }

    /// <summary>Only a socket can be watched and half-closed.</summary>
    /// <exception cref="InvalidDataException">It is something else.</exception>
    public static SafeFileHandle RequireSocket(SafeFileHandle stream) =>
        FileStatus.Of(stream).Type == FileType.Socket ? stream : throw new InvalidDataException("an attachment must be a socket");

    /// <summary>Reads what the client sent for stdin.</summary>
    /// <returns>Bytes read; 0 where there is nothing now; -1 once at the end of its input.</returns>
    public int Read(Span<byte> buffer)
    {
        int count = StreamSocket.TryReceive(_socket, buffer);
        if (count > 0)
        {
            return count;
        }

        _readable = false;
        if (count is -Errno.EAGAIN or -Errno.EINTR)
        {
            return 0;
        }

        _inputEnded = true;
        if (_hungUp)
        {
            Dispose();
        }

        return -1;
    }

    /// <summary>Sends output, as a frame unless <paramref name="raw"/>.</summary>
    /// <param name="frame">Room for the header, then the output.</param>
    public void Deliver(LogStream stream, Span<byte> frame, bool raw)
    {
        AttachmentFlags wanted = stream == LogStream.Stdout ? AttachmentFlags.Stdout : AttachmentFlags.Stderr;
        if (IsGone || _outputEnding || (_flags & wanted) == 0)
        {
            return;
        }

        ReadOnlySpan<byte> bytes = frame[FrameHeader..];
        if (!raw)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(frame, (uint)stream);
            BinaryPrimitives.WriteInt32BigEndian(frame[4..], bytes.Length);
            bytes = frame;
        }

        _waiting.Append(bytes);
        Flush();
    }

    /// <summary>Sends what waits; closes the socket after the last of it, if it was the last.</summary>
    public void Flush()
    {
        while (!IsGone && _waiting.Length > 0)
        {
            int sent = StreamSocket.TrySend(_socket, _waiting.Written);
            if (sent == -Errno.EAGAIN)
            {
                return;
            }

            if (sent >= 0)
            {
                _waiting.Consume(sent);
            }
            else if (sent != -Errno.EINTR)
            {
                Dispose();
            }
        }

        _waiting.TrimIfEmpty();
        if (_outputEnding)
        {
            Dispose();
        }
    }

    /// <summary>No more output will come, and no more input is wanted.</summary>
    public void Complete()
    {
        _outputEnding = true;
        Flush();
    }

    /// <summary>The process is gone: what waits for this client is now its own affair.</summary>
    public void Orphan()
    {
        _orphaned = true;
        Complete();
    }

    public void Run() => Flush();

    public void Dispose()
    {
        if (!IsGone)
        {
            IsGone = true;
            _waiting.Clear();
            _waiting.TrimIfEmpty();
            _loop.Unregister(_token, _socket);
            _socket.Dispose();
        }
    }
}
