using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;

namespace Slipway.Kernel.Mounts;

/// <summary>A mount to be placed in a <see cref="NamespaceView"/>.</summary>
/// <param name="Tree">Detached; owned by the receiver.</param>
/// <param name="Destination">Absolute, seen from the view's root. Resolved inside it; made where it is missing.</param>
public readonly record struct PlacedMount(SafeFileHandle Tree, string Destination);

/// <summary>
/// A tree of mounts in a mount namespace that is not this process' own, seen from outside: paths are resolved below
/// <see cref="Root"/> by descriptor, nobody enters the namespace, and nothing of it is ever executed (CVE-2019-14271). The
/// namespace, and with it every mount below the root, stays as long as the view, whatever its processes do.
/// </summary>
public sealed class NamespaceView : IDisposable
{
    private const uint MountPointMode = 0x1ED; // 0755

    private readonly SafeFileHandle _namespace;

    private NamespaceView(SafeFileHandle root, SafeFileHandle mountNamespace)
    {
        Root = new RootDirectory(root);
        _namespace = mountNamespace;
    }

    public RootDirectory Root { get; }

    /// <summary>A descriptor of the mount namespace, for a child that enters it (setns(2)).</summary>
    public SafeFileHandle DuplicateNamespace() => Descriptors.Duplicate(_namespace);

    /// <summary>What a process sees; null where it has ended. The caller makes sure that the process id is still the process' own.</summary>
    public static NamespaceView? TryOfProcess(int pid)
    {
        var process = new HostPath($"/proc/{pid}");
        SafeFileHandle? mounts = null;
        try
        {
            // Links of procfs that lead to the very objects; a process that has ended has none.
            mounts = (process / "ns" / "mnt").TryOpen(OpenFlags.ReadOnly);
            SafeFileHandle? root = mounts is null ? null : (process / "root").TryOpen(OpenFlags.Path | OpenFlags.Directory);
            if (root is not null)
            {
                return new NamespaceView(root, mounts!);
            }

            mounts?.Dispose();
            return null;
        }
        catch (KernelException e) when (e.Errno == Errno.ESRCH)
        {
            mounts?.Dispose();
            return null;
        }
    }

    /// <summary>
    /// Attaches mounts to a root file system in a namespace made for it. Each mount point is resolved, made and mounted on by descriptor
    /// (CVE-2026-41568, CVE-2026-42306).
    /// </summary>
    /// <param name="rootfs">Detached; owned by the view.</param>
    /// <param name="mounts">In this order.</param>
    /// <param name="readOnly">Makes the root file system read-only once the mount points are there.</param>
    public static NamespaceView Assemble(SafeFileHandle rootfs, IReadOnlyList<PlacedMount> mounts, bool readOnly)
    {
        // unshare(CLONE_NEWNS) changes the calling thread only, for good: the thread ends with it, the namespace stays with its descriptor.
        NamespaceView? view = null;
        ExceptionDispatchInfo? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                view = Build(rootfs, mounts, readOnly);
            }
            catch (KernelException e)
            {
                failure = ExceptionDispatchInfo.Capture(e);
            }
        }, 256 * 1024)
        { Name = "assemble mounts", IsBackground = true };
        thread.Start();
        thread.Join();
        foreach (PlacedMount mount in mounts)
        {
            mount.Tree.Dispose();
        }

        if (failure is not null)
        {
            rootfs.Dispose();
            failure.Throw();
        }

        return view!;
    }

    public void Dispose()
    {
        Root.Dispose();
        _namespace.Dispose();
    }

    private static NamespaceView Build(SafeFileHandle rootfs, IReadOnlyList<PlacedMount> mounts, bool readOnly)
    {
        EnterNewNamespace();
        var own = new HostPath("/proc/thread-self/ns/mnt").Open(OpenFlags.ReadOnly);
        try
        {
            // Any place will do, this one hides nothing: who has a root directory already stays below what is mounted over it.
            using SafeFileHandle top = new HostPath("/").Open(OpenFlags.Path | OpenFlags.Directory);
            MountTree.Attach(rootfs, top);

            // Not disposed: it is the view's descriptor.
            var root = new RootDirectory(rootfs);
            foreach (PlacedMount mount in mounts)
            {
                Place(root, mount);
            }

            if (readOnly)
            {
                MountTree.Change(rootfs, MountAttributeChange.Of(MountAttributes.ReadOnly, MountAttributes.None), recursive: false);
            }

            return new NamespaceView(rootfs, own);
        }
        catch
        {
            own.Dispose();
            throw;
        }
    }

    private static void Place(RootDirectory root, PlacedMount mount)
    {
        ResolvedPath target = FileStatus.Of(mount.Tree).IsDirectory
            ? root.EnsureDirectory(mount.Destination, MountPointMode)
            : root.EnsureFile(mount.Destination, MountPointMode);
        using (target.Descriptor)
        {
            MountTree.Attach(mount.Tree, target.Descriptor!);
        }
    }

    private static unsafe void EnterNewNamespace()
    {
        if (NativeMounts.Unshare(NativeMounts.CLONE_NEWNS) != 0)
        {
            throw new KernelException("unshare the mount namespace", Marshal.GetLastPInvokeError());
        }

        fixed (byte* root = "/\0"u8)
        {
            if (NativeMounts.Mount(null, root, null, NativeMounts.MS_REC | NativeMounts.MS_PRIVATE, null) != 0)
            {
                throw new KernelException("make the mounts private", Marshal.GetLastPInvokeError());
            }
        }
    }
}
