using Slipway.Api.Containers;
using Slipway.Api.Disk;

namespace Slipway.Engine.Containers;

/// <summary>
/// Containers. A reference is a full id, a unique prefix of one, or a name (with or without a leading slash). Errors are
/// <see cref="EngineException"/>. <see cref="List"/> and <see cref="Inspect"/> read immutable snapshots and never wait for a container's lock.
/// </summary>
public interface IContainers
{
    Task<ContainerCreateResponse> CreateAsync(ContainerCreate create, CancellationToken cancellationToken);

    IReadOnlyList<ContainerSummary> List(ContainerListOptions options);

    ContainerInspect Inspect(string reference, bool size);

    Task StartAsync(string reference, CancellationToken cancellationToken) => StartAsync(reference, checkpoint: null, cancellationToken);

    /// <param name="checkpoint">What it goes on from; null: from the beginning.</param>
    Task StartAsync(string reference, CheckpointName? checkpoint, CancellationToken cancellationToken);

    /// <param name="timeoutSeconds">Null: the container's own; negative: no limit.</param>
    /// <param name="signal">Null: the container's own.</param>
    Task StopAsync(string reference, int? timeoutSeconds, string? signal, CancellationToken cancellationToken);

    Task RestartAsync(string reference, int? timeoutSeconds, string? signal, CancellationToken cancellationToken);

    /// <param name="signal">A name with or without SIG, a number, or null for KILL.</param>
    Task KillAsync(string reference, string? signal, CancellationToken cancellationToken);

    Task PauseAsync(string reference, CancellationToken cancellationToken);

    Task UnpauseAsync(string reference, CancellationToken cancellationToken);

    Task RemoveAsync(string reference, ContainerRemoveOptions options, CancellationToken cancellationToken);

    Task RenameAsync(string reference, string newName, CancellationToken cancellationToken);

    Task ResizeAsync(string reference, ushort rows, ushort columns, CancellationToken cancellationToken);

    Task<ContainerTop> TopAsync(string reference, string psArguments, CancellationToken cancellationToken);

    /// <summary>
    /// Connects to the container's streams; it need not run yet (the CLI attaches, then starts). The session ends when the
    /// container's output ends, or at once where nothing but past logs was asked for.
    /// </summary>
    Task<StreamSession> AttachAsync(string reference, AttachOptions options, CancellationToken cancellationToken);

    /// <summary>Registers the wait before it returns: a container that ends right after is not missed.</summary>
    ContainerWait Wait(string reference, WaitCondition condition, CancellationToken cancellationToken);

    /// <summary>Resolves the container before the first sample. A stream has one each second and ends when the container is removed.</summary>
    IAsyncEnumerable<ContainerStats> Stats(string reference, StatsOptions options, CancellationToken cancellationToken);

    /// <summary>Changes limits and restart policy; those of a running container at once. A change that fails leaves everything as it was.</summary>
    Task<ContainerUpdateResponse> UpdateAsync(string reference, ContainerUpdateRequest change, CancellationToken cancellationToken);

    Task<LogSession> LogsAsync(string reference, LogsOptions options, CancellationToken cancellationToken);

    /// <summary>What the container changed of its image, in Docker's order.</summary>
    Task<IReadOnlyList<FilesystemChange>> ChangesAsync(string reference, CancellationToken cancellationToken);

    /// <summary>Resolves the container before the first byte is written.</summary>
    /// <returns>Writes the root file system as a tar to the stream it is given.</returns>
    Func<Stream, CancellationToken, Task> Export(string reference);

    /// <summary>Makes an image of the container's own layer.</summary>
    /// <returns>The image's id.</returns>
    Task<string> CommitAsync(ContainerCommit commit, CancellationToken cancellationToken);

    /// <summary>What a path in the container is, its last component not followed.</summary>
    Task<ContainerPathStat> StatPathAsync(string reference, string path, CancellationToken cancellationToken);

    /// <summary>Finds a file or directory of the container; what is returned writes it as a tar (<c>docker cp</c>).</summary>
    Task<ContainerArchive> CopyFromAsync(string reference, string path, CancellationToken cancellationToken);

    /// <summary>Unpacks a tar, plain or compressed, into a directory of the container.</summary>
    Task CopyToAsync(string reference, ContainerExtraction extraction, Stream tar, CancellationToken cancellationToken);

    /// <summary>Writes down the processes of a container that runs, so that a start can go on from there.</summary>
    /// <param name="leaveRunning">Else it has ended when this returns.</param>
    Task CheckpointAsync(string reference, CheckpointName checkpoint, bool leaveRunning, CancellationToken cancellationToken);

    /// <summary>The names of its checkpoints.</summary>
    /// <param name="directory">Where they are looked for; null: where they are unless that is said.</param>
    IReadOnlyList<string> ListCheckpoints(string reference, string? directory);

    Task RemoveCheckpointAsync(string reference, CheckpointName checkpoint, CancellationToken cancellationToken);

    /// <summary>Removes the containers that do not run (<c>docker container prune</c>).</summary>
    Task<ContainersPruneReport> PruneAsync(Filters filters, CancellationToken cancellationToken);

    /// <summary>The plan that starts the container, as text (<c>slipway explain</c>).</summary>
    Task<string> ExplainAsync(string reference, CancellationToken cancellationToken);
}

/// <param name="Directory">Of the host, in which the container's checkpoints are; null: beside what else belongs to the container.</param>
public sealed record CheckpointName(string Name, string? Directory);

public sealed record ContainerCreate(string? Name, string? Platform, ContainerCreateRequest Request);

/// <param name="Limit">Only the newest this many, in any state; 0 is all.</param>
public sealed record ContainerListOptions(bool All = false, int Limit = 0, bool Size = false)
{
    public Filters Filters { get; init; } = Filters.None;
}

public sealed record ContainerRemoveOptions(bool Force = false, bool Volumes = false, bool Link = false);

/// <param name="Logs">Past output first.</param>
/// <param name="Stream">Follow what comes.</param>
public sealed record AttachOptions(bool Stdin, bool Stdout, bool Stderr, bool Logs, bool Stream);

/// <summary>
/// A client's connection to a process. Output on <paramref name="Stream"/> is raw where <paramref name="Terminal"/>, else Docker's
/// multiplexed frames; what is written to it goes to stdin. Disposing it detaches.
/// </summary>
/// <param name="CloseStdin">Half-closes stdin.</param>
public sealed record StreamSession(Stream Stream, bool Terminal, Func<ValueTask> CloseStdin) : IAsyncDisposable
{
    public ValueTask DisposeAsync() => Stream.DisposeAsync();
}

/// <param name="Repository">May carry a tag; empty for no name.</param>
/// <param name="Pause">Freeze the container while its layer is read, so that it is seen at one moment.</param>
/// <param name="Changes">Dockerfile instructions, applied to <paramref name="Config"/>.</param>
/// <param name="Config">What the image says to its containers; what it leaves out comes from the container. Null: the container's own.</param>
public sealed record ContainerCommit(
    string Container, string Repository, string? Tag, string? Comment, string? Author, bool Pause, IReadOnlyList<string> Changes, ContainerConfig? Config);

/// <param name="OneShot">A single sample at once, with nothing to compute a share of the CPU from.</param>
public sealed record StatsOptions(bool Stream, bool OneShot);

/// <param name="WriteTo">Writes the tar; to be called once.</param>
/// <param name="Close">Lets go of the container.</param>
public sealed record ContainerArchive(ContainerPathStat Stat, Func<Stream, CancellationToken, Task> WriteTo, Func<ValueTask> Close) : IAsyncDisposable
{
    public ValueTask DisposeAsync() => Close();
}

/// <param name="Path">A directory.</param>
/// <param name="KeepKinds">A directory is not replaced by a file, nor a file by a directory.</param>
/// <param name="OwnedByUser">Everything belongs to the user the container runs as, whatever the tar says.</param>
public sealed record ContainerExtraction(string Path, bool KeepKinds, bool OwnedByUser);

public enum WaitCondition
{
    /// <summary>At once where it does not run.</summary>
    NotRunning,

    NextExit,

    Removed,
}

/// <param name="Exit">Completes with the exit code, or with an error text beside it.</param>
public sealed record ContainerWait(Task<ContainerWaitResponse> Exit);

/// <param name="Tail">Lines from the end; negative is all.</param>
public sealed record LogsOptions(bool Stdout, bool Stderr, bool Follow, bool Timestamps, bool Details, DateTimeOffset? Since, DateTimeOffset? Until, int Tail = -1);

/// <param name="Terminal">The answer is raw and all on stdout.</param>
public sealed record LogSession(bool Terminal, IAsyncEnumerable<LogLine> Lines);

/// <param name="Stderr">On stderr rather than stdout.</param>
/// <param name="Text">As logged, with its line end where it has one; with the time before it where asked for.</param>
public readonly record struct LogLine(bool Stderr, ReadOnlyMemory<byte> Text);
