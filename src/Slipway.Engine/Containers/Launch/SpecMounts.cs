using Slipway.Api.Containers;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.State;
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
        AddInterprocess(mounts, host, taken);
        foreach (string name in (ReadOnlySpan<string>)[NetworkFiles.ResolvConf, NetworkFiles.Hostname, NetworkFiles.Hosts])
        {
            string destination = $"/etc/{name}";
            if (!taken.Contains(destination))
            {
                mounts.Add(new MountSpec(destination, "bind", $"{inputs.Directory}/{name}", Mapped(["rbind", "rprivate"], inputs)));
            }
        }

        // A mount of the user's replaces the default at the same place.
        mounts.RemoveAll(mount => taken.Contains(mount.Destination));
        foreach (ContainerMount mount in container.Mounts)
        {
            mounts.Add(mount.Type == "tmpfs"
                ? new MountSpec(mount.Destination, "tmpfs", "tmpfs", mount.Options)
                : new MountSpec(mount.Destination, "bind", mount.Source, mount.IsOwnVolume ? Mapped(mount.Options, inputs) : mount.Options));
        }

        return mounts;
    }

    /// <summary>
    /// The engine's own files show with the ids of the container's user namespace, so that what belongs to root on disk belongs to its root. What is
    /// bound from the host keeps its owners, as in Docker.
    /// </summary>
    private static IReadOnlyList<string> Mapped(IReadOnlyList<string> options, LaunchInputs inputs) => inputs.Users is null ? options : [.. options, "idmap"];

    private static void AddInterprocess(List<MountSpec> mounts, HostConfig host, HashSet<string> taken)
    {
        if (host.IpcMode == NamespaceModes.Host)
        {
            foreach (string path in (ReadOnlySpan<string>)["/dev/shm", "/dev/mqueue"])
            {
                if (!Path.Exists(path))
                {
                    throw ContainerErrors.Invalid($"{path} is not mounted, but must be for --ipc=host");
                }
            }

            mounts.Add(new MountSpec("/dev/mqueue", "bind", "/dev/mqueue", ["rbind", "rprivate", "nosuid", "noexec", "nodev"]));
            mounts.Add(new MountSpec("/dev/shm", "bind", "/dev/shm", ["rbind", "rprivate", "nosuid", "noexec", "nodev"]));
            return;
        }

        mounts.Add(new MountSpec("/dev/mqueue", "mqueue", "mqueue", ["nosuid", "noexec", "nodev"]));
        if (host.IpcMode != NamespaceModes.None && !taken.Contains("/dev/shm"))
        {
            mounts.Add(new MountSpec("/dev/shm", "tmpfs", "shm", ["nosuid", "noexec", "nodev", "mode=1777", $"size={host.ShmSize}"]));
        }
    }
}
