using Microsoft.Win32.SafeHandles;
using Slipway.Engine.Containers.Launch;
using Slipway.Engine.Containers.State;
using Slipway.Kernel.Files;
using Slipway.Kernel.Mounts;
using Slipway.Storage;

namespace Slipway.Engine.Containers.Copy;

/// <summary>
/// What is mounted in a container that does not run, for those who copy: its binds, volumes and images, and the files of its network identity. A
/// tmpfs holds nothing while nobody runs.
/// </summary>
internal static class OfflineMounts
{
    /// <param name="container">With its volumes mounted.</param>
    /// <param name="directory">The container's own on the host.</param>
    /// <returns>Detached mounts, owned by the caller.</returns>
    public static List<PlacedMount> Open(ContainerSnapshot container, string directory, DataRoot data)
    {
        List<PlacedMount> mounts = [];
        try
        {
            foreach (string name in (ReadOnlySpan<string>)[NetworkFiles.ResolvConf, NetworkFiles.Hostname, NetworkFiles.Hosts])
            {
                HostPath file = new HostPath(directory) / name;
                string destination = $"/etc/{name}";
                if (Exists(file) && container.Mounts.All(mount => mount.Destination != destination))
                {
                    mounts.Add(new PlacedMount(Prepare(MountTree.Clone(file, recursive: false), recursive: false, readOnly: false), destination));
                }
            }

            foreach (ContainerMount mount in container.Mounts.Where(mount => mount.Type != "tmpfs"))
            {
                mounts.Add(new PlacedMount(Open(mount, data), mount.Destination));
            }

            return mounts;
        }
        catch
        {
            mounts.ForEach(mount => mount.Tree.Dispose());
            throw;
        }
    }

    private static bool Exists(HostPath file)
    {
        using SafeFileHandle? found = file.TryOpen(OpenFlags.Path);
        return found is not null;
    }

    private static SafeFileHandle Open(ContainerMount mount, DataRoot data)
    {
        bool recursive = !mount.Options.Contains("bind");
        return Prepare(MountSources.Clone(mount, recursive, data), recursive, mount.ReadOnly);
    }

    private static SafeFileHandle Prepare(SafeFileHandle tree, bool recursive, bool readOnly)
    {
        try
        {
            // A copy of a shared mount is its peer: mount points made below would show on the host.
            MountTree.Change(tree, new MountAttributeChange(MountAttributes.None, MountAttributes.None, MountPropagation.Private), recursive);
            if (readOnly)
            {
                MountTree.Change(tree, new MountAttributeChange(MountAttributes.ReadOnly, MountAttributes.None), recursive: false);
            }

            return tree;
        }
        catch
        {
            tree.Dispose();
            throw;
        }
    }
}
