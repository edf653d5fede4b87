using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Mounts;
using Slipway.Kernel.Process;

namespace Slipway.Runtime.Compilation;

/// <summary>Masked and read-only paths (config-linux.md). What the container's tree does not have is left out.</summary>
internal sealed class PlanMasks(LaunchPlan plan, PlanArgument root, RootView view)
{
    private const MountAttributes Locked = MountAttributes.ReadOnly | MountAttributes.NoSetId | MountAttributes.NoExecute;

    private static readonly Lazy<SafeFileHandle> s_null = new(OpenNull);

    /// <summary>Files are covered by /dev/null, directories by an empty read-only tmpfs.</summary>
    public void Mask(string path)
    {
        if (Find(path) is not (var canonical, var isDirectory))
        {
            return;
        }

        SafeFileHandle cover = isDirectory ? FileSystemContext.Mount("tmpfs", Locked | MountAttributes.NoDevices, "source=tmpfs", "nr_blocks=1", "nr_inodes=2") : CoverFile();
        PlanArgument mount = plan.Own(cover);
        int target = plan.OpenBelow(root, canonical, OpenFlags.Path | (isDirectory ? OpenFlags.Directory : 0), Resolution.Canonical, "mask");
        plan.MoveMount(mount, PlanArgument.ResultOf(target), canonical);
    }

    /// <summary>Bound onto itself, and that mount and all below it read-only.</summary>
    public void MakeReadOnly(string path)
    {
        if (Find(path) is not (var canonical, var isDirectory))
        {
            return;
        }

        string display = new PathName(canonical).ToString();
        int target = plan.OpenBelow(root, canonical, OpenFlags.Path | (isDirectory ? OpenFlags.Directory : 0), Resolution.Canonical, "read-only");
        int tree = plan.CloneTree(PlanArgument.ResultOf(target), display);
        plan.ChangeMount(PlanArgument.ResultOf(tree), MountAttributeChange.Of(MountAttributes.ReadOnly, 0), recursive: true, $"\"{display}\" read-only");
        plan.MoveMount(PlanArgument.ResultOf(tree), PlanArgument.ResultOf(target), canonical);
    }

    private (byte[] Canonical, bool IsDirectory)? Find(string path)
    {
        int errno = view.TryResolve(path, out ResolvedPath found);
        if (errno is Errno.ENOENT or Errno.ENOTDIR)
        {
            return null;
        }

        if (errno != 0)
        {
            throw new KernelException($"\"{path}\"", errno);
        }

        if (found.Descriptor is { } descriptor)
        {
            using (descriptor)
            {
                return (found.Path, FileStatus.Of(descriptor).IsDirectory);
            }
        }

        return view.Sample(found.Path) is FileType type ? (found.Path, type == FileType.Directory) : null;
    }

    private static SafeFileHandle CoverFile()
    {
        SafeFileHandle tree = MountTree.Clone(s_null.Value, recursive: false);
        try
        {
            MountTree.Change(tree, MountAttributeChange.Of(Locked, 0, MountPropagation.Private), recursive: false);
            return tree;
        }
        catch
        {
            tree.Dispose();
            throw;
        }
    }

    /// <summary>The host's /dev/null, opened once and known by its number, never by a name inside a container (CVE-2025-31133).</summary>
    private static SafeFileHandle OpenNull()
    {
        SafeFileHandle file = new HostPath("/dev/null").Open(OpenFlags.Path | OpenFlags.NoFollow);
        FileStatus status = FileStatus.Of(file);
        if (status.Type == FileType.CharacterDevice && status.SpecialDevice == new DeviceNumber(1, 3))
        {
            return file;
        }

        file.Dispose();
        throw new KernelException("open /dev/null: it is not the null device", Errno.ENXIO);
    }
}
