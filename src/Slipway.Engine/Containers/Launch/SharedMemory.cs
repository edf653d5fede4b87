using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Mounts;
using Slipway.Kernel.Users;

namespace Slipway.Engine.Containers.Launch;

/// <summary>
/// The /dev/shm of containers that others may join (<c>--ipc shareable</c>): a tmpfs mounted in the exec root, <c>shm/ID</c>, as long as the container
/// runs. It is on the host because a mount that lies in a container's namespace alone cannot be bound elsewhere (open_tree(2), EINVAL), and because it
/// has to be found by the engine after this one. Who has joined keeps the file system when it is unmounted here.
/// </summary>
internal sealed class SharedMemory(string execRoot)
{
    private const uint Private = 0x1C0; // 0700

    private readonly HostPath _directory = new HostPath(execRoot) / "shm";

    /// <summary>Where the container's memory is mounted.</summary>
    public string PathOf(string id) => (_directory / id).Value;

    /// <summary>Mounts an empty one; what an earlier run left is taken away first.</summary>
    /// <param name="size">Bytes it may take.</param>
    /// <param name="users">Of the container's user namespace, whose root owns it; null: the host's root does.</param>
    /// <exception cref="KernelException">The kernel refused.</exception>
    public void Mount(string id, long size, IdMaps? users)
    {
        Unmount(id);
        (_directory / id).CreateDirectories(Private);
        (uint user, uint group) = users?.Root ?? (0, 0);
        using SafeFileHandle tree = FileSystemContext.Mount(
            "tmpfs", MountAttributes.NoSetId | MountAttributes.NoDevices | MountAttributes.NoExecute, "source=shm", "mode=1777", $"size={size}", $"uid={user}", $"gid={group}");
        using SafeFileHandle target = (_directory / id).Open(OpenFlags.Path | OpenFlags.Directory | OpenFlags.NoFollow);
        MountTree.Attach(tree, target);
    }

    public bool IsMounted(string id)
    {
        using SafeFileHandle? directory = (_directory / id).TryOpen(OpenFlags.Path | OpenFlags.Directory | OpenFlags.NoFollow);
        return directory is not null && FileStatus.Of(directory).IsMountRoot;
    }

    /// <summary>Nothing happens where there is none.</summary>
    public void Unmount(string id)
    {
        while (IsMounted(id))
        {
            MountTree.Unmount(_directory / id, detach: true);
        }

        using SafeFileHandle? directory = _directory.TryOpen(OpenFlags.Directory | OpenFlags.NoFollow);
        if (directory is not null && FileStatus.TryOf(directory, id) is not null)
        {
            DirectoryEntry.RemoveDirectory(directory, id);
        }
    }

    /// <summary>After the end of an engine: takes away those of containers that do not run.</summary>
    public void Sweep(Func<string, bool> runs)
    {
        using SafeFileHandle? directory = _directory.TryOpen(OpenFlags.Directory | OpenFlags.NoFollow);
        if (directory is null)
        {
            return;
        }

        foreach (string id in new DirectoryListing(directory).Select(entry => Encoding.UTF8.GetString(entry.Name)).Where(id => !runs(id)).ToList())
        {
            Unmount(id);
        }
    }
}
