using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Sockets;
using Slipway.Kernel.Streams;
using Slipway.Runtime.Supervision.Protocol;

namespace Slipway.Runtime.Supervision.Host;

/// <summary>A connection of an engine. When it ends, containers go on.</summary>
internal sealed class EngineConnection : IReadinessHandler
{
    // Replies that an engine does not take are held up to this number; an engine that is stopped for so long reconnects.
    private const int MaxWaiting = 16 * 1024;

    private readonly EventLoop _loop;
    private readonly PacketSocket _socket;
    private readonly RequestHandler _handler;
    private readonly ulong _token;
    private readonly Queue<(byte[] Packet, SafeHandle? Descriptor)> _waiting = new();
    private readonly byte[] _packet = new byte[ProtocolLimits.MaxPacket];
    private List<SafeFileHandle> _descriptors = [];
    private bool _lost;

    public EngineConnection(EventLoop loop, PacketSocket socket, RequestHandler handler)
    {
        _loop = loop;
        _socket = socket;
        _handler = handler;
        _token = loop.Register(socket.Handle, EpollEvents.In | EpollEvents.Out | EpollEvents.PeerHangUp, this);
    }

    /// <summary>The engine has said hello, so it may be sent events.</summary>
    public bool IsGreeted { get; set; }

    public bool IsClosed { get; private set; }

    public void OnReady(EpollEvents events)
    {
        FlushWaiting();
        while (!IsClosed)
        {
            int length = _socket.Receive(_packet, _descriptors);
            if (length == -Errno.EAGAIN)
            {
                return;
            }

            if (length <= 0)
            {
                Close();
                return;
            }

            _lost |= _socket.DescriptorsWereLost;
            Handle(_packet.AsSpan(0, length));
        }
    }

    /// <summary>Sends a packet, with a duplicate of <paramref name="descriptor"/> if any.</summary>
    public void Send(ReadOnlySpan<byte> packet, SafeHandle? descriptor = null)
    {
        if (IsClosed)
        {
            return;
        }

        int errno = _waiting.Count > 0 ? Errno.EAGAIN : TrySend(packet, descriptor);
        if (errno == Errno.EAGAIN && _waiting.Count < MaxWaiting)
        {
            // The process may be reaped, and its pidfd closed, before the engine reads: then the packet goes without it.
            _waiting.Enqueue((packet.ToArray(), descriptor));
        }
        else if (errno != 0)
        {
            Close();
        }
    }

    public void Close()
    {
        if (!IsClosed)
        {
            IsClosed = true;
            _loop.Unregister(_token, _socket.Handle);
            _socket.Dispose();
            DropDescriptors();
            _handler.Disconnected(this);
        }
    }

    private void Handle(ReadOnlySpan<byte> packet)
    {
        try
        {
            var fields = new MessageFields(packet);
            MessageHeader header = MessageHeader.Read(ref fields);
            if (header.Kind == MessageKind.Descriptors)
            {
                return;
            }

            if (_lost)
            {
                // The request is refused, and the connection goes on: the containers are not to suffer.
                _lost = false;
                DropDescriptors();
                _handler.Refuse(this, header.Call, new KernelException("recvmsg", Errno.EMFILE).Message);
                return;
            }

            List<SafeFileHandle> descriptors = _descriptors;
            _descriptors = [];
            try
            {
                _handler.Handle(this, header, ref fields, descriptors);
            }
            catch (KernelException exception)
            {
                _handler.Refuse(this, header.Call, exception.Message);
            }
        }
        catch (InvalidDataException exception)
        {
            Console.Error.WriteLine($"engine connection closed: {exception.Message}");
            Close();
        }
    }

    private int TrySend(ReadOnlySpan<byte> packet, SafeHandle? descriptor)
    {
        if (descriptor is null || descriptor.IsClosed)
        {
            return _socket.Send(packet, []);
        }

        return _socket.Send(packet, [descriptor]);
    }

    private void FlushWaiting()
    {
        while (!IsClosed && _waiting.TryPeek(out (byte[] Packet, SafeHandle? Descriptor) next))
        {
            int errno = TrySend(next.Packet, next.Descriptor);
            if (errno == Errno.EAGAIN)
            {
                return;
            }

            if (errno != 0)
            {
                Close();
                return;
            }

            _waiting.Dequeue();
        }
    }

    private void DropDescriptors()
    {
        _descriptors.ForEach(descriptor => descriptor.Dispose());
        _descriptors.Clear();
    }
}
