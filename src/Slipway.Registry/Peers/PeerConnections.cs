using System.Net;

namespace Slipway.Registry.Peers;

/// <summary>Requests to other engines, which must have a certificate of the configured authorities for the address that they are asked at.</summary>
public static class PeerConnections
{
    private static readonly TimeSpan Idle = TimeSpan.FromMinutes(1);

    /// <exception cref="FormatException">The certificates cannot be read.</exception>
    public static HttpMessageInvoker Open(PeerTls tls, TimeSpan connectTimeout) => new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        UseProxy = false,
        AutomaticDecompression = DecompressionMethods.None,
        ActivityHeadersPropagator = null,
        ConnectTimeout = connectTimeout,
        PooledConnectionIdleTimeout = Idle,
        MaxConnectionsPerServer = 1,
        SslOptions = new PeerCertificates(tls, "cluster.tls").ClientOptions(),
    });
}
