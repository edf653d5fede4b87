using Slipway.Api.Containers;
using Slipway.Kernel.Cgroups;
using Slipway.Runtime.Confinement;

namespace Slipway.Engine.Containers.Create;

/// <summary>What Docker writes into a host configuration where the request leaves it open.</summary>
internal static class HostConfigDefaults
{
    /// <summary>A new host configuration; the argument is not changed.</summary>
    /// <param name="defaultNetwork">Of a container that names none.</param>
    /// <param name="defaultLog">Of a container that names no log driver; its options are also those of a container that names the same driver.</param>
    public static HostConfig Apply(HostConfig? request, CgroupMode cgroupMode, string defaultNetwork, LogConfig defaultLog, ContainerDefaults defaults)
    {
        HostConfig config = (request ?? new HostConfig()) with { };
        config.NetworkMode = config.NetworkMode is "" or "default" ? defaultNetwork : config.NetworkMode;
        config.IpcMode = config.IpcMode.Length == 0 ? defaults.IpcMode : config.IpcMode;

        // A cgroup namespace hides the host's path; on v1, where containers see named hierarchies, Docker leaves it off.
        config.CgroupnsMode = config.CgroupnsMode.Length > 0 ? config.CgroupnsMode
            : defaults.CgroupNamespace.Length > 0 && !config.Privileged ? defaults.CgroupNamespace
            : cgroupMode == CgroupMode.V2 && !config.Privileged ? NamespaceModes.Private
            : NamespaceModes.Host;
        config.ShmSize = config.ShmSize == 0 ? defaults.ShmSize : config.ShmSize;
        ApplyNames(config, defaults);
        if (defaults.Ulimits.Count > 0)
        {
            config.Ulimits = [.. config.Ulimits ?? [], .. defaults.Ulimits.Where(limit => config.Ulimits?.Exists(own => own.Name == limit.Name) != true)];
        }

        config.LogConfig = Merge(config.LogConfig, defaultLog);
        config.RestartPolicy = config.RestartPolicy.Name.Length == 0 ? new RestartPolicy("no", config.RestartPolicy.MaximumRetryCount) : config.RestartPolicy;
        config.PortBindings ??= [];
        config.ConsoleSize ??= [0, 0];

        // The kernel has no such limits any more; since API 1.42 Docker passes over them.
        config.KernelMemory = 0;
        config.KernelMemoryTCP = 0;
        config.OomKillDisable ??= false;
        config.MemorySwappiness = config.MemorySwappiness == -1 ? null : config.MemorySwappiness;
        config.PidsLimit = config.PidsLimit <= 0 ? null : config.PidsLimit;
        config.MemorySwap = config is { Memory: > 0, MemorySwap: 0 } ? config.Memory * 2 : config.MemorySwap;
        config.MaskedPaths ??= config.Privileged ? [] : [.. SystemPaths.Masked];
        config.ReadonlyPaths ??= config.Privileged ? [] : [.. SystemPaths.Readonly];
        config.Runtime = string.IsNullOrEmpty(config.Runtime) ? defaults.Runtime : config.Runtime;
        return config;
    }

    /// <summary>Who shares another container's network has that one's resolver.</summary>
    private static void ApplyNames(HostConfig config, ContainerDefaults defaults)
    {
        if (NamespaceModes.SharedWith(config.NetworkMode) is not null)
        {
            return;
        }

        config.Dns = Pick(config.Dns, defaults.Dns);
        config.DnsSearch = Pick(config.DnsSearch, defaults.DnsSearch);
        config.DnsOptions = Pick(config.DnsOptions, defaults.DnsOptions);

        static List<string>? Pick(List<string>? own, IReadOnlyList<string> others) => own is { Count: > 0 } || others.Count == 0 ? own : [.. others];
    }

    private static LogConfig Merge(LogConfig request, LogConfig defaults)
    {
        Dictionary<string, string> options = request.Type.Length == 0 || request.Type == defaults.Type ? new(defaults.Config ?? []) : [];
        foreach ((string key, string value) in request.Config ?? [])
        {
            options[key] = value;
        }

        return new LogConfig { Type = request.Type.Length == 0 ? defaults.Type : request.Type, Config = options };
    }
}
