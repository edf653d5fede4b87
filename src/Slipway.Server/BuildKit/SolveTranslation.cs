using Slipway.BuildKit.Files;
using Slipway.BuildKit.Protocol;
using Slipway.BuildKit.Sessions;
using Slipway.Engine;
using Slipway.Engine.Builds;
using Slipway.Grpc;
using Slipway.Oci;

namespace Slipway.Server.BuildKit;

/// <summary>What a build's request became, and what is to be known of it afterwards.</summary>
/// <param name="Dockerfile">Knows the text of a client's Dockerfile once it has come; null where it comes from elsewhere.</param>
internal sealed record TranslatedBuild(BuildRequest Request, NotedDirectory? Dockerfile);

/// <summary>Makes a build of the engine's out of what BuildKit's clients ask for.</summary>
internal sealed class SolveTranslation(BuildJobs jobs, ContextStore contexts, TimeProvider time)
{
    private const string UploadPrefix = "http://buildkit-session/";
    private const string ImagePrefix = "docker-image://";
    private const string LayoutPrefix = "oci-layout://";
    private const string LocalPrefix = "local:";
    private const string InputPrefix = "input:";

    /// <param name="session">Null where the client offers none.</param>
    /// <exception cref="EngineException">InvalidParameter.</exception>
    /// <exception cref="GrpcException">NotFound, Unimplemented.</exception>
    public async Task<TranslatedBuild> TranslateAsync(BuildJob job, SolveRequest solve, FrontendRequest frontend, ClientSession? session, CancellationToken cancellationToken)
    {
        FrontendOptions.RequireDockerfile(frontend);
        FrontendOptions options = new(frontend.Options);
        if (solve.SourcePolicy is { Rules.Count: > 0 } || frontend.SourcePolicies.Any(policy => policy.Rules.Count > 0))
        {
            throw new GrpcException(GrpcStatusCode.Unimplemented, "source policies are not supported");
        }

        Dictionary<string, BuildContext> named = [];
        foreach ((string name, string address) in options.NamedContexts)
        {
            named.Add(name, await NamedAsync(job, frontend, session, address, cancellationToken));
        }

        BuildContext context = options.Context is { } remote ? await RemoteAsync(session, remote, cancellationToken) : new SyncedContext(Directory(job, session, options.ContextKey));
        NotedDirectory? dockerfile = options.Context is not null && options.DockerfileKey is null
            ? null
            : new NotedDirectory(Directory(job, session, options.DockerfileKey ?? "dockerfile"), options.Filename);
        SessionSources? sources = session is null ? null : new SessionSources(session);
        BuildRequest request = new()
        {
            Reference = job.Reference,
            Dockerfile = new DockerfileFile(options.Filename, dockerfile is null ? null : new SyncedContext(dockerfile)),
            Context = context,
            NamedContexts = named,
            Target = options.Target,
            Arguments = options.Arguments,
            Labels = options.Labels,
            Platforms = options.Platforms,
            NoCache = options.NoCache,
            NoCacheStages = options.NoCacheStages,
            Pull = options.Pull,
            NetworkMode = options.NetworkMode,
            ExtraHosts = options.ExtraHosts,
            Limits = options.Limits,
            Entitlements = [.. solve.Entitlements],
            Secrets = sources,
            SshAgents = sources,
            Credentials = sources,
            Debugger = session is not null && session.Offers(SessionMethods.Debug) ? new SessionDebugger(session, options.Breakpoints) : null,
            SourceDate = options.SourceDate,
            Stores = session is null ? null : new SessionStores(session),
            CacheImports = Imports(solve, frontend, options),
            CacheExports = Exports(solve, options),
            Squash = options.Squash,
            Attestations = options.Attestations,
            Outputs = SolveOutputs.Translate(solve, session),
        };
        return new TranslatedBuild(request, dockerfile);
    }

    private SessionDirectory Directory(BuildJob job, ClientSession? session, string name) => session is not null
        ? new SessionDirectory(session, contexts, name, job.Status, time)
        : throw new GrpcException(GrpcStatusCode.FailedPrecondition, "no local sources enabled: the build names no session");

    private static async Task<BuildContext> RemoteAsync(ClientSession? session, string address, CancellationToken cancellationToken)
    {
        if (!address.StartsWith(UploadPrefix, StringComparison.Ordinal))
        {
            return new RemoteContext(address);
        }

        return session is not null
            ? new TarContext(await session.PullAsync(address[UploadPrefix.Length..], cancellationToken))
            : throw new GrpcException(GrpcStatusCode.FailedPrecondition, "a context from a session was named without one");
    }

    private async Task<BuildContext> NamedAsync(BuildJob job, FrontendRequest frontend, ClientSession? session, string address, CancellationToken cancellationToken)
    {
        if (address.StartsWith(ImagePrefix, StringComparison.Ordinal))
        {
            return new ImageContext(address[ImagePrefix.Length..]);
        }

        if (address.StartsWith(LocalPrefix, StringComparison.Ordinal))
        {
            return new SyncedContext(Directory(job, session, address[LocalPrefix.Length..]));
        }

        if (address.StartsWith(InputPrefix, StringComparison.Ordinal))
        {
            return await InputAsync(frontend, address[InputPrefix.Length..], cancellationToken);
        }

        if (address.StartsWith(LayoutPrefix, StringComparison.Ordinal))
        {
            // The client has found the digest of the tag that its user named.
            string[] parts = address[LayoutPrefix.Length..].Split('@');
            return parts.Length == 2 && Digest.TryParse(parts[1], out Digest digest)
                ? new LayoutContext(parts[0].Split(':')[0], digest) : throw new EngineException(ErrorKind.InvalidParameter, $"invalid OCI layout \"{address}\"");
        }

        return await RemoteAsync(session, address, cancellationToken);
    }

    /// <summary>The result of another build (a target of bake that names another): its image, once it is there.</summary>
    private async Task<BuildContext> InputAsync(FrontendRequest frontend, string key, CancellationToken cancellationToken)
    {
        if (!frontend.Inputs.TryGetValue(key, out Graph? graph))
        {
            throw new GrpcException(GrpcStatusCode.NotFound, $"no input {key}");
        }

        string result = GatewayService.ResultOf(graph) ?? throw new GrpcException(GrpcStatusCode.Unimplemented, $"input {key} is no result of a build");
        BuildResult? built = await jobs.Named(result[..Math.Max(result.LastIndexOf('-'), 0)]).Built.WaitAsync(cancellationToken);
        return built is { ImageId: var image } && image != default
            ? new ImageContext(image.ToString())
            : throw new GrpcException(GrpcStatusCode.FailedPrecondition, $"the build that input {key} names made no image");
    }

    private static List<CacheLocation> Imports(SolveRequest solve, FrontendRequest frontend, FrontendOptions options) =>
    [
        .. (solve.Cache?.Imports ?? []).Concat(frontend.CacheImports).Select(ToLocation),
        .. (solve.Cache?.ImportRefs ?? []).Concat(options.CacheFrom).Select(reference => new CacheLocation("registry", new Dictionary<string, string> { ["ref"] = reference })),
    ];

    private static List<CacheLocation> Exports(SolveRequest solve, FrontendOptions options)
    {
        List<CacheLocation> exports = [.. (solve.Cache?.Exports ?? []).Select(ToLocation)];
        if (options.HasInlineCache && exports.All(export => export.Type != "inline"))
        {
            exports.Add(new CacheLocation("inline", new Dictionary<string, string>()));
        }

        return exports;
    }

    private static CacheLocation ToLocation(CacheOption option) => new(option.Type, new Dictionary<string, string>(option.Attributes));
}
