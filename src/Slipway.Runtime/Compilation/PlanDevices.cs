using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Process;
using Slipway.Kernel.Users;
using Slipway.Oci.Runtime;

namespace Slipway.Runtime.Compilation;

/// <summary>
/// The content of /dev, made by the parent in the tmpfs before anything can see it. Where /dev is a mount of the host's, it is left alone
/// (as runc does).
/// </summary>
internal static class PlanDevices
{
    private static readonly DeviceSpec[] s_default =
    [
        new("/dev/null", "c", 1, 3), new("/dev/zero", "c", 1, 5), new("/dev/full", "c", 1, 7),
        new("/dev/random", "c", 1, 8), new("/dev/urandom", "c", 1, 9), new("/dev/tty", "c", 5, 0),
    ];

    private static readonly (string Name, string Target)[] s_links =
    [
        ("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"), ("stderr", "/proc/self/fd/2"), ("ptmx", "pts/ptmx"),
    ];

    /// <summary>Device nodes and links; those of the specification replace the defaults of the same path.</summary>
    /// <param name="maps">Of the container's user namespace, or null.</param>
    public static void Create(PlanMounts mounts, IReadOnlyList<DeviceSpec> devices, IdMaps? maps)
    {
        if (maps is not null)
        {
            // A container sees ids of its own only; the owner of a device may be none of them, and then the device is its root's.
            devices = [.. devices.Select(device => device with { Uid = maps.Users.Outside(device.Uid) ?? maps.Root.UserId, Gid = maps.Groups.Outside(device.Gid) ?? maps.Root.GroupId })];
        }

        foreach (DeviceSpec device in devices)
        {
            if (mounts.Dev is not null || !device.Path.StartsWith("/dev/", StringComparison.Ordinal))
            {
                Create(mounts.View, device);
            }
        }

        if (mounts.Dev is not { } dev)
        {
            return;
        }

        foreach (DeviceSpec device in s_default)
        {
            if (!devices.Any(d => d.Path == device.Path))
            {
                CreateNode(dev, Encoding.UTF8.GetBytes(device.Path[5..]), device);
            }
        }

        foreach ((string name, string target) in s_links)
        {
            CreateLink(dev, name, target);
        }

        // The host's kernel decides whether there is a /proc/kcore.
        if (mounts.View.Sample("/proc/kcore"u8.ToArray()) is not null)
        {
            CreateLink(dev, "core", "/proc/kcore");
        }
    }

    /// <summary>
    /// /dev/console: the container's own terminal, bound from the devpts inside the new root. Nobody but the plan has run there yet, so
    /// what lies at that place is what the plan mounted (CVE-2025-52565).
    /// </summary>
    public static void BindConsole(LaunchPlan plan, PlanArgument root, PlanMounts mounts, int terminalNumber)
    {
        if (mounts.Dev is null)
        {
            return;
        }

        ResolvedPath console = mounts.View.Ensure("/dev/console"u8, MissingPath.CreateFile, new NewEntry(0x180));
        console.Descriptor?.Dispose();
        string name = $"/dev/pts/{terminalNumber}";
        int terminal = plan.OpenBelow(root, Encoding.UTF8.GetBytes(name), OpenFlags.Path, Resolution.Canonical);
        int tree = plan.CloneTree(PlanArgument.ResultOf(terminal), name);
        int target = plan.OpenBelow(root, console.Path, OpenFlags.Path, Resolution.Canonical);
        plan.MoveMount(PlanArgument.ResultOf(tree), PlanArgument.ResultOf(target), console.Path);
    }

    private static void Create(RootView view, DeviceSpec device)
    {
        int slash = device.Path.LastIndexOf('/');
        if (!device.Path.StartsWith('/') || slash == device.Path.Length - 1)
        {
            throw PlanException.Invalid($"invalid device path \"{device.Path}\"");
        }

        try
        {
            ResolvedPath directory = view.Ensure(slash == 0 ? "/" : device.Path[..slash], MissingPath.CreateDirectory, new NewEntry(0x1ED));
            using SafeFileHandle parent = directory.Descriptor ?? throw new KernelException($"\"{directory}\"", Errno.EROFS);
            CreateNode(parent, Encoding.UTF8.GetBytes(device.Path[(slash + 1)..]), device);
        }
        catch (KernelException e)
        {
            throw PlanException.Invalid($"error creating device \"{device.Path}\": {e.Message}", e);
        }
    }

    private static void CreateNode(SafeFileHandle directory, byte[] name, DeviceSpec device)
    {
        FileType type = device.Type switch
        {
            "c" or "u" => FileType.CharacterDevice,
            "b" => FileType.BlockDevice,
            "p" => FileType.Fifo,
            _ => throw PlanException.Invalid($"invalid type \"{device.Type}\" of device \"{device.Path}\""),
        };
        try
        {
            DirectoryEntry.CreateNode(directory, name, type, device.FileMode & 0x1FF, new DeviceNumber((uint)device.Major, (uint)device.Minor));
        }
        catch (KernelException e) when (e.Errno == Errno.EEXIST)
        {
            return; // Something is mounted there, or the image has it.
        }

        // mknod(2) obeys the umask.
        DirectoryEntry.ChangeMode(directory, name, device.FileMode & 0x1FF);
        if (device.Uid != 0 || device.Gid != 0)
        {
            DirectoryEntry.ChangeOwner(directory, name, device.Uid, device.Gid);
        }
    }

    private static void CreateLink(SafeFileHandle directory, string name, string target)
    {
        try
        {
            DirectoryEntry.CreateSymbolicLink(directory, name, target);
        }
        catch (KernelException e) when (e.Errno == Errno.EEXIST)
        {
            // A device or mount of that name was asked for.
        }
    }
}
