using System.Text;
using Microsoft.AspNetCore.Http;
using Slipway.Registry.Server.Access;
using Slipway.Registry.Server.Collection;
using Slipway.Registry.Server.Http;
using Slipway.Telemetry;

namespace Slipway.Registry.Server.Telemetry;

/// <summary><c>/metrics</c> for Prometheus.</summary>
/// <param name="isPublic">On an address of its own, which says who may reach it.</param>
internal sealed class MetricsPage(RequestMetrics requests, GarbageCollector collector, AccessLog log, bool isPublic) : IPage
{
    public const string Path = "/metrics";

    public bool IsPublic => isPublic;

    public bool Matches(string method, string path) => path == Path && HttpMethods.IsGet(method);

    public bool Admits(Caller caller, string path) => caller.MayAdminister;

    public async Task AnswerAsync(HttpContext context, string path, Caller? caller)
    {
        PrometheusText text = new();
        requests.Write(text);
        Counter(text, "slipway_registry_gc_runs_total", "Collections of garbage.", collector.Runs);
        Counter(text, "slipway_registry_gc_removed_uploads_total", "Uploads that expired.", collector.Total.Uploads);
        Counter(text, "slipway_registry_gc_removed_manifests_total", "Untagged manifests removed.", collector.Total.Manifests);
        Counter(text, "slipway_registry_gc_removed_links_total", "Blobs taken from repositories that did not need them.", collector.Total.Links);
        Counter(text, "slipway_registry_gc_removed_blobs_total", "Blobs removed.", collector.Total.Blobs);
        Counter(text, "slipway_registry_gc_removed_bytes_total", "Bytes given back.", collector.Total.Bytes);
        Counter(text, "slipway_registry_access_log_dropped_total", "Lines of the access log that were not written.", log.Dropped);
        text.Family("process_resident_memory_bytes", "gauge", "Resident memory.");
        text.Sample("process_resident_memory_bytes", Environment.WorkingSet);
        byte[] body = Encoding.UTF8.GetBytes(text.ToString());
        context.Response.ContentType = PrometheusText.ContentType;
        context.Response.ContentLength = body.Length;
        await context.Response.Body.WriteAsync(body, context.RequestAborted);
    }

    private static void Counter(PrometheusText text, string name, string help, long value)
    {
        text.Family(name, "counter", help);
        text.Sample(name, value);
    }
}
