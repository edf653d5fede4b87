using System.Buffers;
using System.IO.Pipelines;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http;
using Slipway.Api;
using Slipway.Engine;
using Slipway.Engine.Volumes;
using Slipway.Server.Authorization;
using Slipway.Server.Authorization.Plugins;
using Slipway.Server.BuildKit;
using Slipway.Server.Transport;

namespace Slipway.Server.Http;

/// <summary>A request of the API on its way to an endpoint.</summary>
/// <param name="Authorization">By which the request got here, and which its body has to pass.</param>
/// <param name="Report">Tells the operator of a failure that the client is told of within an answer.</param>
/// <param name="BuildKit">Serves what is asked for by gRPC.</param>
/// <param name="Stopping">The server is about to stop.</param>
internal sealed record ApiRequest(
    HttpContext Http, IEngine Engine, ApiVersion Version, RequestAuthorization Authorization, Action<Exception> Report, BuildKitServer BuildKit, CancellationToken Stopping)
{
    private static readonly byte[] s_newline = "\n"u8.ToArray();

    /// <summary>What stands in the path for the route's parameter: a reference to an object.</summary>
    public string Parameter => Authorization.Parameter;

    /// <summary>Volumes; where the path names one that was judged, that one alone under its name.</summary>
    public IVolumes Volumes => Authorization.Volume is { } judged ? Engine.Volumes.Judged(judged) : Engine.Volumes;

    public HttpResponse Response => Http.Response;

    public QueryParameters Query => new(Http.Request.QueryString);

    public IRawConnection Connection => Http.Features.Get<IRawConnection>()!;

    /// <summary>
    /// Ends what only the client waits for: answers that go on for ever. Changes are not cancelled because their client left.
    /// </summary>
    public CancellationTokenSource WhileClientListens() =>
        CancellationTokenSource.CreateLinkedTokenSource(Http.RequestAborted, Connection.InputEnded, Stopping);

    /// <summary>The body as the endpoint is to act on it: parsed, and admitted in this form.</summary>
    /// <exception cref="EngineException">InvalidParameter, or Forbidden by the socket's policy.</exception>
    public async Task<T?> ReadJsonAsync<T>() where T : class
    {
        T? body = await JsonBody.ReadAsync<T>(Http.Request, Authorization.IsShown, Http.RequestAborted);
        Authorization.AdmitBody(body);
        return body;
    }

    public async Task WriteJsonAsync<T>(T value, JsonTypeInfo<T> type, int status = StatusCodes.Status200OK)
    {
        Response.StatusCode = status;
        Response.ContentType = JsonBody.ContentType;
        byte[] body = JsonShapes.Serialize(value, type, Version);
        Response.ContentLength = body.Length + s_newline.Length;
        await Response.Body.WriteAsync(body, Http.RequestAborted);
        await Response.Body.WriteAsync(s_newline, Http.RequestAborted);
    }

    /// <summary>Shows plugins an answer that is a stream over the bare connection.</summary>
    /// <param name="upgrade">It is answered by 101, else by 200.</param>
    /// <exception cref="EngineException">Forbidden; System where a plugin has not decided.</exception>
    public Task AdmitStreamAsync(bool upgrade) => Http.Features.Get<GuardedAnswer>() is { } answer
        ? answer.JudgeAsync(upgrade ? StatusCodes.Status101SwitchingProtocols : StatusCodes.Status200OK)
        : Task.CompletedTask;

    /// <summary>A list whose items are JSON already.</summary>
    public async Task WriteJsonListAsync(IReadOnlyList<byte[]> items)
    {
        Response.ContentType = JsonBody.ContentType;
        Response.ContentLength = items.Sum(item => (long)item.Length) + Math.Max(items.Count - 1, 0) + "[]\n"u8.Length;
        PipeWriter body = Response.BodyWriter;
        body.Write("["u8);
        for (int i = 0; i < items.Count; i++)
        {
            if (i > 0)
            {
                body.Write(","u8);
            }

            body.Write(items[i]);
        }

        body.Write("]\n"u8);
        await body.FlushAsync(Http.RequestAborted);
    }

    public Task NoContent() => Answer(StatusCodes.Status204NoContent);

    public Task Answer(int status)
    {
        Response.StatusCode = status;
        return Task.CompletedTask;
    }
}
