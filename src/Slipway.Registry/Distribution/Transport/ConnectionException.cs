using System.Net.Sockets;
using System.Security.Authentication;

namespace Slipway.Registry.Distribution.Transport;

/// <summary>A request that got no answer, or whose answer broke off. The text is the one that dockerd's network library has for the case.</summary>
internal sealed class ConnectionException(string message, bool mayPass, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>Whether trying again makes sense even with a host that never answered yet: it does not where nobody listens or nobody is trusted.</summary>
    public bool MayPass { get; } = mayPass;

    /// <summary>Base address that was tried last.</summary>
    public Uri? Address { get; set; }

    public static ConnectionException From(Exception error, Uri address)
    {
        if (error is OperationCanceledException)
        {
            // The connection's own time-out says so; the other is ours.
            return Causes(error).Any(cause => cause is TimeoutException)
                ? new($"dial tcp {address.Host}:{address.Port}: i/o timeout", mayPass: false, error)
                : new("net/http: timeout awaiting response headers", mayPass: true, error);
        }

        foreach (var cause in Causes(error))
        {
            switch (cause)
            {
                case HttpRequestException { HttpRequestError: HttpRequestError.NameResolutionError }:
                    return new($"dial tcp: lookup {address.Host}: no such host", mayPass: false, error);
                case HttpRequestException { HttpRequestError: HttpRequestError.ProxyTunnelError } tunnel:
                    return new($"proxyconnect tcp: {(tunnel.StatusCode is { } status ? $"the proxy answered {(int)status}" : "the proxy refused")}", mayPass: false, error);
                case SocketException socket:
                    return FromSocket(socket, address, error);
                case AuthenticationException tls:
                    return new(TlsText(tls), mayPass: false, error);
            }
        }

        return new("unexpected EOF", mayPass: true, error);
    }

    private static ConnectionException FromSocket(SocketException socket, Uri address, Exception error) => socket.SocketErrorCode switch
    {
        SocketError.HostNotFound or SocketError.NoData or SocketError.TryAgain => new($"dial tcp: lookup {address.Host}: no such host", mayPass: false, error),
        SocketError.ConnectionRefused => new($"dial tcp {address.Host}:{address.Port}: connect: connection refused", mayPass: false, error),
        SocketError.HostUnreachable => new($"dial tcp {address.Host}:{address.Port}: connect: no route to host", mayPass: false, error),
        SocketError.NetworkUnreachable => new($"dial tcp {address.Host}:{address.Port}: connect: network is unreachable", mayPass: false, error),
        SocketError.TimedOut => new($"dial tcp {address.Host}:{address.Port}: i/o timeout", mayPass: false, error),
        SocketError.ConnectionReset or SocketError.ConnectionAborted or SocketError.Shutdown => new("read: connection reset by peer", mayPass: true, error),
        _ => new(socket.Message, mayPass: true, error),
    };

    /// <summary>The TLS library says "frame" where what came was no TLS record: an HTTP server's complaint.</summary>
    private static string TlsText(AuthenticationException tls) =>
        tls.Message.StartsWith("tls: ", StringComparison.Ordinal) ? tls.Message
        : tls.Message.Contains("frame", StringComparison.Ordinal) ? "http: server gave HTTP response to HTTPS client"
        : "remote error: tls: handshake failure";

    private static IEnumerable<Exception> Causes(Exception error)
    {
        for (var cause = error; cause is not null; cause = cause.InnerException)
        {
            yield return cause;
        }
    }
}
