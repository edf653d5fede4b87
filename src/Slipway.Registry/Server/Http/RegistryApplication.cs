using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;
using Slipway.Http;
using Slipway.Registry.Server.Telemetry;

namespace Slipway.Registry.Server.Http;

/// <summary>The registry as Kestrel sees it: routes a request, answers errors, counts and logs.</summary>
internal sealed partial class RegistryApplication(RegistryRouter router, RequestMetrics metrics, AccessLog log, TimeProvider time, ILoggerFactory logging)
    : IHttpApplication<DefaultHttpContext>
{
    private readonly ILogger _log = logging.CreateLogger("Slipway.Registry");

    public DefaultHttpContext CreateContext(IFeatureCollection contextFeatures) => HostContexts.Rent(contextFeatures);

    public void DisposeContext(DefaultHttpContext context, Exception? exception) => context.Uninitialize();

    public async Task ProcessRequestAsync(DefaultHttpContext context)
    {
        long begin = time.GetTimestamp();
        RequestOutcome outcome = new();
        metrics.Begin();
        try
        {
            await router.HandleAsync(context, outcome);
        }
        catch (Exception e) when (context.RequestAborted.IsCancellationRequested || e is ConnectionResetException or ConnectionAbortedException)
        {
            // A client that left is no error, and neither is what follows from it.
            outcome.Abandoned = true;
            context.Abort();
        }
        catch (Exception e)
        {
            await AnswerErrorAsync(context, e);
        }

        TimeSpan elapsed = time.GetElapsedTime(begin);
        metrics.End(outcome, context, elapsed);
        log.Write(outcome, context, elapsed);
    }

    private async Task AnswerErrorAsync(HttpContext context, Exception error)
    {
        RegistryError answer;
        switch (error)
        {
            case RegistryError known:
                answer = known;
                break;
            case BadHttpRequestException bad:
                answer = new RegistryError(bad.StatusCode, "UNSUPPORTED", bad.Message) { ClosesConnection = true };
                break;
            case IOException { HResult: Kernel.Errno.ENOSPC } or Kernel.KernelException { Errno: Kernel.Errno.ENOSPC or Kernel.Errno.EDQUOT }:
                LogFailure(error, context.Request.Method, context.Request.Path);
                answer = RegistryError.NoSpace();
                break;
            default:
                LogFailure(error, context.Request.Method, context.Request.Path);
                answer = new RegistryError(StatusCodes.Status500InternalServerError, "UNKNOWN", "the registry failed; its log says why");
                break;
        }

        HttpResponse response = context.Response;
        if (response.HasStarted)
        {
            // The status is out; cutting the answer short is the only way left to say that it is not whole.
            context.Abort();
            return;
        }

        response.StatusCode = answer.Status;
        response.Headers.ETag = default;
        response.Headers.CacheControl = default;
        if (answer.ClosesConnection || (answer.Status >= StatusCodes.Status500InternalServerError && context.Request.Body is not null && !HttpMethods.IsGet(context.Request.Method)))
        {
            // The rest of the body is not read.
            response.Headers.Connection = "close";
        }

        await JsonAnswer.WriteAsync(
            response, new ErrorList([new ErrorItem(answer.Code, answer.Message)]), RegistryJson.Default.ErrorList, CancellationToken.None);
    }

    [LoggerMessage(1, LogLevel.Error, "{Method} {Path} failed")]
    private partial void LogFailure(Exception error, string method, PathString path);
}

/// <summary>What became of a request, for metrics and the access log.</summary>
internal sealed class RequestOutcome
{
    public RegistryResource Resource { get; set; }

    /// <summary>Who asked; null for nobody known.</summary>
    public string? User { get; set; }

    public bool Abandoned { get; set; }
}
