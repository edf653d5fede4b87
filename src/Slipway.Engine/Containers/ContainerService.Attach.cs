using System.Runtime.CompilerServices;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.State;
using Slipway.Engine.Containers.Streams;
using Slipway.Runtime.Supervision;

namespace Slipway.Engine.Containers;

internal sealed partial class ContainerService
{
    public async Task<StreamSession> AttachAsync(string reference, AttachOptions options, CancellationToken cancellationToken)
    {
        Container container = _index.Resolve(reference);
        using AsyncLock.Holder holder = await container.LockAsync(cancellationToken);
        ContainerSnapshot snapshot = container.Snapshot;
        switch (snapshot.State.Phase)
        {
            case ContainerPhase.Paused:
                throw ContainerErrors.IsPaused(container.Id, "attach");
            case ContainerPhase.Restarting:
                throw ContainerErrors.IsRestarting(container.Id);
            case ContainerPhase.Removing or ContainerPhase.Dead:
                throw new EngineException(ErrorKind.Conflict, $"container {container.Id} is marked for removal");
        }

        bool terminal = snapshot.Config.Tty;
        StreamEnds ends = StreamEnds.Create(options is { Stdin: true, Stream: true } && snapshot.Config.OpenStdin, options.Stdout, options.Stderr);
        Action? disposed = null;
        try
        {
            if (!options.Stream)
            {
                ends.Far.Socket.Dispose();
            }
            else if (!snapshot.State.IsLive)
            {
                container.Streams.Add(ends.Far);
                disposed = () => container.Streams.Drop(ends.Far);
            }
            else if (!await Supervisor.AttachAsync(container.Id, ends.Far, cancellationToken))
            {
                // It ended a moment ago: its output has ended too.
                ends.Far.Socket.Dispose();
            }
        }
        catch
        {
            ends.Close();
            throw;
        }

        IAsyncEnumerable<ReadOnlyMemory<byte>>? past = options.Logs && Logging(snapshot).IsReadable
            ? Frames(PastLines(container, options, Now, cancellationToken), terminal, cancellationToken)
            : null;
        _events.Publish(snapshot, "attach");
        return ends.Session(terminal, past, ended: null, disposed);
    }

    public async Task ResizeAsync(string reference, ushort rows, ushort columns, CancellationToken cancellationToken)
    {
        Container container = _index.Resolve(reference);
        ContainerSnapshot snapshot = container.Snapshot;
        if (!snapshot.State.IsLive || (snapshot.Config.Tty && !await Supervisor.ResizeAsync(container.Id, new TerminalSize(rows, columns), cancellationToken)))
        {
            throw ContainerErrors.NotRunning(container.Id);
        }

        _events.Publish(snapshot, "resize", ("height", $"{rows}"), ("width", $"{columns}"));
    }

    /// <summary>Log lines as the stream carries them: framed, but for a terminal (API, "Stream format").</summary>
    private static async IAsyncEnumerable<ReadOnlyMemory<byte>> Frames(
        IAsyncEnumerable<LogLine> lines, bool terminal, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (LogLine line in lines.WithCancellation(cancellationToken))
        {
            yield return terminal ? line.Text : StreamFrame.Encode(line.Stderr, line.Text.Span);
        }
    }
}
