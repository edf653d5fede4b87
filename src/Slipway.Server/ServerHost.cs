using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Slipway.Engine;
using Slipway.Http;
using Slipway.Server.Auditing;
using Slipway.Server.BuildKit;
using Slipway.Server.Http;
using Slipway.Server.Metrics;
using Slipway.Server.Transport;

namespace Slipway.Server;

/// <summary>Serves an engine over HTTP. Kestrel is used as it is, without host, container and middleware: it starts in milliseconds.</summary>
public static class ServerHost
{
    /// <summary>Requests name images in their line (<c>docker save</c> of many), and credentials in headers.</summary>
    private const int MaxHeaderBytes = 256 * 1024;

    /// <summary>Serves until cancelled, then lets requests under way come to their end. The engine is not disposed.</summary>
    /// <exception cref="EngineException">An address cannot be listened on.</exception>
    public static async Task RunAsync(IEngine engine, ServerOptions options, CancellationToken cancellationToken)
    {
        using ListeningSockets sockets = ListeningSockets.Open(options.Hosts, options.Groups, options.Tls, options.Sockets);
        using AuditLog? audit = options.Audit is { } auditing ? new AuditLog(auditing, TimeProvider.System, options.Logging.CreateLogger("Slipway.Server"), options.WarmUp ? Environment.ProcessId : null) : null;
        ApiTls? tls = options.Tls is null ? null : new ApiTls(options.Tls.Load());
        using CancellationTokenSource stopping = new();
        using KestrelServer server = new(
            Options.Create(KestrelOptions(sockets.ByEndPoint.Keys, tls)), new SocketTransport(sockets.ByEndPoint, (endPoint, socket) => SocketConnection.Begin(socket, sockets.PolicyOf(endPoint))), options.Logging);
        using MetricsServer? metrics = options.MetricsAddress is { } address ? new MetricsServer(address, engine.Daemon, options.Logging) : null;
        using BuildKitServer buildKit = new(engine, options.Logging);
        await server.StartAsync(new EngineApplication(engine, audit, options.Plugins, buildKit, options.Logging, stopping.Token), cancellationToken);
        await (metrics?.StartAsync(cancellationToken) ?? Task.CompletedTask);
        options.Listening?.Invoke();
        EndPoint? own = sockets.ByEndPoint.Keys.FirstOrDefault(endPoint => sockets.PolicyOf(endPoint) is null && (tls is null || endPoint.AddressFamily == AddressFamily.Unix));

        // Plugins are not bothered with requests that nobody has made.
        Task warmUp = options.WarmUp && own is not null && options.Plugins is not { Current.Count: > 0 }
            ? WarmUp.RunAsync(own, options.Logging.CreateLogger("Slipway.Server"), cancellationToken)
            : Task.CompletedTask;

        await Task.Delay(Timeout.Infinite, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await warmUp;

        await stopping.CancelAsync();
        using CancellationTokenSource timeout = new(options.StopTimeout);
        await buildKit.StopAsync(timeout.Token);
        await server.StopAsync(timeout.Token);
        await (metrics?.StopAsync(timeout.Token) ?? Task.CompletedTask);
    }

    private static KestrelServerOptions KestrelOptions(IEnumerable<EndPoint> endPoints, ApiTls? tls)
    {
        KestrelServerOptions options = new() { AddServerHeader = false };
        options.Limits.MaxRequestLineSize = MaxHeaderBytes;
        options.Limits.MaxRequestHeadersTotalSize = MaxHeaderBytes;
        options.Limits.MaxRequestBufferSize = 2 * MaxHeaderBytes;

        // Uploads of images are as long as they are, and as slow as the client; JSON bodies are bounded where they are read.
        options.Limits.MaxRequestBodySize = null;
        options.Limits.MinRequestBodyDataRate = null;
        options.Limits.MinResponseDataRate = null;
        foreach (EndPoint endPoint in endPoints)
        {
            options.Listen(endPoint, listen =>
            {
                listen.Protocols = HttpProtocols.Http1;
                if (tls is not null && endPoint.AddressFamily != AddressFamily.Unix)
                {
                    listen.Use(tls.Wrap);
                }
            });
        }

        return options;
    }
}
