using Slipway.Api.Exec;

namespace Slipway.Engine.Exec;

/// <summary>A further process in a container: from its creation until a while after its end.</summary>
/// <param name="isProbe">Of a health check: it ends with the engine that started it.</param>
internal sealed class ExecProcess(string id, string containerId, ExecCreateRequest request, bool isProbe = false)
{
    private const string ProbePrefix = "probe.";

    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _started;
    private volatile bool _failed;

    public string Id { get; } = id;

    /// <summary>The supervisor's name of the process; by it the next engine knows probes from the execs of users.</summary>
    public string SupervisedId => isProbe ? ProbePrefix + Id : Id;

    public string ContainerId { get; } = containerId;

    public ExecCreateRequest Request { get; } = request;

    /// <summary>Of the process, 0 before it started.</summary>
    public int Pid { get; set; }

    public bool Running { get; private set; }

    public int? ExitCode { get; private set; }

    public DateTimeOffset? EndedAt { get; private set; }

    /// <summary>Completes when the exit code is known, or the start failed.</summary>
    public Task Ended => _ended.Task;

    /// <summary>As events show it: Docker has a blank after the program also where no arguments follow.</summary>
    public string CommandLine => $"{Request.Cmd![0]} {string.Join(' ', Request.Cmd[1..])}";

    public static bool IsProbe(string supervisedId) => supervisedId.StartsWith(ProbePrefix, StringComparison.Ordinal);

    public static string IdOf(string supervisedId) => IsProbe(supervisedId) ? supervisedId[ProbePrefix.Length..] : supervisedId;

    /// <summary>True for the first caller: an exec runs once.</summary>
    public bool TryStart() => Interlocked.Exchange(ref _started, 1) == 0;

    public void Started(int pid)
    {
        Pid = pid;

        // The exit may have been reported before the answer to the launch.
        Running = ExitCode is null;
    }

    /// <summary>The start failed. A runtime of the host that could not start it has ended itself: its own exit code tells nothing.</summary>
    public void Fail(int exitCode, DateTimeOffset at)
    {
        _failed = true;
        Record(exitCode, at);
    }

    public void End(int exitCode, DateTimeOffset at)
    {
        if (!_failed)
        {
            Record(exitCode, at);
        }
    }

    private void Record(int exitCode, DateTimeOffset at)
    {
        ExitCode = exitCode;
        Running = false;
        EndedAt = at;
        _ended.TrySetResult();
    }
}
