using Slipway.Api.Containers;
using Slipway.Api.Exec;
using Slipway.Engine.Containers;
using Slipway.Engine.Containers.Health;
using Slipway.Engine.Containers.Launch;
using Slipway.Engine.Containers.Streams;
using Slipway.Kernel.Cgroups;
using Slipway.Kernel.Process;
using Slipway.Runtime.Supervision;

namespace Slipway.Engine.Exec;

/// <summary>Probes of health checks: execs of the engine's own.</summary>
internal sealed partial class ExecService
{
    /// <summary>For a process that was sent SIGKILL.</summary>
    private static readonly TimeSpan KillTimeout = TimeSpan.FromSeconds(10);

    /// <summary>Runs a probe to its end, or to the end of its time.</summary>
    /// <exception cref="OperationCanceledException">Nobody wants the result any more; the probe was killed.</exception>
    private async Task<ProbeResult> ProbeAsync(Container container, HealthPolicy policy, CancellationToken cancellationToken)
    {
        DateTimeOffset start = _services.Time.GetUtcNow();
        ContainerConfig config = container.Snapshot.Config;
        ExecCreateRequest request = new() { Cmd = [.. policy.Command], AttachStdout = true, AttachStderr = true, User = config.User, WorkingDir = config.WorkingDir };
        ExecProcess exec = new(Identifiers.New(), container.Id, request, isProbe: true);
        exec.TryStart();
        _execs[exec.Id] = exec;
        try
        {
            return await ProbeAsync(container, exec, policy.Timeout, start, cancellationToken);
        }
        finally
        {
            _execs.TryRemove(exec.Id, out _);
        }
    }

    private async Task<ProbeResult> ProbeAsync(Container container, ExecProcess exec, TimeSpan timeout, DateTimeOffset start, CancellationToken cancellationToken)
    {
        _containers.Events.Publish(container.Snapshot, $"exec_create: {exec.CommandLine}", ("execID", exec.Id));
        _containers.Events.Publish(container.Snapshot, $"exec_start: {exec.CommandLine}", ("execID", exec.Id));
        using CancellationTokenSource deadline = new(timeout, _services.Time);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        StreamEnds ends = StreamEnds.Create(stdin: false, stdout: true, stderr: true);
        LaunchedProcess process;
        try
        {
            process = await _launcher.LaunchAsync(container, exec, ends.Far, consoleSize: null, either.Token);
        }
        catch (Exception exception)
        {
            ends.Close();
            exec.Fail(LaunchFailure.NotExecutableCode, _services.Time.GetUtcNow());
            cancellationToken.ThrowIfCancellationRequested();
            string reason = exception is OperationCanceledException ? $"timed out starting health check for container {container.Id}" : LaunchFailure.FromExec(exception).Message;
            return Result(-1, reason) with { HasRun = false };
        }

        using (process.Pidfd)
        {
            exec.Started(process.Pid);
            await using ProbeOutput output = new(ends.Local);
            try
            {
                await exec.Ended.WaitAsync(either.Token);
                return Result(exec.ExitCode ?? -1, await output.ReadToEndAsync(_services.Time));
            }
            catch (OperationCanceledException)
            {
                await KillAsync(container, exec, process);
            }

            cancellationToken.ThrowIfCancellationRequested();
            string text = $"Health check exceeded timeout ({TimeText.Format(timeout)})";
            string written = await output.ReadToEndAsync(_services.Time);
            return Result(-1, written.Length > 0 ? $"{text}: {written}" : text);
        }

        ProbeResult Result(int exitCode, string output) => new(start, _services.Time.GetUtcNow(), exitCode, output);
    }

    /// <summary>Kills a probe with all that it started, so that probes that hang do not pile up.</summary>
    private async Task KillAsync(Container container, ExecProcess exec, LaunchedProcess process)
    {
        using (Cgroup? group = _services.Cgroups.TryOpen(_services.CgroupPath(container.Snapshot)))
        {
            ProbeSession.Kill(process.Pid, process.Pidfd, group);
        }

        try
        {
            await exec.Ended.WaitAsync(KillTimeout, _services.Time);
        }
        catch (TimeoutException)
        {
            _services.Log.Write(EngineLogLevel.Warning, $"a health check of container {container.Snapshot.Name} does not end; it is stuck in the kernel");
        }
    }
}
