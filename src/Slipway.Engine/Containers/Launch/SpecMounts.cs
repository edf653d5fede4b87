using Slipway.Api.Containers;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.State;
using Slipway.Engine.Secrets;
using Slipway.Kernel.Users;
using Slipway.Oci.Runtime;

namespace Slipway.Engine.Containers.Launch;

/// <summary>The mounts of a container: Docker's defaults, its network files, then the user's.</summary>
internal static class SpecMounts
{
    public static IReadOnlyList<MountSpec> Build(ContainerSnapshot container, LaunchInputs inputs)
    {
        HostConfig host = container.HostConfig;
        HashSet<string> taken = [.. container.Mounts.Select(mount => mount.Destination)];
        string access = host.Privileged ? "rw" : "ro";
        List<MountSpec> mounts =
        [
            new("/proc", "proc", "proc", ["nosuid", "noexec", "nodev"]),
            new("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
            new("/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            new("/sys", "sysfs", "sysfs", ["nosuid", "noexec", "nodev", access]),
            new("/sys/fs/cgroup", "cgroup", "cgroup", ["nosuid", "noexec", "nodev", access]),
        ];
        AddInterprocess(mounts, host, taken, inputs.SharedMemory);

        // A mount of the user's replaces the default at the same place.
        mounts.RemoveAll(mount => taken.Contains(mount.Destination));
        List<MountSpec> own = [];
        foreach (string name in (ReadOnlySpan<string>)[NetworkFiles.ResolvConf, NetworkFiles.Hostname, NetworkFiles.Hosts])
        {
            string destination = $"/etc/{name}";
            if (!taken.Contains(destination))
            {
                own.Add(new MountSpec(destination, "bind", $"{inputs.Directory}/{name}", Mapped(["rbind", "rprivate"], inputs)));
            }
        }

        own.AddRange(container.Mounts.Select(mount => mount.Type == "tmpfs"
            ? new MountSpec(mount.Destination, "tmpfs", "tmpfs", mount.Options)
            : Bind(mount.IsOwnVolume ? mount with { Options = Mapped(mount.Options, inputs) } : mount, inputs.Users)));

        // What lies deeper comes later, as in Docker: a volume at /etc does not hide /etc/hosts.
        mounts.AddRange(own.OrderBy(mount => mount.Destination.Count(character => character == '/')));
        mounts.AddRange(SecretMounts.Destinations(host).Select(destination => new MountSpec(destination, "bind", "", SecretMounts.Options)));
        return mounts;
    }

    /// <param name="users">The ids of the container's user namespace; null: the host's own.</param>
    internal static MountSpec Bind(ContainerMount mount, IdMaps? users)
    {
        MountSpec spec = new(mount.Destination, "bind", mount.Source, mount.Options);
        if (mount.IdMap is not { } ids)
        {
            return spec;
        }

        spec = spec with { Options = [.. spec.Options, "idmap"] };
        if (ids.Length == 0)
        {
            return spec;
        }

        (IReadOnlyList<IdMappingSpec> uids, IReadOnlyList<IdMappingSpec> gids) = IdMapText.Mappings(ids, users);
        return spec with { UidMappings = uids, GidMappings = gids };
    }

    /// <summary>
    /// The engine's own files show with the ids of the container's user namespace, so that what belongs to root on disk belongs to its root. What is
    /// bound from the host keeps its owners, as in Docker.
    /// </summary>
    private static IReadOnlyList<string> Mapped(IReadOnlyList<string> options, LaunchInputs inputs) => inputs.Users is null ? options : [.. options, "idmap"];

    private static void AddInterprocess(List<MountSpec> mounts, HostConfig host, HashSet<string> taken, string? shared)
    {
        // The queues of the namespace the container is in, be it the host's.
        mounts.Add(new MountSpec("/dev/mqueue", "mqueue", "mqueue", ["nosuid", "noexec", "nodev"]));
        if (shared is not null)
        {
            mounts.Add(new MountSpec("/dev/shm", "bind", shared, ["rbind", "rprivate", "nosuid", "noexec", "nodev"]));
        }
        else if (host.IpcMode != NamespaceModes.None && !taken.Contains("/dev/shm"))
        {
            mounts.Add(new MountSpec("/dev/shm", "tmpfs", "shm", ["nosuid", "noexec", "nodev", "mode=1777", $"size={host.ShmSize}"]));
        }
    }
}
