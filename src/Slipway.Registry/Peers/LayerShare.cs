using System.Globalization;
using System.Net;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Abstractions;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Slipway.Oci;
using Slipway.Registry.Server.Transport;

namespace Slipway.Registry.Peers;

/// <summary>
/// Serves the layers of this engine to engines with a certificate of the configured authorities: <c>GET /layers/DIFF-ID</c>, whole or from an offset
/// on, and nothing else. Whoever has such a certificate may read every layer whose digest it knows; manifests and names are not served.
/// </summary>
public sealed class LayerShare : IAsyncDisposable
{
    private const int MostConnections = 64;

    /// <summary>Layers that are put together at the same time; more would slow down the containers here.</summary>
    private const int MostTransfers = 4;

    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(1);

    private readonly ListeningSockets _sockets = new();
    private readonly SemaphoreSlim _transfers = new(MostTransfers);
    private readonly ISharedLayers _layers;
    private readonly Action<Exception> _failed;
    private KestrelServer? _server;

    private LayerShare(ISharedLayers layers, Action<Exception> failed) => (_layers, _failed) = (layers, failed);

    /// <summary>Where it listens.</summary>
    public IPEndPoint EndPoint { get; private set; } = new(IPAddress.None, 0);

    /// <param name="failed">Told of a layer that could not be sent; the peer has gone elsewhere.</param>
    /// <exception cref="FormatException">The configuration cannot be meant, or its certificates cannot be read.</exception>
    /// <exception cref="Server.RegistryConfigurationException">The address cannot be listened on.</exception>
    public static async Task<LayerShare> StartAsync(PeerConfiguration configuration, ISharedLayers layers, Action<Exception> failed, CancellationToken cancellationToken)
    {
        configuration.Validate();
        var certificates = new PeerCertificates(configuration.Tls!);
        var share = new LayerShare(layers, failed);
        try
        {
            share.EndPoint = (IPEndPoint)share._sockets.Open(configuration.Listen!);
            share._server = new KestrelServer(Options.Create(KestrelOptions(share.EndPoint, certificates)), SocketConnection.Over(share._sockets), NullLoggerFactory.Instance);
            await share._server.StartAsync(new Application(share), cancellationToken).ConfigureAwait(false);
            return share;
        }
        catch
        {
            await share.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_server is not null)
        {
            using var timeout = new CancellationTokenSource(StopTimeout);
            await _server.StopAsync(timeout.Token).ConfigureAwait(false);
            _server.Dispose();
        }

        _sockets.Dispose();
        _transfers.Dispose();
    }

    private static KestrelServerOptions KestrelOptions(IPEndPoint endPoint, PeerCertificates certificates)
    {
        var options = new KestrelServerOptions { AddServerHeader = false };
        options.Limits.MaxRequestBodySize = 0;
        options.Limits.MaxConcurrentConnections = MostConnections;
        options.Listen(endPoint, listen =>
        {
            listen.Protocols = HttpProtocols.Http1;
            listen.Use(new RegistryTls(certificates.ServerOptions()).Wrap);
        });
        return options;
    }

    private async Task AnswerAsync(HttpContext context)
    {
        var (request, response) = (context.Request, context.Response);
        if (!request.Path.StartsWithSegments("/layers", StringComparison.Ordinal, out var rest) || !Digest.TryParse(rest.Value?.TrimStart('/'), out var diffId))
        {
            response.StatusCode = StatusCodes.Status404NotFound;
            return;
        }

        if (!HttpMethods.IsGet(request.Method) && !HttpMethods.IsHead(request.Method))
        {
            response.StatusCode = StatusCodes.Status405MethodNotAllowed;
            return;
        }

        var layer = await _layers.FindAsync(diffId, context.RequestAborted).ConfigureAwait(false);
        if (layer is null)
        {
            response.StatusCode = StatusCodes.Status404NotFound;
            return;
        }

        await using (layer.ConfigureAwait(false))
        {
            await SendAsync(context, layer).ConfigureAwait(false);
        }
    }

    private async Task SendAsync(HttpContext context, SharedLayer layer)
    {
        var (request, response) = (context.Request, context.Response);
        var offset = OffsetOf(request, layer.Length);
        response.ContentLength = layer.Length - offset;
        response.Headers.AcceptRanges = "bytes";
        if (HttpMethods.IsHead(request.Method))
        {
            return;
        }

        if (!await _transfers.WaitAsync(TimeSpan.Zero, context.RequestAborted).ConfigureAwait(false))
        {
            response.ContentLength = null;
            response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            return;
        }

        try
        {
            if (offset > 0)
            {
                response.StatusCode = StatusCodes.Status206PartialContent;
                response.Headers.ContentRange = string.Create(CultureInfo.InvariantCulture, $"bytes {offset}-{layer.Length - 1}/{layer.Length}");
            }

            await CopyAsync(layer, offset, response.Body, context.RequestAborted).ConfigureAwait(false);
        }
        finally
        {
            _transfers.Release();
        }
    }

    /// <summary>The tar is made from its start, whatever part of it is asked for.</summary>
    private static async Task CopyAsync(SharedLayer layer, long skip, Stream output, CancellationToken cancellationToken)
    {
        var tar = await layer.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using var _ = tar.ConfigureAwait(false);
        var buffer = new byte[256 << 10];
        int count;
        while ((count = await tar.ReadAsync(buffer, cancellationToken).ConfigureAwait(false)) > 0)
        {
            var from = (int)Math.Min(skip, count);
            skip -= from;
            await output.WriteAsync(buffer.AsMemory(from, count - from), cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary><c>Range: bytes=N-</c>, which is all that peers ask for; anything else means the whole.</summary>
    private static long OffsetOf(HttpRequest request, long length) =>
        request.GetTypedHeaders().Range is { Ranges: { Count: 1 } ranges } && ranges.First() is { From: { } from, To: null } && from < length ? from : 0;

    private sealed class Application(LayerShare share) : IHttpApplication<DefaultHttpContext>
    {
        public DefaultHttpContext CreateContext(IFeatureCollection contextFeatures) => new(contextFeatures);

        public void DisposeContext(DefaultHttpContext context, Exception? exception)
        {
            // Nothing outlives a request.
        }

        public async Task ProcessRequestAsync(DefaultHttpContext context)
        {
            try
            {
                await share.AnswerAsync(context).ConfigureAwait(false);
            }
            catch (Exception error) when (context.RequestAborted.IsCancellationRequested || error is ConnectionResetException or ConnectionAbortedException)
            {
                context.Abort();
            }
            catch (Exception error)
            {
                // Short of its promised length, the answer tells the peer that it is not whole.
                share._failed(error);
                context.Abort();
            }
        }
    }
}
