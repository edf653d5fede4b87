using System.Net;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Slipway.Registry.Server.Access;
using Slipway.Registry.Server.Collection;
using Slipway.Registry.Server.Endpoints;
using Slipway.Registry.Server.Http;
using Slipway.Registry.Server.Pages;
using Slipway.Registry.Server.Storage;
using Slipway.Registry.Server.Telemetry;
using Slipway.Registry.Server.Transport;
using Slipway.Registry.Server.Upstream;

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
    public static async Task RunAsync(RegistryServerConfiguration configuration, RegistryEnvironment environment, CancellationToken cancellationToken)
    {
        string root = configuration.Root ?? throw new RegistryConfigurationException("no root: --root DIR");
        IReadOnlyList<string> addresses = configuration.Listen is { Count: > 0 } listen ? listen : throw new RegistryConfigurationException("no address: --listen ADDR");
        CollectionOptions collection = Collection(configuration);
        using FileSystemStorage storage = OpenStorage(root, collection, environment.Time);
        RegistryContent content = new(storage, new ManifestCache((long)configuration.ManifestCacheMegabytes << 20));
        using AccessControl access = AccessControl.Create(configuration.Auth, root, environment.Time);
        using GarbageCollector collector = new(content, collection, environment.Time, environment.Logging.CreateLogger("Slipway.Registry.Collection"));
        using UpstreamSource? upstream = configuration.Cache is { } cache ? UpstreamSource.Create(cache, content, environment.Time) : null;
        IContentSource source = upstream?.Content ?? (IContentSource)new StoredContent(content);
        using AccessLog log = new(configuration.AccessLog ? environment.AccessLog : null, environment.Time);
        RequestMetrics metrics = new();
        List<IPage> pages = [.. access.OwnPages, new CollectionPage(collector)];
        if (configuration.Page)
        {
            pages.Add(new BrowserPage(content, access.Pages));
        }

        if (configuration.Metrics.Listen is null)
        {
            pages.Add(new MetricsPage(metrics, collector, log, isPublic: false));
        }

        RegistryRouter router = new(
            access,
            new ManifestEndpoints(content, source),
            new BlobEndpoints(content, source),
            new UploadEndpoints(storage, environment.Time),
            new ListEndpoints(content),
            pages,
            configuration.ReadOnly || upstream is not null);

        using ListeningSockets sockets = new();
        List<EndPoint> bound = [.. addresses.Select(sockets.Open)];
        using KestrelServer server = Kestrel(KestrelOptions(bound, configuration), sockets, environment);
        using ListeningSockets metricsSockets = new();
        using KestrelServer? metricsServer = configuration.Metrics.Listen is { } own ? Kestrel(Listen([metricsSockets.Open(own)], tls: null), metricsSockets, environment) : null;

        await server.StartAsync(new RegistryApplication(router, metrics, log, environment.Time, environment.Logging), cancellationToken);
        if (metricsServer is not null)
        {
            RegistryRouter only = router.WithPages([new MetricsPage(metrics, collector, log, isPublic: true)]);
            await metricsServer.StartAsync(new RegistryApplication(only, new RequestMetrics(), log, environment.Time, environment.Logging), cancellationToken);
        }

        environment.Listening?.Invoke(bound);
        await collector.RunAsync(cancellationToken);
        await Task.Delay(Timeout.Infinite, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        using CancellationTokenSource timeout = new(s_stopTimeout);
        await server.StopAsync(timeout.Token);
        if (metricsServer is not null)
        {
            await metricsServer.StopAsync(timeout.Token);
        }
    }

    /// <summary>Collects the garbage of a registry that no process serves, and tells what was removed.</summary>
    /// <exception cref="RegistryConfigurationException">A server has it open: it is the one to ask.</exception>
    public static async Task<string> CollectAsync(RegistryServerConfiguration configuration, RegistryEnvironment environment, CancellationToken cancellationToken)
    {
        CollectionOptions collection = Collection(configuration);
        using FileSystemStorage storage = OpenStorage(configuration.Root ?? throw new RegistryConfigurationException("no root: --root DIR"), collection, environment.Time);
        using GarbageCollector collector = new(
            new RegistryContent(storage, new ManifestCache(0)), collection, environment.Time, environment.Logging.CreateLogger("Slipway.Registry.Collection"));
        return (await collector.CollectAsync(cancellationToken)).ToString();
    }

    private static FileSystemStorage OpenStorage(string root, CollectionOptions collection, TimeProvider time)
    {
        FileSystemStorage storage = FileSystemStorage.Open(root, time);
        storage.TouchInterval = TimeSpan.FromTicks(Math.Min(collection.Grace.Ticks / 4, TimeSpan.TicksPerMinute));
        return storage;
    }

    private static CollectionOptions Collection(RegistryServerConfiguration configuration) => new(
        Duration.Parse(configuration.Collection.Interval, "gc.interval"),
        Duration.Parse(configuration.Collection.Grace, "gc.grace"),
        Duration.Parse(configuration.Uploads.Expiry, "uploads.expiry"),
        configuration.Collection.Untagged);

    private static KestrelServer Kestrel(KestrelServerOptions options, ListeningSockets sockets, RegistryEnvironment environment) =>
        new(Options.Create(options), SocketConnection.Over(sockets), environment.Logging);

    private static KestrelServerOptions KestrelOptions(IEnumerable<EndPoint> endPoints, RegistryServerConfiguration configuration)
    {
        KestrelServerOptions options = Listen(endPoints, configuration.Tls);

        // Blobs are as long as they are; manifests are bounded where they are read.
        options.Limits.MaxRequestBodySize = null;

        // A body that stops for half a minute is given up, so that its upload can be continued; so is a reader who does not read.
        options.Limits.MinRequestBodyDataRate = new MinDataRate(bytesPerSecond: 100, gracePeriod: TimeSpan.FromSeconds(30));
        options.Limits.MinResponseDataRate = new MinDataRate(bytesPerSecond: 100, gracePeriod: TimeSpan.FromSeconds(60));
        return options;
    }

    private static KestrelServerOptions Listen(IEnumerable<EndPoint> endPoints, TlsConfiguration? tls)
    {
        KestrelServerOptions options = new() { AddServerHeader = false };
        RegistryTls? layer = tls is null ? null : new RegistryTls(TlsFiles.Load(tls));
        foreach (EndPoint endPoint in endPoints)
        {
            options.Listen(endPoint, listen =>
            {
                listen.Protocols = HttpProtocols.Http1;
                if (layer is not null)
                {
                    listen.Use(layer.Wrap);
                }
            });
        }

        return options;
    }
}
