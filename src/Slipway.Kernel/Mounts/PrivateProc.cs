using Slipway.Kernel.Files;

namespace Slipway.Kernel.Mounts;

/// <summary>
/// A procfs nobody else can reach: mounted for this process alone and attached nowhere, so nothing can be mounted over any of its
/// files (CVE-2025-52881). Writes that confine a container go through it.
/// </summary>
public static class PrivateProc
{
    private static readonly Lazy<RootDirectory> s_root = new(Mount);

    /// <summary>Its root, for the life of the process. Paths are to be opened with <see cref="Strict"/>.</summary>
    public static RootDirectory Root => s_root.Value;

    public const Resolution Strict = Resolution.Beneath | Resolution.NoCrossDevice | Resolution.NoMagicLinks;

    /// <summary>
    /// Another one, for settings below <c>sys/net</c>. A procfs keeps what it has found of every network namespace under one name each, and looks through all
    /// of them (proc_sys_compare in fs/proc/proc_sysctl.c): with a thousand namespaces a lookup takes a thousand times as long.
    /// </summary>
    public static RootDirectory Mount()
    {
        var root = new RootDirectory(FileSystemContext.Mount("proc", MountAttributes.NoSetId | MountAttributes.NoDevices | MountAttributes.NoExecute));
        if (Files.Descriptors.FileSystemType(root.Descriptor) != Files.Descriptors.ProcSuperMagic)
        {
            throw new KernelException("mount a procfs", Errno.EINVAL);
        }

        return root;
    }
}
