using Google.Protobuf;
using Slipway.BuildKit.Protocol;
using Slipway.Engine.Daemon;
using Slipway.Grpc;
using Slipway.Oci;

namespace Slipway.Server.BuildKit;

/// <summary>
/// <c>moby.buildkit.v1.frontend.LLBBridge</c>, by which buildx steers a build: it asks for a Dockerfile to be built, and returns the result as that of its
/// build. Nothing is built before it is returned: the options of the output are those of the build, not of the request.
/// </summary>
internal sealed class GatewayService(IDaemon daemon, BuildJobs jobs)
{
    /// <summary>The result of another build, as a source that clients pass on without a look at it.</summary>
    public const string ResultScheme = "slipway-result://";

    private const string Prefix = "/moby.buildkit.v1.frontend.LLBBridge/";
    private const string BuildHeader = "buildkit-controlapi-buildid";

    private static readonly string[] s_frontendAbilities =
        ["frontend.caps", "frontend.inputs", "gateway.evaluate", "importcaches", "proto.refarray", "reference.output", "return", "returnmap", "solve.base", "solve.inlinereturn"];

    private static readonly string[] s_graphAbilities =
    [
        "constraints", "exec.cgroup", "exec.meta.base", "exec.meta.cgroup.parent", "exec.meta.network", "exec.meta.security", "exec.meta.ulimit", "exec.mount.bind",
        "exec.mount.cache", "exec.mount.cache.sharing", "exec.mount.secret", "exec.mount.ssh", "exec.mount.tmpfs", "exporter.image.attestations", "exporter.multiple", "exporter.sourcedateepoch",
        "file.base", "meta.description", "platform", "source.git", "source.http", "source.image", "source.image.resolvemode", "source.local",
        "source.local.excludepatterns", "source.local.followpaths", "source.local.includepatterns", "source.local.sessionid", "source.local.sharedkeyhint",
    ];

    public void AddTo(GrpcService service) => service
        .Unary(Prefix + "Ping", Nothing.Parser, (_, _) => Task.FromResult(Ping()))
        .Unary(Prefix + "Solve", FrontendRequest.Parser, (request, call) => SolveAsync(Job(call), request, call.Cancelled))
        .Unary(Prefix + "Return", ReturnRequest.Parser, (request, call) => Task.FromResult(Return(Job(call), request)))
        .Unary(Prefix + "Evaluate", EvaluateRequest.Parser, (request, call) => Task.FromResult(Evaluate(Job(call), request)))
        .Unary(Prefix + "Inputs", Nothing.Parser, (_, _) => Task.FromResult(new InputsResponse()));

    private BuildJob Job(GrpcCall call) => jobs.Named(call.Metadata(BuildHeader));

    private PingResponse Ping()
    {
        PingResponse response = new() { Workers = { Workers.Of(daemon) } };
        response.FrontendAbilities.AddRange(s_frontendAbilities.Select(id => new Ability { Id = id, IsEnabled = true }));
        response.GraphAbilities.AddRange(s_graphAbilities.Select(id => new Ability { Id = id, IsEnabled = true }));
        return response;
    }

    private static async Task<FrontendResponse> SolveAsync(BuildJob job, FrontendRequest request, CancellationToken cancellationToken)
    {
        FrontendOptions.RequireDockerfile(request);
        if (new FrontendOptions(request.Options).Subrequest is { } subrequest)
        {
            return new FrontendResponse { Result = await Subrequests.AnswerAsync(subrequest, job, request, cancellationToken) };
        }

        string id = job.Keep(request);
        return new FrontendResponse { Result = new FrontendResult { Ref = new ResultRef { Id = id, Definition = GraphOf(id) } } };
    }

    private static Nothing Return(BuildJob job, ReturnRequest request)
    {
        job.Return(request);
        return new Nothing();
    }

    /// <summary>Other builds are to be made from a result: buildx says so once they have asked for it.</summary>
    private static Nothing Evaluate(BuildJob job, EvaluateRequest request)
    {
        if (job.Find(request.Ref) is null)
        {
            throw new GrpcException(GrpcStatusCode.NotFound, $"no result {request.Ref}");
        }

        job.IsForOthers = true;
        return new Nothing();
    }

    /// <summary>A graph of one source and the end that names it, as clients want them.</summary>
    private static Graph GraphOf(string id)
    {
        ByteString source = new GraphNode { Source = new NodeSource { Identifier = ResultScheme + id } }.ToByteString();
        GraphNode end = new() { Inputs = { new NodeInput { Digest = Digest.Of(source.Span).ToString() } } };
        Graph graph = new() { Nodes = { source, end.ToByteString() } };
        foreach (ByteString node in graph.Nodes)
        {
            // Clients take no graph of which nothing is said.
            graph.Info[Digest.Of(node.Span).ToString()] = new NodeInfo { Description = { ["llb.customname"] = "result of another build" } };
        }

        return graph;
    }

    /// <summary>The result that a graph made by <see cref="GraphOf"/> names; null for any other.</summary>
    public static string? ResultOf(Graph graph)
    {
        try
        {
            return graph.Nodes.Select(node => GraphNode.Parser.ParseFrom(node).Source?.Identifier).FirstOrDefault(identifier => identifier?.StartsWith(ResultScheme, StringComparison.Ordinal) == true)
                ?[ResultScheme.Length..];
        }
        catch (InvalidProtocolBufferException)
        {
            return null;
        }
    }
}
