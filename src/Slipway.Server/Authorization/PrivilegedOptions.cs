using Slipway.Api.Containers;
using Slipway.Api.Exec;
using Slipway.Api.Networks;
using Slipway.Api.Volumes;
using Slipway.Engine;

namespace Slipway.Server.Authorization;

/// <summary>
/// The options by which a container gets power over its host, found in the object that was parsed and will be executed, not in the request's text
/// (CVE-2024-41110). A field of the API that is neither looked at here nor listed as harmless fails a unit test.
/// </summary>
internal static class PrivilegedOptions
{
    /// <summary>Without an influence on the host beyond the container's own resources.</summary>
    internal static readonly HashSet<string> HarmlessFields = new(StringComparer.Ordinal)
    {
        nameof(HostConfig.ContainerIDFile), nameof(HostConfig.PortBindings), nameof(HostConfig.RestartPolicy), nameof(HostConfig.AutoRemove), nameof(HostConfig.ConsoleSize),
        nameof(HostConfig.CapDrop), nameof(HostConfig.Dns), nameof(HostConfig.DnsOptions), nameof(HostConfig.DnsSearch), nameof(HostConfig.ExtraHosts), nameof(HostConfig.GroupAdd),
        nameof(HostConfig.PublishAllPorts), nameof(HostConfig.ReadonlyRootfs), nameof(HostConfig.StorageOpt), nameof(HostConfig.Tmpfs), nameof(HostConfig.ShmSize), nameof(HostConfig.Sysctls),
        nameof(HostConfig.Isolation), nameof(HostConfig.Init), nameof(Resources.CpuShares), nameof(Resources.Memory), nameof(Resources.NanoCpus), nameof(Resources.BlkioWeight),
        nameof(Resources.BlkioWeightDevice), nameof(Resources.BlkioDeviceReadBps), nameof(Resources.BlkioDeviceWriteBps), nameof(Resources.BlkioDeviceReadIOps),
        nameof(Resources.BlkioDeviceWriteIOps), nameof(Resources.CpuPeriod), nameof(Resources.CpuQuota), nameof(Resources.CpuRealtimePeriod), nameof(Resources.CpuRealtimeRuntime),
        nameof(Resources.CpusetCpus), nameof(Resources.CpusetMems), nameof(Resources.KernelMemory), nameof(Resources.KernelMemoryTCP), nameof(Resources.MemoryReservation),
        nameof(Resources.MemorySwap), nameof(Resources.MemorySwappiness), nameof(Resources.PidsLimit), nameof(Resources.Ulimits), nameof(Resources.CpuCount), nameof(Resources.CpuPercent),
        nameof(ContainerUpdateRequest.PublishAdd), nameof(ContainerUpdateRequest.PublishRemove), nameof(ContainerUpdateRequest.MountsRemove), nameof(ContainerUpdateRequest.Env),
        nameof(Resources.IOMaximumIOps), nameof(Resources.IOMaximumBandwidth),
    };

    /// <summary>Fields that <see cref="Of(HostConfig)"/> or <see cref="ObjectScope"/> look at.</summary>
    internal static readonly HashSet<string> ExaminedFields = new(StringComparer.Ordinal)
    {
        nameof(HostConfig.Binds), nameof(HostConfig.LogConfig), nameof(HostConfig.NetworkMode), nameof(HostConfig.VolumeDriver), nameof(HostConfig.VolumesFrom), nameof(HostConfig.Annotations),
        nameof(HostConfig.CapAdd), nameof(HostConfig.CgroupnsMode), nameof(HostConfig.IpcMode), nameof(HostConfig.Cgroup), nameof(HostConfig.Links), nameof(HostConfig.OomScoreAdj),
        nameof(HostConfig.PidMode), nameof(HostConfig.Privileged), nameof(HostConfig.SecurityOpt), nameof(HostConfig.UTSMode), nameof(HostConfig.UsernsMode), nameof(HostConfig.Runtime),
        nameof(HostConfig.Mounts), nameof(HostConfig.MaskedPaths), nameof(HostConfig.ReadonlyPaths), nameof(HostConfig.Requires), nameof(HostConfig.Secrets), nameof(Resources.CgroupParent), nameof(Resources.Devices),
        nameof(ContainerUpdateRequest.MountsAdd), nameof(ContainerUpdateRequest.Labels), nameof(ContainerUpdateRequest.LabelsRemove), nameof(ContainerUpdateRequest.Judged), nameof(Resources.DeviceCgroupRules), nameof(Resources.DeviceRequests), nameof(Resources.OomKillDisable),
    };

    private const string Privileged = "privileged";
    private const string Binds = "binds";
    private const string AddedCapability = "cap-add";
    private const string NetworkOptions = "network-options";
    private const string VolumeDriver = "volume-driver";
    private const string VolumeOptions = "volume-options";

    private static readonly HashSet<string> s_names = new(StringComparer.Ordinal)
    {
        Privileged, AddedCapability, NetworkOptions, VolumeDriver, VolumeOptions, Binds, "annotations", "cgroup-parent", "devices", "host-cgroupns", "host-ipc", "host-network", "host-pid",
        "host-userns", "host-uts", "log-driver", "oom", "runtime", "security-opt", "system-paths",
    };

    /// <summary>Whether a policy may name it; a capability by <c>cap-add:NAME</c>.</summary>
    public static bool Exists(string option) => s_names.Contains(option) || option.StartsWith(AddedCapability + ":", StringComparison.Ordinal);

    /// <summary>The options a request needs; none for one that asks for nothing of the kind.</summary>
    public static IEnumerable<string> Of(object request) => request switch
    {
        ContainerCreateRequest create => Of(create.HostConfig ?? new HostConfig()),
        ContainerUpdateRequest update => Of((Resources)update).Concat(OfMounts(update.MountsAdd)).Distinct(StringComparer.Ordinal),
        ExecCreateRequest { Privileged: true } => [Privileged],

        // A directory of the host is written to, or read.
        CheckpointCreateRequest { CheckpointDir.Length: > 0 } => [Binds],
        NetworkCreateRequest { Options.Count: > 0 } => [NetworkOptions],
        VolumeCreateRequest volume => OfVolume(volume.Driver, volume.DriverOpts),
        _ => [],
    };

    /// <summary>The options that another container's namespaces and mounts bring with them.</summary>
    public static IEnumerable<string> Inherited(HostConfig host, Func<string, ContainerInspect> inspect)
    {
        foreach (string mode in (string[])[host.NetworkMode, host.PidMode, host.IpcMode])
        {
            for (string? shared = SharedWith(mode); shared is not null;)
            {
                ContainerInspect other = inspect(shared);
                string next = mode == host.NetworkMode ? other.HostConfig.NetworkMode : mode == host.PidMode ? other.HostConfig.PidMode : other.HostConfig.IpcMode;
                if (next == "host")
                {
                    yield return mode == host.NetworkMode ? "host-network" : mode == host.PidMode ? "host-pid" : "host-ipc";
                }

                shared = SharedWith(next);
            }
        }

        foreach (string source in host.VolumesFrom ?? [])
        {
            if (inspect(source.Split(':')[0]).Mounts.Any(mount => mount.Type == "bind"))
            {
                yield return Binds;
            }
        }
    }

    /// <summary>The reference in <c>container:x</c>, or null.</summary>
    public static string? SharedWith(string mode) =>
        mode.StartsWith("container:", StringComparison.Ordinal) ? mode["container:".Length..] : null;

    private static IEnumerable<string> Of(HostConfig host) => new (bool Used, string Option)[]
    {
        (host.Privileged, Privileged),
        (host.Annotations is { Count: > 0 }, "annotations"),
        ((host.Binds ?? []).Any(bind => bind.StartsWith('/') && bind.Contains(':', StringComparison.Ordinal)), Binds),
        (host.Cgroup.Length > 0, "cgroup-parent"),
        (host.CgroupnsMode is not ("" or "private"), "host-cgroupns"),
        (host.IpcMode is not ("" or "none" or "private" or "shareable") && SharedWith(host.IpcMode) is null, "host-ipc"),
        (host.NetworkMode == "host", "host-network"),
        (host.PidMode is not ("" or "private") && SharedWith(host.PidMode) is null, "host-pid"),
        (host.UsernsMode is not ("" or "private"), "host-userns"),
        (host.UTSMode.Length > 0, "host-uts"),
        (host.LogConfig.Type is not ("" or "json-file" or "local" or "none"), "log-driver"),
        (host.OomScoreAdj < 0, "oom"),
        (host.Runtime is not (null or "" or EngineOptions.OwnRuntime or "runc"), "runtime"),
        ((host.SecurityOpt ?? []).Any(option => option is not ("no-new-privileges" or "no-new-privileges:true" or "no-new-privileges=true")), "security-opt"),
        (host.MaskedPaths is not null || host.ReadonlyPaths is not null, "system-paths"),
        (host.VolumeDriver is not ("" or "local"), VolumeDriver),
    }
        .Where(option => option.Used).Select(option => option.Option)
        .Concat((host.CapAdd ?? []).Select(capability => $"{AddedCapability}:{CapabilityName(capability)}"))
        .Concat(OfMounts(host.Mounts))
        .Concat(Of((Resources)host))
        .Distinct(StringComparer.Ordinal);

    private static IEnumerable<string> Of(Resources resources)
    {
        if (resources.CgroupParent.Length > 0)
        {
            yield return "cgroup-parent";
        }

        if (resources.Devices is { Count: > 0 } || resources.DeviceCgroupRules is { Count: > 0 } || resources.DeviceRequests is { Count: > 0 })
        {
            yield return "devices";
        }

        if (resources.OomKillDisable == true)
        {
            yield return "oom";
        }
    }

    private static IEnumerable<string> OfMounts(List<Mount>? mounts) => (mounts ?? []).SelectMany(mount => mount.Type is "volume" or "tmpfs" or "image"
        ? OfVolume(mount.VolumeOptions?.DriverConfig?.Name, mount.VolumeOptions?.DriverConfig?.Options)
        : [Binds]);

    /// <summary>The local driver's options mount what of the host they name.</summary>
    private static IEnumerable<string> OfVolume(string? driver, Dictionary<string, string>? options)
    {
        if (driver is not (null or "" or "local"))
        {
            yield return VolumeDriver;
        }

        if (options is { Count: > 0 })
        {
            yield return VolumeOptions;
        }
    }

    private static string CapabilityName(string capability)
    {
        string name = capability.ToUpperInvariant();
        return name.StartsWith("CAP_", StringComparison.Ordinal) ? name[4..] : name;
    }
}
