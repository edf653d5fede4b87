using Slipway.Build.Checks;
using Slipway.BuildKit.Protocol;
using Slipway.Engine.Builds;
using Slipway.Grpc;

namespace Slipway.Server.BuildKit;

/// <summary>A build under the name that its client gave it. The client may watch it, and steer it, before it asks for it.</summary>
internal sealed class BuildJob(string reference)
{
    /// <summary>Requests of one client's gateway; each target of a bake is a job of its own.</summary>
    private const int MaxResults = 64;

    private readonly Dictionary<string, FrontendRequest> _results = new(StringComparer.Ordinal);
    private readonly TaskCompletionSource<FrontendRequest?> _returned = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<BuildResult?> _built = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private readonly TaskCompletionSource<Func<FrontendRequest, CancellationToken, Task<CheckReport>>> _checks = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public string Reference { get; } = reference;

    public BuildStatusFeed Status { get; } = new();

    /// <summary>Other builds are made from what comes of it, so it has to make an image.</summary>
    public bool IsForOthers { get; set; }

    /// <summary>What the client's gateway made of it: a request to build, or null for nothing.</summary>
    public Task<FrontendRequest?> Returned => _returned.Task;

    /// <summary>What came of it; null where it failed or made nothing.</summary>
    public Task<BuildResult?> Built => _built.Task;

    /// <summary>Keeps a request of the gateway.</summary>
    /// <returns>The name of its result.</returns>
    public string Keep(FrontendRequest request)
    {
        lock (_results)
        {
            if (_results.Count >= MaxResults)
            {
                throw new GrpcException(GrpcStatusCode.ResourceExhausted, $"a build of more than {MaxResults} requests is not taken");
            }

            string id = $"{Reference}-{_results.Count}";
            _results.Add(id, request);
            return id;
        }
    }

    /// <summary>The client has named its session: what the gateway wants to know of its files can be read.</summary>
    public void Open(Func<FrontendRequest, CancellationToken, Task<CheckReport>> check) => _checks.TrySetResult(check);

    /// <summary>Checks the Dockerfile that a request names.</summary>
    public async Task<CheckReport> CheckAsync(FrontendRequest request, CancellationToken cancellationToken) =>
        await (await _checks.Task.WaitAsync(cancellationToken))(request, cancellationToken);

    public FrontendRequest? Find(string id)
    {
        lock (_results)
        {
            return _results.GetValueOrDefault(id);
        }
    }

    /// <summary>The gateway has decided.</summary>
    /// <exception cref="GrpcException">NotFound: it names a result that there is not.</exception>
    public void Return(ReturnRequest request)
    {
        if (request.Error is { Code: not 0 } error)
        {
            _returned.TrySetException(new GrpcException(
                error.Code is > 0 and <= (int)GrpcStatusCode.Unauthenticated ? (GrpcStatusCode)error.Code : GrpcStatusCode.Unknown, error.Message, [.. error.Details]));
            return;
        }

        FrontendResult result = request.Result ?? new FrontendResult();
        List<string> ids = result.ResultCase switch
        {
            FrontendResult.ResultOneofCase.PlainRef => [result.PlainRef],
            FrontendResult.ResultOneofCase.PlainRefs => [.. result.PlainRefs.Refs.Values],
            FrontendResult.ResultOneofCase.Ref => [result.Ref.Id],
            FrontendResult.ResultOneofCase.Refs => [.. result.Refs.Refs.Values.Select(reference => reference.Id)],
            _ => [],
        };
        ids.RemoveAll(id => id.Length == 0);
        if (ids.Count > 1)
        {
            throw new GrpcException(GrpcStatusCode.Unimplemented, "a result of several platforms is not supported");
        }

        _returned.TrySetResult(ids.Count == 0
            ? null
            : Find(ids[0]) ?? throw new GrpcException(GrpcStatusCode.NotFound, $"no result {ids[0]}"));
    }

    public void End(BuildResult? result)
    {
        _built.TrySetResult(result);
        _checks.TrySetCanceled();
        Status.End();
    }
}
