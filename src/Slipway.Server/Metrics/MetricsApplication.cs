using System.Text;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Slipway.Engine.Daemon;
using Slipway.Http;
using Slipway.Telemetry;

namespace Slipway.Server.Metrics;

/// <summary>What is served at <c>metrics-addr</c>: <c>GET /metrics</c>, and nothing else of the engine.</summary>
internal sealed class MetricsApplication(IDaemon daemon) : IHttpApplication<DefaultHttpContext>
{
    private const string Path = "/metrics";

    public DefaultHttpContext CreateContext(IFeatureCollection contextFeatures) => HostContexts.Rent(contextFeatures);

    public void DisposeContext(DefaultHttpContext context, Exception? exception) => context.Uninitialize();

    public async Task ProcessRequestAsync(DefaultHttpContext context)
    {
        HttpResponse response = context.Response;
        bool head = HttpMethods.IsHead(context.Request.Method);
        (int status, string type, string text) = context.Request.Path != Path ? (StatusCodes.Status404NotFound, "text/plain; charset=utf-8", "404 page not found\n")
            : head || HttpMethods.IsGet(context.Request.Method) ? (StatusCodes.Status200OK, PrometheusText.ContentType, daemon.Metrics())
            : (StatusCodes.Status405MethodNotAllowed, "text/plain; charset=utf-8", "405 method not allowed\n");
        byte[] body = Encoding.UTF8.GetBytes(text);
        response.StatusCode = status;
        response.ContentType = type;
        response.ContentLength = body.Length;
        if (!head)
        {
            await response.Body.WriteAsync(body, context.RequestAborted);
        }
    }
}
