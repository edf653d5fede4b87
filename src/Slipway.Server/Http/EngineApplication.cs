using System.Text.Json;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;
using Slipway.Api;
using Slipway.Engine;
using Slipway.Engine.Daemon;
using Slipway.Http;
using Slipway.Server.Auditing;
using Slipway.Server.Authorization;
using Slipway.Server.Authorization.Plugins;
using Slipway.Server.BuildKit;
using Slipway.Server.Transport;

namespace Slipway.Server.Http;

/// <summary>The API as Kestrel sees it: version, route, endpoint, and errors as answers.</summary>
internal sealed partial class EngineApplication(
    IEngine engine, AuditLog? audit, AuthorizationPlugins? plugins, BuildKitServer buildKit, ILoggerFactory logging, CancellationToken stopping) : IHttpApplication<DefaultHttpContext>
{
    private static readonly string s_server = $"Slipway/{EngineVersion.Current} (linux)";

    private readonly Router _router = new(RouteTable.Routes);
    private readonly ILogger _log = logging.CreateLogger("Slipway.Server");

    public DefaultHttpContext CreateContext(IFeatureCollection contextFeatures) => HostContexts.Rent(contextFeatures);

    public void DisposeContext(DefaultHttpContext context, Exception? exception) => context.Uninitialize();

    public async Task ProcessRequestAsync(DefaultHttpContext context)
    {
        HttpResponse response = context.Response;
        response.Headers["Api-Version"] = ApiVersion.Max.ToString();
        response.Headers["Docker-Experimental"] = engine.Daemon.IsExperimental ? "true" : "false";
        response.Headers["Ostype"] = "linux";
        response.Headers.Server = s_server;
        try
        {
            (ApiVersion version, string path) = ApiVersion.Split(DecodedPath(context.Request));
            (Route route, string parameter) = _router.Find(context.Request.Method, path)
                ?? throw new EngineException(ErrorKind.NotFound, "page not found");
            RequestAuthorization authorization = await RequestAuthorization.BeginAsync(engine, audit, plugins, context, route, parameter);
            try
            {
                await route.Handler(new ApiRequest(context, engine, version, authorization, error => Report(context, error), buildKit, stopping));
            }
            finally
            {
                authorization.End();
            }

            if (context.Features.Get<GuardedAnswer>() is { } answer)
            {
                await answer.FinishAsync();
            }
        }
        catch (OperationCanceledException) when (HasLeft(context) || stopping.IsCancellationRequested || InputEnded(context))
        {
            context.Abort();
        }
        catch (Exception e) when (HasLeft(context))
        {
            // A client that left is no error, and neither is what follows from it.
            LogAbandoned(e, context.Request.Method, context.Request.Path);
            context.Abort();
        }
        catch (Exception e)
        {
            await AnswerErrorAsync(context, e);
        }
    }

    private async Task AnswerErrorAsync(HttpContext context, Exception error)
    {
        Report(context, error);
        GuardedAnswer? answer = context.Features.Get<GuardedAnswer>();
        answer?.Discard();
        if (context.Response.HasStarted)
        {
            // The status is out; cutting the answer short is the only way left to say that it is not whole.
            context.Abort();
            return;
        }

        (int status, string message) = Errors.Describe(error);
        context.Response.StatusCode = status;
        if (status == StatusCodes.Status413PayloadTooLarge)
        {
            // The rest of the body is not read.
            context.Response.Headers.Connection = "close";
        }

        if (status != StatusCodes.Status304NotModified)
        {
            byte[] body = JsonSerializer.SerializeToUtf8Bytes(new ErrorResponse(message), EngineJson.Wire.ErrorResponse);
            context.Response.ContentType = JsonBody.ContentType;
            context.Response.ContentLength = body.Length + 1;
            await context.Response.Body.WriteAsync(body);
            await context.Response.Body.WriteAsync("\n"u8.ToArray());
        }

        if (answer is not null)
        {
            try
            {
                await answer.FinishAsync();
            }
            catch (EngineException denial)
            {
                // The plugins are asked about one answer only; what they say takes its place.
                await AnswerErrorAsync(context, denial);
            }
        }
    }

    private void Report(HttpContext context, Exception error)
    {
        if (Errors.IsInternal(error))
        {
            LogFailure(error, context.Request.Method, context.Request.Path);
        }
    }

    /// <summary>Kestrel decodes all but %2F, which some clients send in image names.</summary>
    internal static string DecodedPath(HttpRequest request) =>
        (request.Path.Value ?? "/").Replace("%2F", "/", StringComparison.OrdinalIgnoreCase);

    private static bool HasLeft(HttpContext context) =>
        context.RequestAborted.IsCancellationRequested || context.Features.Get<IRawConnection>() is { Closed.IsCancellationRequested: true };

    private static bool InputEnded(HttpContext context) => context.Features.Get<IRawConnection>() is { InputEnded.IsCancellationRequested: true };

    [LoggerMessage(1, LogLevel.Error, "{Method} {Path} failed")]
    private partial void LogFailure(Exception error, string method, PathString path);

    [LoggerMessage(2, LogLevel.Debug, "{Method} {Path}: the client left")]
    private partial void LogAbandoned(Exception error, string method, PathString path);
}
