using System.Globalization;
using Microsoft.Extensions.Logging;
using Slipway.Build.Checks;
using Slipway.BuildKit.Files;
using Slipway.BuildKit.Protocol;
using Slipway.BuildKit.Sessions;
using Slipway.Engine;
using Slipway.Engine.Builds;
using Slipway.Grpc;
using Slipway.Server.Authorization;
using Slipway.Server.Transport;

namespace Slipway.Server.BuildKit;

/// <summary>Builds, and tells of them: Solve and Status of <c>moby.buildkit.v1.Control</c>.</summary>
internal sealed partial class SolveService(IEngine engine, ClientSessions sessions, BuildJobs jobs, ContextStore contexts, TimeProvider time, ILogger log)
{
    private const string TimestampHeader = "buildkit-current-timestamp";
    private const string HostNetwork = "network.host";
    private const string Insecure = "security.insecure";

    /// <summary>How long an image that only other builds were to be made from is kept.</summary>
    private static readonly TimeSpan s_unnamed = TimeSpan.FromMinutes(10);

    private readonly SolveTranslation _translation = new(jobs, contexts, time);

    public void AddTo(GrpcService service, string prefix) => service
        .Unary(prefix + "Solve", SolveRequest.Parser, SolveAsync)
        .ServerStreaming(prefix + "Status", StatusRequest.Parser, StatusAsync);

    private async Task StatusAsync(StatusRequest request, GrpcCall call)
    {
        // Clients put the times that follow into their own.
        await call.StartAsync(new KeyValuePair<string, string>(TimestampHeader, time.GetUtcNow().ToString("yyyy-MM-ddTHH:mm:ss.fffffffZ", CultureInfo.InvariantCulture)));
        BuildJob? job = jobs.Find(request.Ref);
        if (job is { Status.WasWatched: true })
        {
            // Who builds is the first to watch, and needs nothing for it but the name that it gave the build.
            HistoryService.Require(call, Verbs.BuildHistory);
        }

        bool isOver = job is null or { Status.WasWatched: true } or { Built.IsCompleted: true };
        if (isOver && HistoryService.Allows(call, Verbs.BuildHistory) && await HistoryService.TryReplayAsync(engine.Builds?.History, request.Ref, call))
        {
            return;
        }

        await jobs.Named(request.Ref).Status.WatchAsync(call.WriteAsync, call.Cancelled);
    }

    private async Task<SolveResponse> SolveAsync(SolveRequest request, GrpcCall call)
    {
        Admit(request, call.Connection<ClientOrigin>());
        BuildJob job = jobs.Begin(request.Ref);
        BuildResult? result = null;
        job.Open((frontend, end) => CheckAsync(job, request, frontend, end));
        try
        {
            FrontendRequest? frontend = request.Frontend.Length > 0 ? Inline(request) : await job.Returned.WaitAsync(call.Cancelled);
            if (frontend is null)
            {
                return new SolveResponse();
            }

            result = await BuildAsync(job, request, frontend, call);
            SolveResponse response = new();
            foreach ((string key, string value) in result.Metadata)
            {
                response.ExporterResponse[key] = value;
            }

            return response;
        }
        catch (EngineException error)
        {
            throw SolveErrors.OfBuild(error);
        }
        finally
        {
            job.End(result);
            jobs.End(job);
        }
    }

    private async Task<BuildResult> BuildAsync(BuildJob job, SolveRequest request, FrontendRequest frontend, GrpcCall call)
    {
        IBuilds builds = engine.Builds ?? throw new GrpcException(GrpcStatusCode.Unimplemented, "this engine does not build");
        ClientSession? session = request.Session.Length == 0 ? null : await RecordedAsync(builds, job, frontend, () => sessions.FindAsync(request.Session, call.Cancelled));
        using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(call.Cancelled, session?.Ended ?? default);
        (BuildRequest build, NotedDirectory? dockerfile) = await RecordedAsync(builds, job, frontend, () => _translation.TranslateAsync(job, request, frontend, session, end.Token));
        bool isForOthers = job.IsForOthers && !build.Outputs.OfType<ImageOutput>().Any();
        try
        {
            BuildResult result = await builds.BuildAsync(isForOthers ? build with { Outputs = [.. build.Outputs, new ImageOutput([])] } : build, job.Status, end.Token);
            if (isForOthers && result.ImageId != default)
            {
                _ = ForgetAsync(result.ImageId.ToString());
            }

            return result;
        }
        catch (BuildException error)
        {
            throw SolveErrors.Translate(error, dockerfile?.File);
        }
        finally
        {
            if (build.Context is TarContext { Archive: var archive })
            {
                await archive.DisposeAsync();
            }
        }
    }

    /// <summary>What cannot be built as it is asked for is remembered too: its user looks for it there.</summary>
    private static async Task<T> RecordedAsync<T>(IBuilds builds, BuildJob job, FrontendRequest frontend, Func<Task<T>> prepare)
    {
        try
        {
            return await prepare();
        }
        catch (Exception error) when (error is GrpcException or EngineException)
        {
            FrontendOptions options = new(frontend.Options);
            await builds.History.RefuseAsync(new BuildRequest { Reference = job.Reference, Dockerfile = new DockerfileFile(options.Filename), Target = options.Target }, error.Message);
            throw;
        }
    }

    private async Task<CheckReport> CheckAsync(BuildJob job, SolveRequest request, FrontendRequest frontend, CancellationToken cancellationToken)
    {
        IBuilds builds = engine.Builds ?? throw new GrpcException(GrpcStatusCode.Unimplemented, "this engine does not build");
        ClientSession? session = request.Session.Length == 0 ? null : await sessions.FindAsync(request.Session, cancellationToken);
        TranslatedBuild build = await _translation.TranslateAsync(job, request, frontend, session, cancellationToken);
        try
        {
            return await builds.CheckAsync(build.Request, job.Status, cancellationToken);
        }
        catch (EngineException error)
        {
            throw SolveErrors.OfBuild(error);
        }
    }

    /// <summary>A client that does not steer the build itself says everything at once.</summary>
    private static FrontendRequest Inline(SolveRequest request)
    {
        FrontendRequest frontend = new() { Frontend = request.Frontend };
        frontend.Options.Add(request.FrontendAttributes);
        frontend.Inputs.Add(request.FrontendInputs);
        return frontend;
    }

    /// <summary>The one place where a build is allowed what it asks for (CVE-2024-23653).</summary>
    /// <exception cref="GrpcException">PermissionDenied.</exception>
    private static void Admit(SolveRequest request, ClientOrigin? origin)
    {
        if (request.Entitlements.FirstOrDefault(entitlement => entitlement is not (HostNetwork or Insecure)) is { } unknown)
        {
            throw new GrpcException(GrpcStatusCode.PermissionDenied, $"{unknown} is not allowed");
        }

        if (origin?.Policy is not { } policy)
        {
            return;
        }

        if (!policy.AllowsVerb("build.run"))
        {
            throw new GrpcException(GrpcStatusCode.PermissionDenied, $"refused by the policy of {origin.Listener}: the operation build.run is not allowed");
        }

        foreach (string entitlement in request.Entitlements)
        {
            string option = entitlement == HostNetwork ? "host-network" : "privileged";
            if (!policy.AllowsOption(option))
            {
                throw new GrpcException(GrpcStatusCode.PermissionDenied, $"refused by the policy of {origin.Listener}: the option {option} is not allowed");
            }
        }
    }

    /// <summary>Takes an image away that was made for other builds, unless somebody has given it a name.</summary>
    private async Task ForgetAsync(string imageId)
    {
        try
        {
            await Task.Delay(s_unnamed, time);
            if (engine.Images.Inspect(imageId).RepoTags is not { Count: > 0 })
            {
                await engine.Images.RemoveAsync(imageId, force: false, prune: true, CancellationToken.None);
            }
        }
        catch (EngineException kept)
        {
            // Something uses it, or it is gone already.
            LogKept(kept.Message);
        }
    }

    [LoggerMessage(10, LogLevel.Debug, "an image of a linked build stays: {Reason}")]
    private partial void LogKept(string reason);
}
