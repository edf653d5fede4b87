using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Slipway.Registry.Server.Transport;

/// <summary>The TCP sockets a registry listens on, bound before it says that it is ready.</summary>
internal sealed class ListeningSockets : IDisposable
{
    /// <summary>Connections the kernel holds until they are accepted; it caps this at net.core.somaxconn.</summary>
    private const int Backlog = 4096;

    private readonly Dictionary<EndPoint, Socket> _sockets = [];

    public IReadOnlyDictionary<EndPoint, Socket> ByEndPoint => _sockets;

    /// <param name="address"><c>127.0.0.1:5000</c>, <c>[::1]:5000</c>, <c>:5000</c> (all interfaces, both families), <c>localhost:5000</c>. Port 0: any free one.</param>
    /// <returns>Where it listens.</returns>
    /// <exception cref="RegistryConfigurationException">No valid address, or it cannot be listened on.</exception>
    public EndPoint Open(string address)
    {
        IPEndPoint endPoint = Parse(address);
        Socket socket = new(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            if (endPoint.AddressFamily == AddressFamily.InterNetworkV6 && endPoint.Address.Equals(IPAddress.IPv6Any))
            {
                socket.DualMode = true;
            }

            socket.Bind(endPoint);
            socket.Listen(Backlog);
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw new RegistryConfigurationException($"cannot listen on {address}: {e.Message}");
        }

        EndPoint bound = socket.LocalEndPoint!;
        _sockets.Add(bound, socket);
        return bound;
    }

    public void Dispose()
    {
        foreach (Socket socket in _sockets.Values)
        {
            socket.Dispose();
        }
    }

    private static IPEndPoint Parse(string address)
    {
        int colon = address.LastIndexOf(':');
        string host = colon < 0 ? "" : address[..colon];
        return colon >= 0
            && ushort.TryParse(address.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out ushort port)
            && HostAddress(host) is { } ip
            ? new IPEndPoint(ip, port)
            : throw new RegistryConfigurationException($"invalid address to listen on: \"{address}\": it must be IP:PORT, localhost:PORT or :PORT");
    }

    private static IPAddress? HostAddress(string host) => host switch
    {
        "" => Socket.OSSupportsIPv6 ? IPAddress.IPv6Any : IPAddress.Any,
        "localhost" => IPAddress.Loopback,
        ['[', .. var inner, ']'] => IPAddress.TryParse(inner, out IPAddress? six) ? six : null,
        _ => IPAddress.TryParse(host, out IPAddress? four) && four.AddressFamily == AddressFamily.InterNetwork ? four : null,
    };
}
