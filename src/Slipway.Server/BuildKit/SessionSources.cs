using Slipway.BuildKit.Files;
using Slipway.BuildKit.Sessions;
using Slipway.Engine.Builds;
using Slipway.Registry.Distribution;

namespace Slipway.Server.BuildKit;

/// <summary>What a client's session has for a build.</summary>
internal sealed class SessionSources(ClientSession session) : ISecretSource, ISshAgentSource, IBuildCredentials
{
    public Task<ReadOnlyMemory<byte>?> GetAsync(string id, CancellationToken cancellationToken) => session.SecretAsync(id, cancellationToken);

    public Task<bool> HasAsync(string id, CancellationToken cancellationToken) => session.HasAgentAsync(id, cancellationToken);

    public async Task<Stream> ConnectAsync(string id, CancellationToken cancellationToken) => await session.ConnectAgentAsync(id, cancellationToken);

    public async Task<RegistryCredentials?> ForAsync(string host, CancellationToken cancellationToken)
    {
        // The name under which clients keep what they know of Docker Hub.
        string known = host is "docker.io" or "index.docker.io" ? "registry-1.docker.io" : host;
        return await session.CredentialsAsync(known, cancellationToken) switch
        {
            null => null,
            { User.Length: 0 } token => new RegistryCredentials { IdentityToken = token.Secret, ServerAddress = host },
            var user => new RegistryCredentials { Username = user.User, Password = user.Secret, ServerAddress = host },
        };
    }
}

/// <summary>A directory of a client, for a build.</summary>
/// <param name="name">By which the client knows it.</param>
/// <param name="status">Told of what comes.</param>
internal sealed class SessionDirectory(ClientSession session, ContextStore store, string name, BuildStatusFeed status, TimeProvider time) : IClientDirectory
{
    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(150);

    private readonly ClientDirectory _directory = new(session, store, name);

    public async Task<IBuildDirectory> SyncAsync(DirectoryRequest request, CancellationToken cancellationToken)
    {
        DateTimeOffset started = time.GetUtcNow();
        long received = 0;
        using CancellationTokenSource done = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task telling = TellAsync(completed: null, done.Token);
        ContextTree tree;
        try
        {
            tree = await _directory.SyncAsync(request.Include, request.Exclude, bytes => Interlocked.Add(ref received, bytes), cancellationToken);
        }
        finally
        {
            await done.CancelAsync();
            await telling;
        }

        await SendAsync(time.GetUtcNow());
        return new Synced(_directory, tree);

        async Task TellAsync(DateTimeOffset? completed, CancellationToken end)
        {
            using PeriodicTimer timer = new(s_interval, time);
            while (!end.IsCancellationRequested)
            {
                await SendAsync(completed);
                await ((Task)timer.WaitForNextTickAsync(end).AsTask()).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        async Task SendAsync(DateTimeOffset? completed)
        {
            if (!request.Vertex.IsNone)
            {
                await status.StatusAsync(new BuildStatus(request.Vertex, $"transferring {name}:", Interlocked.Read(ref received), 0)
                {
                    Action = "transferring",
                    Time = time.GetUtcNow(),
                    Started = started,
                    Completed = completed,
                });
            }
        }
    }

    private sealed class Synced(ClientDirectory directory, ContextTree tree) : IBuildDirectory
    {
        private ContextTree? _tree = tree;

        public string Path { get; } = tree.FilesPath;

        public async ValueTask DisposeAsync()
        {
            if (Interlocked.Exchange(ref _tree, null) is { } held)
            {
                await directory.ReturnAsync(held);
            }
        }
    }
}
