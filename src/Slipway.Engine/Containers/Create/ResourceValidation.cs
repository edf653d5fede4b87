using System.Globalization;
using Slipway.Api.Containers;
using Slipway.Runtime.Confinement;

namespace Slipway.Engine.Containers.Create;

/// <summary>Limits that contradict themselves or the host. Texts are Docker's.</summary>
internal static class ResourceValidation
{
    private const long MinimumMemory = 6L << 20;

    /// <summary>CPU and memory node numbers the kernel can have (NR_CPUS of the largest configuration).</summary>
    private const int MaximumCpuNumber = 8192;

    /// <param name="onlineCpus">As in /sys/devices/system/cpu/online: <c>0-7</c>.</param>
    /// <param name="onlineNodes">As in /sys/devices/system/node/online.</param>
    /// <param name="forUpdate">A part of the limits: the others are those the container has.</param>
    /// <exception cref="EngineException">InvalidParameter, or NotImplemented for what no kernel of today offers.</exception>
    public static void Validate(Resources resources, string onlineCpus, string onlineNodes, bool forUpdate = false)
    {
        ValidateMemory(resources, forUpdate);
        ValidateCpu(resources);
        ValidateSet("cpuset cpus", "Requested CPUs are not available", resources.CpusetCpus, onlineCpus);
        ValidateSet("cpuset mems", "Requested memory nodes are not available", resources.CpusetMems, onlineNodes);
        if (resources.BlkioWeight is not 0 and (< 10 or > 1000))
        {
            throw ContainerErrors.Invalid("Range of blkio weight is from 10 to 1000");
        }

        if (resources.IOMaximumBandwidth != 0 || resources.IOMaximumIOps != 0 || resources.CpuCount != 0 || resources.CpuPercent != 0)
        {
            throw ContainerErrors.Invalid("invalid option: limits for Windows containers (CpuCount, CpuPercent, IOMaximumBandwidth, IOMaximumIOps) do not exist on Linux");
        }

        if (resources is { CpuRealtimePeriod: not 0, CpuRealtimeRuntime: not 0 } && resources.CpuRealtimeRuntime > resources.CpuRealtimePeriod)
        {
            throw ContainerErrors.Invalid("cpu real-time runtime cannot be higher than cpu real-time period");
        }

        ValidateParent(resources.CgroupParent, forUpdate);
    }

    /// <summary>A path below the top of the hierarchies, with or without a leading slash; names of systemd's slices are names like any other, as in Docker with cgroupfs.</summary>
    /// <summary>What cannot be passed over with a warning: whoever asks for it depends on it.</summary>
    /// <param name="limits">Those that the host can hold.</param>
    public static void Require(Resources resources, ResourceSupport limits)
    {
        if ((resources.CpuRealtimePeriod != 0 || resources.CpuRealtimeRuntime != 0) && !limits.CpuRealtime)
        {
            throw ContainerErrors.Invalid("kernel does not support CPU real-time scheduler");
        }
    }

    private static void ValidateParent(string path, bool forUpdate)
    {
        if (path.Length == 0)
        {
            return;
        }

        if (forUpdate)
        {
            throw ContainerErrors.Invalid("the parent control group of a container cannot be changed");
        }

        string[] components = path.Trim('/').Split('/');
        if (components.Any(name => name is "" or "." or "..") || path.AsSpan().IndexOfAny('\0', '\n') >= 0)
        {
            throw ContainerErrors.Invalid($"invalid cgroup parent \"{path}\": it must name a control group below the top one");
        }
    }

    private static void ValidateMemory(Resources resources, bool forUpdate)
    {
        if (resources.Memory is not 0 and < MinimumMemory)
        {
            throw ContainerErrors.Invalid("Minimum memory limit allowed is 6MB");
        }

        if (resources.MemorySwap > 0 && resources.Memory == 0 && !forUpdate)
        {
            throw ContainerErrors.Invalid("You should always set the Memory limit when using Memoryswap limit, see usage");
        }

        if (resources.MemorySwap > 0 && resources.MemorySwap < resources.Memory)
        {
            throw ContainerErrors.Invalid("Minimum memoryswap limit should be larger than memory limit, see usage");
        }

        if (resources.MemorySwap < -1)
        {
            throw ContainerErrors.Invalid($"invalid memory swap limit: {resources.MemorySwap}");
        }

        if (resources.MemorySwappiness is < -1 or > 100)
        {
            throw ContainerErrors.Invalid($"Invalid value: {resources.MemorySwappiness}, valid memory swappiness range is 0-100");
        }

        if (resources.MemoryReservation is not 0 and < MinimumMemory)
        {
            throw ContainerErrors.Invalid("Minimum memory reservation allowed is 6MB");
        }

        if (resources.Memory > 0 && resources.MemoryReservation > resources.Memory)
        {
            throw ContainerErrors.Invalid("Minimum memory limit can not be less than memory reservation limit, see usage");
        }
    }

    private static void ValidateCpu(Resources resources)
    {
        if (resources.NanoCpus != 0)
        {
            if (resources.CpuPeriod > 0)
            {
                throw ContainerErrors.Invalid("Conflicting options: Nano CPUs and CPU Period cannot both be set");
            }

            if (resources.CpuQuota > 0)
            {
                throw ContainerErrors.Invalid("Conflicting options: Nano CPUs and CPU Quota cannot both be set");
            }

            if (resources.NanoCpus < 0 || resources.NanoCpus > Environment.ProcessorCount * 1_000_000_000L)
            {
                throw ContainerErrors.Invalid(string.Create(
                    CultureInfo.InvariantCulture,
                    $"Range of CPUs is from 0.01 to {Environment.ProcessorCount}.00, as there are only {Environment.ProcessorCount} CPUs available"));
            }
        }

        // sched-bwc.rst: a period lasts from 1 ms to 1 s, a quota at least 1 ms.
        if (resources.CpuPeriod is not 0 and (< 1_000 or > 1_000_000))
        {
            throw ContainerErrors.Invalid("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)");
        }

        if (resources.CpuQuota is > 0 and < 1_000)
        {
            throw ContainerErrors.Invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)");
        }

        if (resources.CpuShares < 0)
        {
            throw ContainerErrors.Invalid($"invalid CPU shares ({resources.CpuShares}): value must be a positive integer");
        }
    }

    private static void ValidateSet(string what, string unavailable, string requested, string available)
    {
        if (requested.Length == 0)
        {
            return;
        }

        HashSet<int> wanted = ParseSet(what, requested);
        if (!wanted.IsSubsetOf(ParseSet(what, available)))
        {
            throw ContainerErrors.Invalid($"{unavailable} - requested {requested}, available: {available}");
        }
    }

    /// <summary>Reads a list as in cpuset(7), "List format".</summary>
    private static HashSet<int> ParseSet(string what, string text)
    {
        HashSet<int> numbers = [];
        foreach (string item in text.Split(',', StringSplitOptions.TrimEntries))
        {
            string[] ends = item.Split('-', 2);
            if (!long.TryParse(ends[0], NumberStyles.None, CultureInfo.InvariantCulture, out long first)
                || !long.TryParse(ends[^1], NumberStyles.None, CultureInfo.InvariantCulture, out long last)
                || last < first)
            {
                throw ContainerErrors.Invalid($"Invalid value {text} for {what}: invalid format: {item}");
            }

            if (last >= MaximumCpuNumber)
            {
                throw ContainerErrors.Invalid($"Invalid value {text} for {what}: value of out range, maximum is {MaximumCpuNumber}");
            }

            for (long number = first; number <= last; number++)
            {
                numbers.Add((int)number);
            }
        }

        return numbers;
    }
}
