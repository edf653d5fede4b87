using Slipway.Build.Checks;
using Slipway.Engine.Builds;
using Slipway.Engine.Builds.History;
using Slipway.Oci;

namespace Slipway.Tests.Engine.Server.BuildKit;

/// <summary>Builds as a test says.</summary>
internal sealed class FakeBuilds(Func<BuildRequest, IBuildProgress, CancellationToken, Task<BuildResult>> build) : IBuilds
{
    public static readonly Digest Image = Digest.Of("image"u8);

    public IBuildHistory History { get; } = new NoHistory();

    public List<BuildRequest> Requests { get; } = [];

    public List<BuildCacheRecord> Cache { get; } = [];

    public List<BuildCachePrune> Prunes { get; } = [];

    /// <summary>An image of this id.</summary>
    public static BuildResult Result { get; } = new()
    {
        ImageId = Image,
        Metadata = new Dictionary<string, string> { ["containerimage.digest"] = Image.ToString(), ["image.name"] = "docker.io/library/x:latest" },
    };

    public Task<BuildResult> BuildAsync(BuildRequest request, IBuildProgress progress, CancellationToken cancellationToken)
    {
        lock (Requests)
        {
            Requests.Add(request);
        }

        return build(request, progress, cancellationToken);
    }

    public async Task<CheckReport> CheckAsync(BuildRequest request, IBuildProgress progress, CancellationToken cancellationToken) =>
        DockerfileChecker.Check("Dockerfile", await DockerfileAsync(request, cancellationToken), new CheckRequest());

    public Task<IReadOnlyList<BuildCacheRecord>> CacheAsync(CancellationToken cancellationToken) => Task.FromResult<IReadOnlyList<BuildCacheRecord>>(Cache);

    public Task<BuildCachePruned> PruneAsync(BuildCachePrune prune, CancellationToken cancellationToken)
    {
        Prunes.Add(prune);
        return Task.FromResult(new BuildCachePruned(Cache, Cache.Sum(record => record.Size)));
    }

    /// <summary>The text of the Dockerfile, which is brought here first.</summary>
    public static async Task<string> DockerfileAsync(BuildRequest request, CancellationToken cancellationToken)
    {
        DockerfileFile file = (DockerfileFile)request.Dockerfile;
        await using IBuildDirectory directory = await ((SyncedContext)file.Context!).Directory.SyncAsync(new DirectoryRequest([file.Path], []), cancellationToken);
        return await File.ReadAllTextAsync(Path.Combine(directory.Path, file.Path), cancellationToken);
    }

    /// <summary>Brings files of the context here.</summary>
    public static Task<IBuildDirectory> ContextAsync(BuildRequest request, string[] include, string[] exclude, CancellationToken cancellationToken, Digest vertex = default) =>
        ((SyncedContext)request.Context!).Directory.SyncAsync(new DirectoryRequest(include, exclude) { Vertex = vertex }, cancellationToken);

    /// <summary>Tells of a step that is done, with a line of output.</summary>
    public static async Task StepAsync(IBuildProgress progress, string name, string? output = null)
    {
        BuildVertex vertex = new(Digest.Of(System.Text.Encoding.UTF8.GetBytes(name)), name, []) { Started = DateTimeOffset.UtcNow };
        await progress.VertexAsync(vertex);
        if (output is not null)
        {
            await progress.LogAsync(new BuildLog(vertex.Digest, 1, DateTimeOffset.UtcNow, System.Text.Encoding.UTF8.GetBytes(output)));
        }

        await progress.VertexAsync(vertex with { Completed = DateTimeOffset.UtcNow });
    }

    /// <summary>Remembers nothing.</summary>
    private sealed class NoHistory : IBuildHistory
    {
        public Task<IReadOnlyList<BuildRecord>> ListAsync(CancellationToken cancellationToken) => Task.FromResult<IReadOnlyList<BuildRecord>>([]);

        public Task<BuildRecord?> FindAsync(string reference, CancellationToken cancellationToken) => Task.FromResult<BuildRecord?>(null);

        public IAsyncEnumerable<BuildRecordChange> WatchAsync(CancellationToken cancellationToken) => AsyncEnumerable.Empty<BuildRecordChange>();

        public Task ReplayAsync(string reference, IBuildProgress progress, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task RefuseAsync(BuildRequest request, string error) => Task.CompletedTask;

        public Task PinAsync(string reference, bool isPinned, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task RemoveAsync(string reference, CancellationToken cancellationToken) => throw new NotSupportedException();
    }
}
