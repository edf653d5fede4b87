using System.Net;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Slipway.Registry.Server.Transport;

namespace Slipway.Registry.Peers;

/// <summary>Answers requests of other engines: of those with a certificate of the configured authorities, and of nobody else.</summary>
public sealed class PeerServer : IAsyncDisposable
{
    private const int MostConnections = 512;

    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(1);

    private readonly ListeningSockets _sockets = new();
    private KestrelServer? _server;

    private PeerServer()
    {
    }

    /// <param name="maxBody">Bytes of a request; a longer one is refused with 413.</param>
    /// <param name="answer">Answers a request; given the certificate of who asks.</param>
    /// <exception cref="FormatException">The certificates cannot be read.</exception>
    /// <exception cref="Server.RegistryConfigurationException">The address cannot be listened on.</exception>
    public static async Task<PeerServer> StartAsync(
        IPEndPoint listen, PeerTls tls, long maxBody, Func<HttpContext, X509Certificate2, Task> answer, CancellationToken cancellationToken)
    {
        PeerCertificates certificates = new(tls, "cluster.tls");
        PeerServer server = new();
        try
        {
            IPEndPoint endPoint = (IPEndPoint)server._sockets.Open(listen.ToString());
            server._server = new KestrelServer(Options.Create(KestrelOptions(endPoint, certificates, maxBody)), SocketConnection.Over(server._sockets), NullLoggerFactory.Instance);
            await server._server.StartAsync(new Application(answer), cancellationToken).ConfigureAwait(false);
            return server;
        }
        catch
        {
            await server.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_server is not null)
        {
            using CancellationTokenSource timeout = new(StopTimeout);
            await _server.StopAsync(timeout.Token).ConfigureAwait(false);
            _server.Dispose();
        }

        _sockets.Dispose();
    }

    private static KestrelServerOptions KestrelOptions(IPEndPoint endPoint, PeerCertificates certificates, long maxBody)
    {
        KestrelServerOptions options = new() { AddServerHeader = false };
        options.Limits.MaxRequestBodySize = maxBody;
        options.Limits.MaxConcurrentConnections = MostConnections;
        options.Listen(endPoint, listen =>
        {
            listen.Protocols = HttpProtocols.Http1;
            listen.Use(new RegistryTls(certificates.ServerOptions()).Wrap);
        });
        return options;
    }

    private sealed class Application(Func<HttpContext, X509Certificate2, Task> answer) : IHttpApplication<DefaultHttpContext>
    {
        public DefaultHttpContext CreateContext(IFeatureCollection contextFeatures) => new(contextFeatures);

        public void DisposeContext(DefaultHttpContext context, Exception? exception)
        {
            // Nothing outlives a request.
        }

        public async Task ProcessRequestAsync(DefaultHttpContext context)
        {
            if (context.Features.Get<ITlsConnectionFeature>()?.ClientCertificate is not { } certificate)
            {
                context.Response.StatusCode = StatusCodes.Status403Forbidden;
                return;
            }

            try
            {
                await answer(context, certificate).ConfigureAwait(false);
            }
            catch (Exception error) when (context.RequestAborted.IsCancellationRequested || error is ConnectionResetException or ConnectionAbortedException)
            {
                context.Abort();
            }
            catch (Microsoft.AspNetCore.Http.BadHttpRequestException error)
            {
                context.Response.StatusCode = error.StatusCode;
            }
        }
    }
}
