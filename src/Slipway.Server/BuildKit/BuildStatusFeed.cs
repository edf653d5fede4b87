using System.Threading.Channels;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
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

    public async ValueTask VertexAsync(BuildVertex vertex)
    {
        if (vertex.Step is { IsConfiguration: true })
        {
            // Clients are shown what takes time.
            return;
        }

        Vertex message = ToWire(vertex);
        lock (_gate)
        {
            _vertices[message.Digest] = message;
        }

        await TellAsync(new StatusResponse { Vertexes = { message } });
    }

    public ValueTask LogAsync(BuildLog log) => TellAsync(new StatusResponse
    {
        Logs = { new VertexLog { Vertex = log.Vertex.ToString(), Stream = log.Stream, Timestamp = ToWire(log.Time), Message = ByteString.CopyFrom(log.Data.Span) } },
    });

    public ValueTask StatusAsync(BuildStatus status) => TellAsync(new StatusResponse { Statuses = { ToWire(status) } });

    public ValueTask WarningAsync(BuildWarning warning) => TellAsync(new StatusResponse
    {
        Warnings =
        {
            new VertexWarning
            {
                Vertex = warning.Vertex.ToString(), Level = 1, Short = ByteString.CopyFromUtf8(warning.Text), Url = warning.Url, File = new SourceFile { Name = warning.File },
                Detail = { warning.Detail.Length > 0 ? [ByteString.CopyFromUtf8(warning.Detail)] : [] },
                Ranges = { new SourceRange { Start = new SourcePoint { Line = warning.Line }, End = new SourcePoint { Line = warning.Line } } },
            },
        },
    });

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

    private static Vertex ToWire(BuildVertex vertex)
    {
        Vertex message = new() { Digest = vertex.Digest.ToString(), Name = vertex.Name, Cached = vertex.Cached, Error = vertex.Error };
        message.Inputs.AddRange(vertex.Inputs.Select(input => input.ToString()));
        message.Started = vertex.Started is { } started ? ToWire(started) : null;
        message.Completed = vertex.Completed is { } completed ? ToWire(completed) : null;
        return message;
    }

    private static VertexStatus ToWire(BuildStatus status) => new()
    {
        Id = status.Id,
        Vertex = status.Vertex.ToString(),
        Name = status.Action,
        Current = status.Current,
        Total = status.Total,
        Timestamp = ToWire(status.Time),
        Started = status.Started is { } started ? ToWire(started) : null,
        Completed = status.Completed is { } completed ? ToWire(completed) : null,
    };

    private static Timestamp ToWire(DateTimeOffset time) => Timestamp.FromDateTimeOffset(time);
}
