using System.Net;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Slipway.Registry.Server.Access;
using Slipway.Registry.Server.Endpoints;
using Slipway.Registry.Server.Http;
using Slipway.Registry.Server.Storage;
using Slipway.Registry.Server.Telemetry;
using Slipway.Registry.Server.Transport;

namespace Slipway.Registry.Server;

/// <summary>What surrounds a registry in its process.</summary>
public sealed record RegistryEnvironment
{
    public TimeProvider Time { get; init; } = TimeProvider.System;

    public required ILoggerFactory Logging { get; init; }

    /// <summary>Where a line for each request goes; null: nowhere.</summary>
    public Stream? AccessLog { get; init; }

    /// <summary>Called when all addresses are listened on, with the addresses in the order of the configuration.</summary>
    public Action<IReadOnlyList<EndPoint>>? Listening { get; init; }
}

/// <summary>A registry: the composition of its parts, served over HTTP by Kestrel without host, container and middleware.</summary>
public static class RegistryServer
{
    private static readonly TimeSpan s_stopTimeout = TimeSpan.FromSeconds(10);

    /// <summary>Serves until cancelled, then lets requests under way come to their end.</summary>
    /// <exception cref="RegistryConfigurationException">It cannot be run as configured.</exception>
    public static async Task RunAsync(RegistryConfiguration configuration, RegistryEnvironment environment, CancellationToken cancellationToken)
    {
        string root = configuration.Root ?? throw new RegistryConfigurationException("no root: --root DIR");
        TimeSpan grace = Duration.Parse(configuration.Collection.Grace, "gc.grace");
        using FileSystemStorage storage = FileSystemStorage.Open(root, environment.Time);
        storage.TouchInterval = TimeSpan.FromTicks(Math.Min(grace.Ticks / 4, TimeSpan.TicksPerMinute));
        RegistryContent content = new(storage, new ManifestCache((long)configuration.ManifestCacheMegabytes << 20));
        RequestMetrics metrics = new();
        using AccessLog log = new(configuration.AccessLog ? environment.AccessLog : null, environment.Time);
        IAccessControl access = new OpenAccess();
        StoredContent source = new(content);
        RegistryRouter router = new(
            access,
            new ManifestEndpoints(content, source),
            new BlobEndpoints(content, source),
            new UploadEndpoints(storage, environment.Time),
            new ListEndpoints(content),
            [],
            configuration.ReadOnly);
        using ListeningSockets sockets = new();
        List<EndPoint> bound = [.. (configuration.Listen ?? throw new RegistryConfigurationException("no address: --listen ADDR")).Select(sockets.Open)];
        using KestrelServer server = new(
            Options.Create(KestrelOptions(bound, configuration, environment)), new SocketTransport(sockets.ByEndPoint), environment.Logging);
        await server.StartAsync(new RegistryApplication(router, metrics, log, environment.Time, environment.Logging), cancellationToken);
        environment.Listening?.Invoke(bound);
        await Task.Delay(Timeout.Infinite, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        using CancellationTokenSource timeout = new(s_stopTimeout);
        await server.StopAsync(timeout.Token);
    }

    private static KestrelServerOptions KestrelOptions(IEnumerable<EndPoint> endPoints, RegistryConfiguration configuration, RegistryEnvironment environment)
    {
        KestrelServerOptions options = new() { AddServerHeader = false };

        // Blobs are as long as they are; manifests are bounded where they are read.
        options.Limits.MaxRequestBodySize = null;

        // A body that stops for half a minute is given up, so that its upload can be continued; so is a reader who does not read.
        options.Limits.MinRequestBodyDataRate = new MinDataRate(bytesPerSecond: 100, gracePeriod: TimeSpan.FromSeconds(30));
        options.Limits.MinResponseDataRate = new MinDataRate(bytesPerSecond: 100, gracePeriod: TimeSpan.FromSeconds(60));
        foreach (EndPoint endPoint in endPoints)
        {
            options.Listen(endPoint, listen => listen.Protocols = HttpProtocols.Http1);
        }

        return options;
    }
}
