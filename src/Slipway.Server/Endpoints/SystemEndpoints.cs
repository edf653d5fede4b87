using Microsoft.AspNetCore.Http;
using Slipway.Api;
using Slipway.Api.Events;
using Slipway.Server.Http;
using Slipway.Server.Streams;

namespace Slipway.Server.Endpoints;

/// <summary>The engine as a whole.</summary>
internal static class SystemEndpoints
{
    private static readonly byte[] s_ok = "OK"u8.ToArray();

    /// <summary>The first request of every client; its headers decide what the client tries (BuildKit, Swarm) and which version it speaks.</summary>
    public static async Task Ping(ApiRequest request)
    {
        IHeaderDictionary headers = request.Response.Headers;
        headers["Builder-Version"] = "2";
        headers["Swarm"] = "inactive";
        headers.CacheControl = "no-cache, no-store, must-revalidate";
        headers.Pragma = "no-cache";
        request.Response.ContentType = "text/plain; charset=utf-8";
        if (HttpMethods.IsHead(request.Http.Request.Method))
        {
            request.Response.ContentLength = 0;
            return;
        }

        request.Response.ContentLength = s_ok.Length;
        await request.Response.Body.WriteAsync(s_ok);
    }

    public static Task Info(ApiRequest request) => request.WriteJsonAsync(request.Engine.Daemon.Info(), EngineJson.Wire.SystemInfo);

    public static Task Version(ApiRequest request) =>
        request.WriteJsonAsync(request.Engine.Daemon.Version(ApiVersion.Max.ToString(), ApiVersion.Min.ToString()), EngineJson.Wire.SystemVersion);

    public static async Task Events(ApiRequest request)
    {
        using CancellationTokenSource end = request.WhileClientListens();
        IAsyncEnumerable<EventMessage> events = request.Engine.Events.Subscribe(
            request.Query.Time("since"), request.Query.Time("until"), request.Query.Filters(), end.Token);
        JsonLines lines = new(request);
        await lines.StartAsync(end.Token);
        await foreach (EventMessage message in events.WithCancellation(end.Token))
        {
            await lines.WriteAsync(message, EngineJson.Wire.EventMessage, "\n"u8.ToArray(), end.Token);
        }
    }
}
