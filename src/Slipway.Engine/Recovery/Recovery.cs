using Microsoft.Win32.SafeHandles;
using Slipway.Engine.Containers;
using Slipway.Engine.Containers.Checkpoints;
using Slipway.Engine.Containers.Foreign;
using Slipway.Engine.Containers.State;
using Slipway.Engine.Exec;
using Slipway.Kernel.Cgroups;
using Slipway.Runtime.Supervision;

namespace Slipway.Engine.Recovery;

/// <summary>
/// What an engine does when it starts, whatever ended before it: adopts the containers that run, records the true exits of
/// those that ended meanwhile, and removes from the host what no row of the database names. A start that was under way when the engine
/// was killed was never acknowledged to anybody, and is undone.
/// </summary>
internal sealed class Recovery(EngineServices services, ContainerService containers)
{
    /// <summary>Of a process whose end nobody saw: as if killed, which is what happened to it or is done now.</summary>
    public const int LostExitCode = 137;

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        await containers.LoadAsync(cancellationToken);
        SupervisorState found = await services.Supervisor.Current.ListAsync(cancellationToken);
        Dictionary<string, SupervisedProcess> processes = found.Running.Where(process => process.ContainerId is null).ToDictionary(process => process.Id);
        Dictionary<string, ProcessExit> exits = found.Unacknowledged.Where(exit => exit.ContainerId is null).ToDictionary(exit => exit.Id);
        HashSet<string> adopted = Adopt(processes, exits);

        // Descriptors of execs serve nobody any more, and those of processes that are not adopted end here. Nobody waits for
        // the probes of the engine before, nor ends them when their time is over.
        foreach (SupervisedProcess process in found.Running.Where(process => !adopted.Contains(process.Id)))
        {
            using (process.Pidfd)
            {
                if (ExecProcess.IsProbe(process.Id))
                {
                    EndProbe(process);
                }
            }
        }

        foreach (Container container in containers.Index.All.Where(container => adopted.Contains(container.Id) && container.Snapshot.State.UnsettledMounts is not null))
        {
            await containers.SettleMountsAsync(container);
        }

        await services.Volumes.RecoverAsync(
            containers.Index.All.Where(container => container.Snapshot.State.IsLive).Select(container => (container.Id, container.Snapshot.Mounts)),
            id => containers.Index.Find(id) is not null,
            cancellationToken);
        await services.ContainerNetworks.RestoreAsync(
            [.. containers.Index.All.Where(container => adopted.Contains(container.Id)).Select(container => container.Snapshot)], cancellationToken);
        await EndOthersAsync(adopted, exits);
        await RemoveLeftoversAsync(adopted, cancellationToken);
        foreach (ProcessExit exit in found.Unacknowledged)
        {
            await services.Supervisor.Current.AcknowledgeExitAsync(exit.Id, cancellationToken);
        }
    }

    /// <summary>After the loss of the supervisor: ends the containers it held, which can no longer be watched, and records that.</summary>
    public Task EndAllAsync() => EndOthersAsync([], []);

    /// <summary>Takes over the running containers that the database says run.</summary>
    private HashSet<string> Adopt(Dictionary<string, SupervisedProcess> processes, Dictionary<string, ProcessExit> exits)
    {
        HashSet<string> adopted = [];
        foreach (Container container in containers.Index.All)
        {
            RunState state = container.Snapshot.State;
            if (!state.IsLive || exits.ContainsKey(container.Id) || !processes.TryGetValue(container.Id, out SupervisedProcess? process))
            {
                continue;
            }

            using Cgroup? group = services.Cgroups.TryOpen(services.CgroupPath(container.Snapshot));
            container.Pidfd = process.Pidfd;
            if (state.PausedForCommit)
            {
                group?.Thaw();
                state = state with { PausedForCommit = false };
            }

            int pid = services.Foreign.BundleOf(container.Id).ReadPid(execId: null) ?? process.Pid;
            if (pid != process.Pid && !ForeignRuntimes.IsForeign(container.Snapshot.HostConfig))
            {
                container.Pidfd = OwnCheckpoints.Reopen(pid, process.Pidfd);
            }

            container.Publish(state with { Phase = group?.IsFrozen() == true ? ContainerPhase.Paused : ContainerPhase.Running, Pid = pid });
            adopted.Add(container.Id);
        }

        return adopted;
    }

    private void EndProbe(SupervisedProcess probe)
    {
        using Cgroup? group = probe.ContainerId is { } id && containers.Index.Find(id) is { } container ? services.Cgroups.TryOpen(services.CgroupPath(container.Snapshot)) : null;
        ProbeSession.Kill(probe.Pid, probe.Pidfd, group);
    }

    /// <summary>Records the end of the containers that are said to run and do not, with their true exit codes where those are known.</summary>
    private async Task EndOthersAsync(HashSet<string> adopted, Dictionary<string, ProcessExit> exits)
    {
        foreach (Container container in containers.Index.All)
        {
            using AsyncLock.Holder holder = await container.LockAsync(CancellationToken.None);
            if (!container.Snapshot.State.IsLive || adopted.Contains(container.Id))
            {
                continue;
            }

            // Below the engine's own group all that is not adopted is ended; a parent that a container names may hold others' groups.
            if (container.Snapshot.HostConfig.CgroupParent.Length > 0)
            {
                using Cgroup? group = services.Cgroups.TryOpen(services.CgroupPath(container.Snapshot));
                await (group?.KillAsync(services.Time, CancellationToken.None) ?? Task.CompletedTask);
            }

            ProcessExit? exit = exits.GetValueOrDefault(container.Id);
            await containers.EndHeldAsync(container, exit?.ExitCode ?? LostExitCode, exit?.ExitedAt ?? services.Time.GetUtcNow());
        }
    }

    /// <summary>Removes cgroups with what runs in them, layers and directories that belong to no container, and finishes interrupted removals.</summary>
    private async Task RemoveLeftoversAsync(HashSet<string> adopted, CancellationToken cancellationToken)
    {
        foreach (string name in services.Cgroups.Root(services.CgroupParent).ListChildren().Where(name => !adopted.Contains(name)))
        {
            using Cgroup? group = services.Cgroups.TryOpen(services.CgroupPath(name));
            if (group is not null)
            {
                await group.KillAsync(services.Time, cancellationToken);
                await group.DeleteAsync(services.Time, cancellationToken);
            }
        }

        foreach (Container container in containers.Index.All.Where(container => container.Snapshot.State.Phase is ContainerPhase.Removing or ContainerPhase.Dead))
        {
            using AsyncLock.Holder holder = await container.LockAsync(cancellationToken);
            await containers.RemoveHeldAsync(container, container.Snapshot.HostConfig.AutoRemove);
        }

        services.SharedMemory.Sweep(adopted.Contains);
        services.Foreign.Sweep(adopted.Contains);
        foreach (string id in services.Data.Snapshots.List().Where(id => containers.Index.Find(id) is null))
        {
            await services.Data.Snapshots.RemoveAsync(id);
        }
    }
}
