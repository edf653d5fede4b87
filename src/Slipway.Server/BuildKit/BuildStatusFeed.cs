using System.Threading.Channels;
using Slipway.BuildKit.Protocol;
using Slipway.Engine.Builds;

namespace Slipway.Server.BuildKit;

/// <summary>What a build tells, for those who watch it. Whoever comes later gets the state of the vertices, and the output from then on.</summary>
internal sealed class BuildStatusFeed : IBuildProgress
{
    /// <summary>Messages ahead of a watcher before the build waits for him.</summary>
    private const int Ahead = 1024;

    private readonly Lock _gate = new();
    private readonly Dictionary<string, Vertex> _vertices = new(StringComparer.Ordinal);
    private readonly List<Channel<StatusResponse>> _watchers = [];
    private readonly List<StatusResponse> _unseen = [];
    private bool _ended;

    /// <summary>Somebody has been told what it told at first.</summary>
    public bool WasWatched { get; private set; }

    public async ValueTask VertexAsync(BuildVertex vertex)
    {
        if (StatusMessages.Of(vertex) is not { } message)
        {
            return;
        }

        lock (_gate)
        {
            _vertices[message.Digest] = message;
        }

        await TellAsync(new StatusResponse { Vertexes = { message } });
    }

    public ValueTask LogAsync(BuildLog log) => TellAsync(StatusMessages.Of(log));

    public ValueTask StatusAsync(BuildStatus status) => TellAsync(StatusMessages.Of(status));

    public ValueTask WarningAsync(BuildWarning warning) => TellAsync(StatusMessages.Of(warning));

    /// <summary>Sends what the build tells until it has ended.</summary>
    public async Task WatchAsync(Func<StatusResponse, Task> send, CancellationToken cancellationToken)
    {
        Channel<StatusResponse> channel = Channel.CreateBounded<StatusResponse>(Ahead);
        List<StatusResponse> missed;
        lock (_gate)
        {
            missed = _watchers.Count == 0 && _unseen.Count > 0 ? [.. _unseen] : _vertices.Count > 0 ? [new StatusResponse { Vertexes = { _vertices.Values } }] : [];
            _unseen.Clear();
            _watchers.Add(channel);
            WasWatched = true;
            if (_ended)
            {
                channel.Writer.TryComplete();
            }
        }

        try
        {
            foreach (StatusResponse message in missed)
            {
                await send(message);
            }

            await foreach (StatusResponse message in channel.Reader.ReadAllAsync(cancellationToken))
            {
                await send(message);
            }
        }
        finally
        {
            lock (_gate)
            {
                _watchers.Remove(channel);
            }

            channel.Writer.TryComplete();
        }
    }

    /// <summary>The build has ended.</summary>
    public void End()
    {
        lock (_gate)
        {
            _ended = true;
            foreach (Channel<StatusResponse> watcher in _watchers)
            {
                watcher.Writer.TryComplete();
            }
        }
    }

    private async ValueTask TellAsync(StatusResponse message)
    {
        Channel<StatusResponse>[] watchers;
        lock (_gate)
        {
            watchers = [.. _watchers];
            if (watchers.Length == 0 && _unseen.Count < Ahead)
            {
                _unseen.Add(message);
            }
        }

        foreach (Channel<StatusResponse> watcher in watchers)
        {
            // One that has left no longer takes anything.
            while (!watcher.Writer.TryWrite(message) && await watcher.Writer.WaitToWriteAsync())
            {
            }
        }
    }
}
