using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Process;

namespace Slipway.Runtime.Supervision;

/// <summary>
/// The supervisor as the engine sees it: parent of every container process. It executes plans, holds stdio, writes logs,
/// reaps, and records exits durably before it reports them. It outlives the engine. A process is named by an id: the
/// container's id for its init process, the exec's id for one that joined.
/// </summary>
public interface ISupervisor : IAsyncDisposable
{
    /// <summary>
    /// Starts a process and returns once execve has succeeded. The plan is disposed by the caller. An unacknowledged exit of an earlier
    /// process of the same id is forgotten. Where the call is cancelled the child is killed, in whatever step of its plan; if it had started all the same, its exit is reported.
    /// </summary>
    /// <exception cref="LaunchException">A step of the plan failed; nothing was left behind.</exception>
    /// <exception cref="SupervisorException">The request was refused: the id is in use, the log cannot be opened, the plan breaks a rule.</exception>
    /// <exception cref="SupervisorLostException">The supervisor ended.</exception>
    Task<LaunchedProcess> LaunchAsync(LaunchRequest request, CancellationToken cancellationToken);

    /// <summary>
    /// Connects a stream to a running process. <paramref name="attachment"/>.Socket is the far end of a socketpair and is
    /// consumed. False where no such process runs.
    /// </summary>
    Task<bool> AttachAsync(string id, Attachment attachment, CancellationToken cancellationToken);

    /// <summary>
    /// Lets go of the output of a process that was launched with <see cref="LaunchRequest.HoldOutput"/>: to log and clients, or, with
    /// <paramref name="discard"/>, nowhere. False where there is no such process any more.
    /// </summary>
    /// <exception cref="SupervisorException">A supervisor that was started by an older engine does not know how, and has held nothing.</exception>
    Task<bool> ReleaseAsync(string id, bool discard, CancellationToken cancellationToken);

    /// <summary>Sets the window size of a process that has a terminal. False where no such process runs.</summary>
    Task<bool> ResizeAsync(string id, TerminalSize size, CancellationToken cancellationToken);

    /// <summary>All live processes, and the exits that no engine has acknowledged yet: what an engine that starts adopts.</summary>
    Task<SupervisorState> ListAsync(CancellationToken cancellationToken);

    /// <summary>Forgets a reported exit, once the engine has stored it.</summary>
    Task AcknowledgeExitAsync(string id, CancellationToken cancellationToken);

    /// <summary>
    /// Exits in the order in which they were recorded, each once per connection, beginning with those that were unacknowledged when it was
    /// made; ends when the supervisor is lost. One reader. The exit of a short process may be seen before its launch has returned.
    /// </summary>
    IAsyncEnumerable<ProcessExit> ExitsAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Keeps duplicates of descriptors open for the engine that comes after this one, in place of those kept by that name before; none: forgets them.
    /// They may be closed when it returns. Who asked has to forget them: what they belong to may end while they keep it.
    /// </summary>
    /// <exception cref="SupervisorException">A supervisor that was started by an older engine does not know how.</exception>
    Task KeepAsync(string name, IReadOnlyList<SafeHandle> descriptors, CancellationToken cancellationToken);

    /// <summary>All that is kept, by name, in the order in which it was given. The descriptors are the caller's.</summary>
    /// <exception cref="SupervisorException">As above.</exception>
    Task<IReadOnlyDictionary<string, IReadOnlyList<SafeFileHandle>>> KeptAsync(CancellationToken cancellationToken);

    /// <summary>Kills every process and ends the supervisor, once all exits are recorded. For <c>daemon --cleanup</c> and tests.</summary>
    Task ShutdownAsync(CancellationToken cancellationToken);
}

/// <summary>A process to start.</summary>
public sealed record LaunchRequest
{
    /// <summary>Names the process in all later calls.</summary>
    public required string Id { get; init; }

    /// <summary>For an exec the container it joined; null for a container's init process.</summary>
    public string? ContainerId { get; init; }

    public required LaunchPlan Plan { get; init; }

    /// <summary>The master side of the process' terminal, or null: then stdin, stdout and stderr are pipes the supervisor makes. Consumed.</summary>
    public SafeFileHandle? Terminal { get; init; }

    /// <summary>Keep stdin open (docker run -i). False: stdin is /dev/null.</summary>
    public bool OpenStdin { get; init; }

    /// <summary>Close stdin when the first attached client closes its side.</summary>
    public bool StdinOnce { get; init; }

    /// <summary>
    /// Read no output, and report no exit, before <see cref="ISupervisor.ReleaseAsync"/>, or before the engine is gone. The process is held back
    /// once its pipes are full.
    /// </summary>
    public bool HoldOutput { get; init; }

    /// <summary>Where output is logged, or null for not at all.</summary>
    public LogTarget? Log { get; init; }

    /// <summary>Streams that are connected from the first byte on.</summary>
    public IReadOnlyList<Attachment> Attachments { get; init; } = [];
}

/// <summary>Docker's json-file log.</summary>
/// <param name="Path">Absolute path of the current file; rotated ones are <c>Path.1</c> (newest) and up.</param>
/// <param name="MaxSize">Bytes at which the file is rotated.</param>
/// <param name="MaxFiles">Files kept, the current one included; at least 1.</param>
public sealed record LogTarget(string Path, long MaxSize, int MaxFiles)
{
    /// <summary>What every record has besides (<see cref="Logs.LogAttributes.Encode"/>).</summary>
    public string Attributes { get; init; } = "";

    /// <summary>Files are compressed once they have been rotated: <c>Path.1.gz</c>.</summary>
    public bool Compress { get; init; }

    /// <summary>Bytes that wait for the disk, beyond which records are dropped; null: none is dropped, and the process is held back.</summary>
    public int? DropBeyond { get; init; }
}

/// <summary>
/// A client stream. Output comes as Docker's multiplexed frames (8-byte header: stream, 0, 0, 0, big-endian length), or raw where
/// the process has a terminal. Bytes written to it go to stdin; half-closing it closes the client's stdin. It ends after
/// the last output. A slow reader holds the process back (as Docker does); one that is gone is dropped.
/// </summary>
/// <param name="Socket">The supervisor's end of a SOCK_STREAM socketpair.</param>
public sealed record Attachment(SafeFileHandle Socket, bool Stdin, bool Stdout, bool Stderr);

public readonly record struct TerminalSize(ushort Rows, ushort Columns);

/// <param name="Pid">In the supervisor's pid namespace.</param>
/// <param name="Pidfd">Owned by the caller.</param>
public sealed record LaunchedProcess(int Pid, SafeFileHandle Pidfd, DateTimeOffset StartedAt);

/// <summary>How a process ended.</summary>
/// <param name="ExitCode">The exit status, or 128 + signal.</param>
/// <param name="Signal">The signal that ended it, or 0.</param>
public sealed record ProcessExit(string Id, string? ContainerId, int ExitCode, int Signal, DateTimeOffset ExitedAt);

/// <param name="Pidfd">Owned by the caller.</param>
public sealed record SupervisedProcess(string Id, string? ContainerId, int Pid, SafeFileHandle Pidfd, DateTimeOffset StartedAt);

public sealed record SupervisorState(IReadOnlyList<SupervisedProcess> Running, IReadOnlyList<ProcessExit> Unacknowledged);

/// <summary>
/// A launch that failed at a step of its plan: <c>step 14 of 31, move_mount "/data": EPERM (Operation not permitted)</c>, or
/// <c>…: killed by signal 31</c> where errno is 0; the description alone where both are.
/// </summary>
public sealed class LaunchException(int step, int stepCount, string description, int errno, int signal = 0)
    : IOException($"step {step} of {stepCount}, {description}{Reason(errno, signal)}")
{
    /// <summary>One-based; 0 where the plan was not begun.</summary>
    public int Step { get; } = step;

    public int StepCount { get; } = stepCount;

    public string Description { get; } = description;

    /// <summary>Or 0 where a signal ended the child.</summary>
    public int Errno { get; } = errno;

    public int Signal { get; } = signal;

    private static string Reason(int errno, int signal) => (errno, signal) switch
    {
        (0, 0) => "",
        (0, _) => string.Create(CultureInfo.InvariantCulture, $": killed by signal {signal}"),
        _ => $": {Slipway.Kernel.Errno.Name(errno)} ({Marshal.GetPInvokeErrorMessage(errno)})",
    };
}

/// <summary>The supervisor refused a call, or could not be started.</summary>
public sealed class SupervisorException(string message) : IOException(message);

/// <summary>The connection to the supervisor ended while a call was under way.</summary>
public sealed class SupervisorLostException(string message) : IOException(message);
