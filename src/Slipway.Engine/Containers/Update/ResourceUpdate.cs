using Slipway.Api.Containers;

namespace Slipway.Engine.Containers.Update;

/// <summary>Limits of a container changed by <c>docker update</c>. Texts are Docker's.</summary>
internal static class ResourceUpdate
{
    /// <summary>The host configuration with what the request sets; neither argument is changed.</summary>
    /// <exception cref="EngineException">Conflict: the change contradicts what the container has.</exception>
    public static HostConfig Merge(HostConfig current, ContainerUpdateRequest change)
    {
        Check(current, change);
        HostConfig merged = current with { };
        merged.BlkioWeight = change.BlkioWeight != 0 ? change.BlkioWeight : current.BlkioWeight;
        merged.CpuShares = Given(change.CpuShares, current.CpuShares);
        merged.NanoCpus = Given(change.NanoCpus, current.NanoCpus);
        merged.CpuPeriod = Given(change.CpuPeriod, current.CpuPeriod);
        merged.CpuQuota = Given(change.CpuQuota, current.CpuQuota);
        merged.CpuRealtimePeriod = Given(change.CpuRealtimePeriod, current.CpuRealtimePeriod);
        merged.CpuRealtimeRuntime = Given(change.CpuRealtimeRuntime, current.CpuRealtimeRuntime);
        merged.CpusetCpus = change.CpusetCpus.Length > 0 ? change.CpusetCpus : current.CpusetCpus;
        merged.CpusetMems = change.CpusetMems.Length > 0 ? change.CpusetMems : current.CpusetMems;
        merged.Memory = Given(change.Memory, current.Memory);
        merged.MemorySwap = Given(change.MemorySwap, current.MemorySwap);
        merged.MemoryReservation = Given(change.MemoryReservation, current.MemoryReservation);

        // Zero and every negative number mean unlimited; it is stored as zero.
        merged.PidsLimit = change.PidsLimit is { } pids ? Math.Max(pids, 0) : current.PidsLimit;
        merged.RestartPolicy = change.RestartPolicy.Name.Length > 0 ? change.RestartPolicy : current.RestartPolicy;
        if (merged is { Memory: > 0, MemorySwap: > 0 } && merged.MemorySwap < merged.Memory)
        {
            throw Conflict("Minimum memoryswap limit should be larger than memory limit, see usage");
        }

        return merged;
    }

    private static void Check(HostConfig current, ContainerUpdateRequest change)
    {
        if (change.NanoCpus > 0 && current.CpuPeriod > 0)
        {
            throw Conflict("Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set");
        }

        if (change.NanoCpus > 0 && current.CpuQuota > 0)
        {
            throw Conflict("Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set");
        }

        if (change.CpuPeriod > 0 && current.NanoCpus > 0)
        {
            throw Conflict("Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set");
        }

        if (change.CpuQuota > 0 && current.NanoCpus > 0)
        {
            throw Conflict("Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set");
        }

        // As in Docker also where memory and swap together have no limit (-1): the limit must be given again.
        if (change.Memory > current.MemorySwap && change is { Memory: not 0, MemorySwap: 0 })
        {
            throw Conflict("Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time");
        }

        if (current.AutoRemove && change.RestartPolicy.Name is not ("" or "no"))
        {
            throw Conflict("Restart policy cannot be updated because AutoRemove is enabled for the container");
        }
    }

    private static long Given(long change, long current) => change != 0 ? change : current;

    private static EngineException Conflict(string message) => new(ErrorKind.Conflict, message);
}
