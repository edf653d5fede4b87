using System.IO.Pipelines;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Slipway.Grpc;

/// <summary>Serves calls over connections that were made elsewhere: HTTP/2 by Kestrel, without any address of its own.</summary>
public sealed partial class GrpcServer : IDisposable
{
    /// <summary>Bytes. A context is sent as fast as one stream goes.</summary>
    private const int Window = 1 << 20;

    private const int MaxStreams = 250;

    private const int MaxHeaderBytes = 256 * 1024;

    private readonly HandedConnections _connections = new();
    private readonly KestrelServer _server;
    private readonly Application _application;
    private readonly Lazy<Task> _started;

    /// <param name="limit">The longest message that is taken, in bytes.</param>
    public GrpcServer(GrpcService service, int limit, ILoggerFactory logging)
    {
        KestrelServerOptions options = new() { AddServerHeader = false };
        options.Limits.MaxRequestBodySize = null;
        options.Limits.MinRequestBodyDataRate = null;
        options.Limits.MinResponseDataRate = null;
        options.Limits.MaxRequestHeadersTotalSize = MaxHeaderBytes;
        options.Limits.Http2.MaxStreamsPerConnection = MaxStreams;
        options.Limits.Http2.MaxRequestHeaderFieldSize = MaxHeaderBytes;
        options.Limits.Http2.InitialConnectionWindowSize = Window;
        options.Limits.Http2.InitialStreamWindowSize = Window;
        options.Limits.KeepAliveTimeout = TimeSpan.FromDays(1);
        options.Listen(HandedConnections.EndPoint, listen => listen.Protocols = HttpProtocols.Http2);
        _server = new KestrelServer(Options.Create(options), _connections, logging);
        _application = new Application(service, limit, logging.CreateLogger("Slipway.Grpc"));
        _started = new Lazy<Task>(() => _server.StartAsync(_application, CancellationToken.None));
    }

    /// <summary>Serves one connection until it ends.</summary>
    /// <param name="features">What the connection carries for all its calls (<see cref="GrpcCall.Connection"/>).</param>
    /// <param name="closed">The other end is gone, or is to be left.</param>
    public async Task ServeAsync(IDuplexPipe transport, IFeatureCollection features, CancellationToken closed)
    {
        await _started.Value;
        await _connections.HandAsync(transport, features, closed);
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        if (_started.IsValueCreated)
        {
            await _server.StopAsync(cancellationToken);
        }
    }

    public void Dispose() => _server.Dispose();

    private sealed partial class Application(GrpcService service, int limit, ILogger log) : IHttpApplication<HttpContext>
    {
        public HttpContext CreateContext(IFeatureCollection contextFeatures) => new DefaultHttpContext(contextFeatures);

        public void DisposeContext(HttpContext context, Exception? exception) => ((DefaultHttpContext)context).Uninitialize();

        public async Task ProcessRequestAsync(HttpContext context)
        {
            if (!HttpMethods.IsPost(context.Request.Method) || context.Request.ContentType?.StartsWith(GrpcHeaders.ContentType, StringComparison.Ordinal) != true)
            {
                context.Response.StatusCode = StatusCodes.Status415UnsupportedMediaType;
                return;
            }

            using CancellationTokenSource cancelled = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
            TimeSpan? timeout = GrpcHeaders.ParseTimeout(context.Request.Headers[GrpcHeaders.Timeout]);
            if (timeout is { } limited)
            {
                cancelled.CancelAfter(limited);
            }

            context.Response.ContentType = GrpcHeaders.ContentType;
            try
            {
                Func<GrpcCall, Task> method = service.Find(context.Request.Path.Value ?? "")
                    ?? throw new GrpcException(GrpcStatusCode.Unimplemented, $"unknown method {context.Request.Path}");
                await method(new GrpcCall(context, limit, cancelled.Token));
                context.Response.AppendTrailer(GrpcHeaders.Status, "0");
            }
            catch (Exception error) when (context.RequestAborted.IsCancellationRequested)
            {
                LogAbandoned(error, context.Request.Path);
                context.Abort();
            }
            catch (GrpcException error)
            {
                Fail(context, error);
            }
            catch (OperationCanceledException) when (cancelled.IsCancellationRequested)
            {
                Fail(context, new GrpcException(GrpcStatusCode.DeadlineExceeded, "context deadline exceeded"));
            }
            catch (OperationCanceledException)
            {
                Fail(context, new GrpcException(GrpcStatusCode.Cancelled, "context canceled"));
            }
            catch (Exception error)
            {
                LogFailure(error, context.Request.Path);
                Fail(context, new GrpcException(GrpcStatusCode.Unknown, error.Message));
            }
        }

        private static void Fail(HttpContext context, GrpcException error)
        {
            foreach ((string name, string value) in GrpcHeaders.Trailers(error))
            {
                context.Response.AppendTrailer(name, value);
            }
        }

        [LoggerMessage(1, LogLevel.Error, "{Path} failed")]
        private partial void LogFailure(Exception error, PathString path);

        [LoggerMessage(2, LogLevel.Debug, "{Path} ended after its client had left")]
        private partial void LogAbandoned(Exception error, PathString path);
    }
}
