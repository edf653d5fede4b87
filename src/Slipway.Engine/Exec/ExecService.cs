using System.Collections.Concurrent;
using System.Globalization;
using Slipway.Api.Exec;
using Slipway.Engine.Containers;
using Slipway.Engine.Containers.Launch;
using Slipway.Engine.Containers.State;
using Slipway.Engine.Containers.Streams;
using Slipway.Runtime.Supervision;

namespace Slipway.Engine.Exec;

/// <summary>Execs live in memory alone: after a restart of the engine they run on, but nobody can ask for them, as in Docker.</summary>
internal sealed partial class ExecService : IExecs
{
    /// <summary>How long an exec that ended, or never started, can be inspected.</summary>
    private static readonly TimeSpan Retention = TimeSpan.FromMinutes(5);

    private readonly ConcurrentDictionary<string, ExecProcess> _execs = new(StringComparer.Ordinal);
    private readonly EngineServices _services;
    private readonly ContainerService _containers;
    private readonly ExecLauncher _launcher;
    private DateTimeOffset _swept;

    public ExecService(EngineServices services, ContainerService containers)
    {
        _services = services;
        _containers = containers;
        _launcher = new ExecLauncher(services, containers.Links);
        containers.ExecIds = IdsOf;
        containers.Probe = ProbeAsync;
    }

    public Task<string> CreateAsync(string containerReference, ExecCreateRequest request, CancellationToken cancellationToken)
    {
        Container container = _containers.Index.Resolve(containerReference);
        RequireRunning(container.Snapshot, containerReference);
        if (request.Cmd is null or [] or [""])
        {
            throw ContainerErrors.Invalid("No exec command specified");
        }

        foreach (string entry in request.Env ?? [])
        {
            if (entry.Length == 0 || entry[0] == '=')
            {
                throw ContainerErrors.Invalid($"invalid environment variable: {entry}");
            }
        }

        Sweep();
        ExecProcess exec = new(Identifiers.New(), container.Id, request);
        _execs[exec.Id] = exec;
        _containers.Events.Publish(container.Snapshot, $"exec_create: {exec.CommandLine}", ("execID", exec.Id));
        return Task.FromResult(exec.Id);
    }

    public async Task<StreamSession?> StartAsync(string execId, ExecStartRequest request, CancellationToken cancellationToken)
    {
        ExecProcess exec = Find(execId);
        Container container = _containers.Index.Find(exec.ContainerId) ?? throw ContainerErrors.NoSuchContainer(exec.ContainerId);
        RequireRunning(container.Snapshot, container.Snapshot.Name);
        if (!exec.TryStart())
        {
            throw new EngineException(ErrorKind.Conflict, $"Error: Exec command {execId} has already run");
        }

        _containers.Events.Publish(container.Snapshot, $"exec_start: {exec.CommandLine}", ("execID", exec.Id));
        ExecCreateRequest options = exec.Request;
        StreamEnds? ends = request.Detach ? null : StreamEnds.Create(options.AttachStdin, options.AttachStdout, options.AttachStderr);
        try
        {
            LaunchedProcess process = await _launcher.LaunchAsync(container, exec, ends?.Far, request.ConsoleSize ?? options.ConsoleSize, cancellationToken);

            // Signals go to the container; the exec's own descriptor is not needed.
            process.Pidfd.Dispose();
            exec.Started(process.Pid);
        }
        catch (Exception exception)
        {
            LaunchFailure failure = LaunchFailure.FromExec(exception);
            exec.Fail(failure.ExitCode, _services.Time.GetUtcNow());
            ends?.Close();
            if (ends is null)
            {
                throw new EngineException(failure.Kind, failure.Message, exception);
            }

            // Docker has answered by then that the streams are connected, so the reason comes as output.
            return FailedSession.Create(failure.Message, options.Tty);
        }

        return ends?.Session(options.Tty, past: null, exec.Ended, disposed: null);
    }

    public bool HasTerminal(string execId) => Find(execId).Request.Tty;

    public ExecInspect Inspect(string execId)
    {
        ExecProcess exec = Find(execId);
        ExecCreateRequest request = exec.Request;
        return new ExecInspect
        {
            ID = exec.Id,
            Running = exec.Running,
            ExitCode = exec.ExitCode,
            ProcessConfig = new ExecProcessConfig
            {
                Tty = request.Tty,
                Entrypoint = request.Cmd![0],
                Arguments = request.Cmd[1..],
                Privileged = request.Privileged,
                User = request.User.Length > 0 ? request.User : null,
            },
            OpenStdin = request.AttachStdin,
            OpenStderr = request.AttachStderr,
            OpenStdout = request.AttachStdout,
            ContainerID = exec.ContainerId,
            DetachKeys = request.DetachKeys,
            Pid = exec.Pid,
        };
    }

    public async Task ResizeAsync(string execId, ushort rows, ushort columns, CancellationToken cancellationToken)
    {
        ExecProcess exec = Find(execId);
        if (!exec.Running || (exec.Request.Tty && !await _services.Supervisor.Current.ResizeAsync(exec.Id, new TerminalSize(rows, columns), cancellationToken)))
        {
            throw new EngineException(ErrorKind.NotFound, $"process does not exist {execId}: not found");
        }
    }

    /// <summary>Records the end of an exec.</summary>
    internal void HandleExit(ProcessExit exit)
    {
        if (!_execs.TryGetValue(ExecProcess.IdOf(exit.Id), out ExecProcess? exec))
        {
            return;
        }

        // Before those who wait for the end go on: what they publish comes after it.
        if (_containers.Index.Find(exec.ContainerId) is { } container)
        {
            _containers.Events.Publish(
                container.Snapshot, "exec_die", ("execID", exec.Id), ("exitCode", exit.ExitCode.ToString(CultureInfo.InvariantCulture)));
        }

        exec.End(exit.ExitCode, exit.ExitedAt);
    }

    /// <summary>The supervisor is gone, and all execs with it.</summary>
    internal void EndAll(int exitCode)
    {
        foreach (ExecProcess exec in _execs.Values.Where(exec => exec.Running))
        {
            exec.End(exitCode, _services.Time.GetUtcNow());
        }
    }

    private List<string>? IdsOf(string containerId)
    {
        List<string> ids = [.. _execs.Values.Where(exec => exec.Running && exec.ContainerId == containerId).Select(exec => exec.Id)];
        return ids.Count > 0 ? ids : null;
    }

    private ExecProcess Find(string execId) =>
        _execs.TryGetValue(execId, out ExecProcess? exec) ? exec : throw new EngineException(ErrorKind.NotFound, $"No such exec instance: {execId}");

    private static void RequireRunning(ContainerSnapshot container, string reference)
    {
        switch (container.State.Phase)
        {
            case ContainerPhase.Paused:
                throw new EngineException(ErrorKind.Conflict, $"Container {reference} is paused, unpause the container before exec");
            case ContainerPhase.Restarting:
                throw ContainerErrors.IsRestarting(container.Id);
            case not ContainerPhase.Running:
                throw ContainerErrors.NotRunning(container.Id);
        }
    }

    /// <summary>Forgets what ended long ago; at most once a minute, as execs are created.</summary>
    private void Sweep()
    {
        DateTimeOffset now = _services.Time.GetUtcNow();
        if (now - _swept < TimeSpan.FromMinutes(1))
        {
            return;
        }

        _swept = now;
        foreach (ExecProcess exec in _execs.Values)
        {
            bool orphaned = !exec.Running && _containers.Index.Find(exec.ContainerId) is null;
            if (orphaned || (exec.EndedAt is { } ended && now - ended > Retention))
            {
                _execs.TryRemove(exec.Id, out _);
            }
        }
    }
}
