using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Slipway.Networking;

/// <summary>
/// A host port kept from other processes by a bound socket, while packets to it are redirected before any socket sees them.
/// It is gone with this process, and taken again after a restart.
/// </summary>
internal sealed class PortReservation : IDisposable
{
    /// <summary>Of datagrams that wait to be carried. The kernel doubles it (socket(7), SO_RCVBUF), to what a socket has by default.</summary>
    private const int ForwardedBytes = 106496;

    private readonly Socket _socket;
    private IDisposable? _forwarder;

    private PortReservation(PublishedPort port, Socket socket)
    {
        Port = port;
        _socket = socket;
    }

    public PublishedPort Port { get; }

    /// <summary>Binds a port, in the network namespace of the calling thread.</summary>
    /// <exception cref="SocketException">AddressAlreadyInUse: another process has it. AddressNotAvailable: it is no address of the host.</exception>
    public static PortReservation Bind(PublishedPort port)
    {
        bool stream = port.Protocol == PortProtocol.Tcp;
        AddressFamily family = port.HostAddress.AddressFamily;
        Socket socket = new(family, stream ? SocketType.Stream : port.Protocol == PortProtocol.Udp ? SocketType.Dgram : SocketType.Seqpacket, (ProtocolType)port.Protocol);
        try
        {
            if (family == AddressFamily.InterNetworkV6)
            {
                socket.DualMode = false;
            }

            if (stream)
            {
                BindStream(socket, port);
            }
            else
            {
                // Datagrams that reach it were meant for a container that is gone, unless they are forwarded: few are kept, none is read.
                socket.ReceiveBufferSize = 0;
                socket.Bind(new IPEndPoint(port.HostAddress, port.HostPort));
            }

            return new PortReservation(port, socket);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>For IPv6, where rules do not redirect everything to a container: takes connections and datagrams, and carries them. For others nothing happens.</summary>
    /// <param name="makeSocket">Makes a socket of the container's family in the host's network namespace.</param>
    public void StartForwarding(IPAddress container, Func<SocketType, Task<Socket>> makeSocket)
    {
        if (Port.HostAddress.AddressFamily != AddressFamily.InterNetworkV6 || _forwarder is not null)
        {
            return;
        }

        IPEndPoint target = new(container, Port.ContainerPort);
        if (Port.Protocol == PortProtocol.Tcp)
        {
            _forwarder = new Ipv6Forwarder(_socket, target, () => makeSocket(SocketType.Stream));
        }
        else if (Port.Protocol == PortProtocol.Udp)
        {
            _socket.ReceiveBufferSize = ForwardedBytes;
            _forwarder = new Ipv6DatagramForwarder(_socket, target, makeSocket);
        }
    }

    public void Dispose()
    {
        _forwarder?.Dispose();
        _socket.Dispose();
    }

    /// <summary>
    /// Connections that ended a minute ago must not keep the port from us: SO_REUSEADDR allows that, but it also allows others to bind beside
    /// us. Listening once takes that permission back (inet_csk_get_port clears fastreuse), and shutdown(SHUT_RD) ends the listening
    /// without giving up the port, so that who is not redirected is refused, not left waiting.
    /// </summary>
    private static void BindStream(Socket socket, PublishedPort port)
    {
        const int SOL_SOCKET = 1;
        const int SO_REUSEADDR = 2;
        Span<int> value = [1];
        socket.SetRawSocketOption(SOL_SOCKET, SO_REUSEADDR, MemoryMarshal.AsBytes(value));
        socket.Bind(new IPEndPoint(port.HostAddress, port.HostPort));
        if (port.HostAddress.AddressFamily == AddressFamily.InterNetworkV6)
        {
            socket.Listen();
            return;
        }

        socket.Listen(0);
        socket.Shutdown(SocketShutdown.Receive);
        value[0] = 0;
        socket.SetRawSocketOption(SOL_SOCKET, SO_REUSEADDR, MemoryMarshal.AsBytes(value));
    }
}
