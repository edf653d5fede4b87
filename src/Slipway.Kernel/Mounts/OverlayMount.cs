using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;

namespace Slipway.Kernel.Mounts;

/// <summary>How the layers are named to the kernel.</summary>
public enum OverlayMethod
{
    /// <summary>The first of the following that the kernel knows.</summary>
    Automatic,

    /// <summary>One <c>lowerdir+</c> a layer, by descriptor (Linux 6.13).</summary>
    Descriptors,

    /// <summary>One <c>lowerdir+</c> a layer, as <c>/proc/self/fd/N</c> (Linux 6.8).</summary>
    Strings,

    /// <summary>
    /// mount(2) on a thread with a mount namespace of its own, the layers as <c>/proc/self/fd/N</c> in one option string, and the mount
    /// taken out of it by open_tree(2). For kernels whose fsconfig(2) takes the layers only in one string of 255 bytes.
    /// </summary>
    PrivateNamespace,
}

/// <param name="Volatile">No sync to disk (overlayfs.rst, "Volatile mount"): faster, for layers that are thrown away after use.</param>
public sealed record OverlayOptions(bool Volatile = false, OverlayMethod Method = OverlayMethod.Automatic)
{
    public static OverlayOptions Default { get; } = new();
}

/// <summary>Detached overlay mounts (Documentation/filesystems/overlayfs.rst) from directory descriptors.</summary>
public static unsafe class OverlayMount
{
    /// <summary>Layers an image may have, as Docker's overlay2 limits them.</summary>
    public const int MaximumLayers = 128;

    /// <summary>What a mount may have below: an image's layers, what lies below those, and a container's own directory where it is only read.</summary>
    private const int MaximumLowers = MaximumLayers + 2;

    private static OverlayMethod s_known = OverlayMethod.Descriptors;

    /// <summary>Mounts layers on top of each other.</summary>
    /// <param name="lowers">Top first. Any descriptors of directories.</param>
    /// <param name="upper">Where writes go; null: read-only.</param>
    /// <param name="work">An empty directory on the file system of <paramref name="upper"/>.</param>
    /// <returns>The detached mount.</returns>
    public static SafeFileHandle Create(IReadOnlyList<SafeFileHandle> lowers, SafeFileHandle? upper, SafeFileHandle? work, OverlayOptions options)
    {
        if (lowers.Count is 0 or > MaximumLowers)
        {
            throw new ArgumentException($"an overlay has 1 to {MaximumLowers} lower layers, not {lowers.Count}", nameof(lowers));
        }

        if ((upper is null) != (work is null))
        {
            throw new ArgumentException("an upper directory needs a work directory", nameof(work));
        }

        if (options.Method != OverlayMethod.Automatic)
        {
            return Create(lowers, upper, work, options, options.Method);
        }

        while (true)
        {
            OverlayMethod method = s_known;
            try
            {
                return Create(lowers, upper, work, options, method);
            }
            catch (KernelException e) when (method < OverlayMethod.PrivateNamespace && e.Errno is Errno.EINVAL or Errno.EBADF or Errno.EOPNOTSUPP && !Knows(method))
            {
                s_known = method + 1;
            }
        }
    }

    private static SafeFileHandle Create(
        IReadOnlyList<SafeFileHandle> lowers, SafeFileHandle? upper, SafeFileHandle? work, OverlayOptions options, OverlayMethod method) => method switch
        {
            OverlayMethod.Descriptors => ByContext(lowers, upper, work, options, (context, key, directory) => context.Set(key, directory)),
            OverlayMethod.Strings => ByContext(lowers, upper, work, options, (context, key, directory) => context.Set(key, ProcPath(directory))),
            _ => InPrivateNamespace(lowers, upper, work, options),
        };

    /// <summary>Whether the kernel's overlay knows a way to name layers; asked after an error that may mean it does not.</summary>
    private static bool Knows(OverlayMethod method)
    {
        using var context = new FileSystemContext("overlay");
        try
        {
            using SafeFileHandle root = new HostPath("/").Open(OpenFlags.Path | OpenFlags.Directory);
            if (method == OverlayMethod.Descriptors)
            {
                context.Set("lowerdir+", root);
            }
            else
            {
                context.Set("lowerdir+", "/");
            }
        }
        catch (KernelException)
        {
            return false;
        }

        // Before 6.5 the overlay took one option string, and fsconfig adds any key to such (fs/fs_context.c, legacy_parse_param); the
        // overlay refuses it when it is mounted.
        try
        {
            context.Set("slipway_probe", "x");
            return false;
        }
        catch (KernelException)
        {
            return true;
        }
    }

    private static SafeFileHandle ByContext(
        IReadOnlyList<SafeFileHandle> lowers, SafeFileHandle? upper, SafeFileHandle? work, OverlayOptions options, Action<FileSystemContext, string, SafeFileHandle> set)
    {
        using var context = new FileSystemContext("overlay");
        context.Set("source", "overlay");
        foreach (SafeFileHandle lower in lowers)
        {
            set(context, "lowerdir+", lower);
        }

        if (upper is not null)
        {
            set(context, "upperdir", upper);
            set(context, "workdir", work!);
            Features(upper: true, options, context.Set);
        }
        else
        {
            Features(upper: false, options, context.Set);
        }

        return context.Mount(MountAttributes.None);
    }

    /// <summary>
    /// What Docker's overlay2 asks for: no inode index (layers are shared between mounts), no metadata-only copies (an image's layer
    /// could forge their redirects), no redirects at all (a layer is what lies in its directory, which is what a commit reads).
    /// </summary>
    private static void Features(bool upper, OverlayOptions options, Action<string> set)
    {
        if (Exists("/sys/module/overlay/parameters/index"))
        {
            set("index=off");
        }

        if (Exists("/sys/module/overlay/parameters/metacopy"))
        {
            set("metacopy=off");
        }

        if (Exists("/sys/module/overlay/parameters/redirect_dir"))
        {
            set("redirect_dir=nofollow");
        }

        if (upper && options.Volatile)
        {
            set("volatile");
        }
    }

    private static readonly Dictionary<string, bool> s_parameters = [];

    private static bool Exists(string parameter)
    {
        lock (s_parameters)
        {
            if (!s_parameters.TryGetValue(parameter, out bool exists))
            {
                using SafeFileHandle? file = new HostPath(parameter).TryOpen(OpenFlags.Path);
                s_parameters[parameter] = exists = file is not null;
            }

            return exists;
        }
    }

    private static string ProcPath(SafeFileHandle directory) => string.Create(CultureInfo.InvariantCulture, $"/proc/self/fd/{directory.DangerousGetHandle()}");

    private static SafeFileHandle InPrivateNamespace(
        IReadOnlyList<SafeFileHandle> lowers, SafeFileHandle? upper, SafeFileHandle? work, OverlayOptions options)
    {
        // unshare(CLONE_NEWNS) changes the calling thread only, for good: the thread ends with it.
        SafeFileHandle? mount = null;
        ExceptionDispatchInfo? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                mount = MountAndTake(lowers, upper, work, options);
            }
            catch (KernelException e)
            {
                failure = ExceptionDispatchInfo.Capture(e);
            }
        }, 256 * 1024)
        { Name = "overlay mount", IsBackground = true };
        thread.Start();
        thread.Join();
        failure?.Throw();
        return mount!;
    }

    private static SafeFileHandle MountAndTake(IReadOnlyList<SafeFileHandle> lowers, SafeFileHandle? upper, SafeFileHandle? work, OverlayOptions options)
    {
        Check(NativeMounts.Unshare(NativeMounts.CLONE_NEWNS), "unshare the mount namespace");
        fixed (byte* root = "/\0"u8)
        {
            // Before anything is mounted here: nothing of it may reach the host.
            Check(NativeMounts.Mount(null, root, null, NativeMounts.MS_REC | NativeMounts.MS_PRIVATE, null), "make the mounts private");
        }

        var opened = new List<SafeFileHandle>();
        try
        {
            var text = new StringBuilder("lowerdir=").AppendJoin(':', lowers.Select(Here));
            if (upper is not null)
            {
                text.Append(",upperdir=").Append(Here(upper)).Append(",workdir=").Append(Here(work!));
            }

            Features(upper is not null, options, option => text.Append(',').Append(option));
            return MountAndTake(text.ToString());
        }
        finally
        {
            opened.ForEach(directory => directory.Dispose());
        }

        string Here(SafeFileHandle directory)
        {
            opened.Add(InThisNamespace(directory));
            return ProcPath(opened[^1]);
        }
    }

    /// <summary>
    /// The same directory through the mounts of this thread's namespace: older kernels refuse layers on mounts of another one, or of none
    /// (fs/namespace.c, clone_private_mount). One that has no path here, since its mount is detached, gets one: the mount is attached in this namespace, where nobody else sees it.
    /// </summary>
    private static SafeFileHandle InThisNamespace(SafeFileHandle directory)
    {
        byte[] path = DirectoryEntry.ReadLinkCore(NativeOpen.CurrentDirectory, Encoding.UTF8.GetBytes(ProcPath(directory)), "readlink of a layer's descriptor");
        int errno = NativeOpen.TryOpen(NativeOpen.CurrentDirectory, path, OpenFlags.Path | OpenFlags.Directory, 0, Resolution.None, out SafeFileHandle? here);
        if (errno == 0 && FileStatus.Of(here!).IsSameFile(FileStatus.Of(directory)))
        {
            return here!;
        }

        here?.Dispose();
        using SafeFileHandle mount = MountOf(directory);
        using SafeFileHandle place = new HostPath("/dev").Open(OpenFlags.Path | OpenFlags.Directory);
        MountTree.Attach(mount, place);
        return Descriptors.Duplicate(directory);
    }

    /// <summary>The root of the mount that a directory lies in.</summary>
    private static SafeFileHandle MountOf(SafeFileHandle directory)
    {
        SafeFileHandle above = Descriptors.Duplicate(directory);
        while (!FileStatus.Of(above).IsMountRoot)
        {
            using SafeFileHandle below = above;
            above = new HostPath(ProcPath(below) + "/..").Open(OpenFlags.Path | OpenFlags.Directory);
        }

        return above;
    }

    [SkipLocalsInit]
    private static SafeFileHandle MountAndTake(string options)
    {
        byte[] data = new byte[4096]; // mount(2) reads at most a page.
        if (Encoding.UTF8.GetByteCount(options) >= data.Length)
        {
            throw new KernelException("mount overlay: options longer than a page", Errno.E2BIG);
        }

        Encoding.UTF8.GetBytes(options, data);
        fixed (byte* target = "/proc\0"u8, overlay = "overlay\0"u8, dataBytes = data)
        {
            // Any directory will do as a place: the namespace is this thread's. /proc is there, or the layers had no names.
            Check(NativeMounts.Mount(overlay, target, overlay, 0, dataBytes), "mount overlay");
            return MountTree.Clone(NativeOpen.CurrentDirectory, target, 0, recursive: false, "overlay");
        }
    }

    private static void Check(int result, string operation)
    {
        if (result < 0)
        {
            throw new KernelException(operation, Marshal.GetLastPInvokeError());
        }
    }
}
