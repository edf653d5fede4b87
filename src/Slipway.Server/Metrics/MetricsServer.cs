using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Slipway.Engine;
using Slipway.Engine.Daemon;
using Slipway.Http;
using Slipway.Server.Transport;

namespace Slipway.Server.Metrics;

/// <summary>
/// The engine's counts at an address of their own (<c>metrics-addr</c>), for whoever reaches it: they name no container, and nothing can be changed there. That is why
/// the address may be any, unlike that of the API.
/// </summary>
internal sealed class MetricsServer : IDisposable
{
    /// <summary>A request has a line, some headers and no body.</summary>
    private const int MaxRequestBytes = 16 * 1024;

    private const int MaxConnections = 100;

    private readonly Socket _socket;
    private readonly KestrelServer _server;
    private readonly IDaemon _daemon;

    /// <exception cref="EngineException">The address is none, or cannot be listened on.</exception>
    public MetricsServer(string address, IDaemon daemon, ILoggerFactory logging)
    {
        _daemon = daemon;
        _socket = Listen(Parse(address), address);
        KestrelServerOptions options = new() { AddServerHeader = false };
        options.Limits.MaxRequestLineSize = MaxRequestBytes;
        options.Limits.MaxRequestHeadersTotalSize = MaxRequestBytes;
        options.Limits.MaxRequestBufferSize = 2 * MaxRequestBytes;
        options.Limits.MaxRequestBodySize = 0;
        options.Limits.MaxConcurrentConnections = MaxConnections;
        options.Listen(_socket.LocalEndPoint!, listen => listen.Protocols = HttpProtocols.Http1);
        Dictionary<EndPoint, Socket> listening = new() { [_socket.LocalEndPoint!] = _socket };
        _server = new KestrelServer(Options.Create(options), new SocketTransport(listening, (_, socket) => SocketConnection.Begin(socket, policy: null)), logging);
    }

    /// <summary><c>host:port</c>: an IP address, <c>localhost</c>, or nothing for all addresses.</summary>
    /// <exception cref="EngineException">InvalidParameter.</exception>
    public static IPEndPoint Parse(string address)
    {
        int colon = address.LastIndexOf(':');
        string host = colon < 0 ? "" : address[..colon];
        IPAddress? ip = host switch
        {
            "" => IPAddress.Any,
            "localhost" => IPAddress.Loopback,
            _ when host.StartsWith('[') == host.Contains(':', StringComparison.Ordinal) && IPAddress.TryParse(host, out IPAddress? parsed) => parsed,
            _ => null,
        };
        return colon >= 0 && ip is not null && ushort.TryParse(address.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out ushort port)
            ? new IPEndPoint(ip, port)
            : throw new EngineException(ErrorKind.InvalidParameter, $"invalid metrics-addr: {address}: it must be an IP address and a port, as 127.0.0.1:9323");
    }

    public Task StartAsync(CancellationToken cancellationToken) => _server.StartAsync(new MetricsApplication(_daemon), cancellationToken);

    public Task StopAsync(CancellationToken cancellationToken) => _server.StopAsync(cancellationToken);

    public void Dispose()
    {
        _server.Dispose();
        _socket.Dispose();
    }

    private static Socket Listen(IPEndPoint endPoint, string address)
    {
        Socket socket = new(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(endPoint);
            socket.Listen(MaxConnections);
            return socket;
        }
        catch (SocketException error)
        {
            socket.Dispose();
            throw new EngineException(ErrorKind.System, $"cannot serve metrics at {address}: {error.Message}", error);
        }
    }
}
