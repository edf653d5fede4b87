using System.Collections.Concurrent;
using Microsoft.AspNetCore.Http;
using Slipway.Registry.Server.Http;
using Slipway.Telemetry;

namespace Slipway.Registry.Server.Telemetry;

/// <summary>Counts of requests, in memory since the start.</summary>
internal sealed class RequestMetrics
{
    /// <summary>Upper bounds in seconds; the last bucket is without one.</summary>
    private static readonly double[] s_bounds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30];

    private readonly ConcurrentDictionary<(RegistryResource Resource, string Method, int Status), Counter> _requests = new();
    private readonly ConcurrentDictionary<RegistryResource, Histogram> _durations = new();
    private long _active;
    private long _sent;
    private long _received;

    public void Begin() => Interlocked.Increment(ref _active);

    public void End(RequestOutcome outcome, HttpContext context, TimeSpan elapsed)
    {
        Interlocked.Decrement(ref _active);
        _requests.GetOrAdd((outcome.Resource, Method(context.Request.Method), outcome.Abandoned ? 499 : context.Response.StatusCode), _ => new Counter()).Increment();
        _durations.GetOrAdd(outcome.Resource, _ => new Histogram(s_bounds)).Record(elapsed);
        Interlocked.Add(ref _received, context.Request.ContentLength ?? 0);
        if (!HttpMethods.IsHead(context.Request.Method))
        {
            Interlocked.Add(ref _sent, context.Response.ContentLength ?? 0);
        }
    }

    public void Write(PrometheusText text)
    {
        text.Family("slipway_registry_requests_total", "counter", "Requests answered, by what they address, method and status; 499: the client left.");
        foreach (((RegistryResource resource, string method, int status), Counter counter) in _requests.OrderBy(pair => pair.Key))
        {
            text.Sample("slipway_registry_requests_total", counter.Value, ("resource", Name(resource)), ("method", method), ("status", PrometheusText.Number(status)));
        }

        text.Family("slipway_registry_request_duration_seconds", "histogram", "Time from a request's head to the end of its answer.");
        foreach ((RegistryResource resource, Histogram histogram) in _durations.OrderBy(pair => pair.Key))
        {
            histogram.Write(text, "slipway_registry_request_duration_seconds", ("resource", Name(resource)));
        }

        text.Family("slipway_registry_requests_active", "gauge", "Requests being answered.");
        text.Sample("slipway_registry_requests_active", Interlocked.Read(ref _active));
        text.Family("slipway_registry_sent_bytes_total", "counter", "Bytes of answers' bodies.");
        text.Sample("slipway_registry_sent_bytes_total", Interlocked.Read(ref _sent));
        text.Family("slipway_registry_received_bytes_total", "counter", "Bytes of requests' bodies whose length was announced.");
        text.Sample("slipway_registry_received_bytes_total", Interlocked.Read(ref _received));
    }

    private static string Name(RegistryResource resource) => resource switch
    {
        RegistryResource.None => "other",
        RegistryResource.Base => "base",
        RegistryResource.Catalog => "catalog",
        RegistryResource.Tags => "tags",
        RegistryResource.Manifest => "manifest",
        RegistryResource.Blob => "blob",
        RegistryResource.Uploads or RegistryResource.Upload => "upload",
        RegistryResource.Referrers => "referrers",
        _ => throw new InvalidOperationException($"{resource} has no name"),
    };

    /// <summary>A method that nobody defined is the client's text: it makes no series of its own.</summary>
    private static string Method(string method) => method is "GET" or "HEAD" or "PUT" or "POST" or "PATCH" or "DELETE" ? method : "other";
}
