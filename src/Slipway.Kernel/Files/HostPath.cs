using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Files;

/// <summary>
/// An absolute path of the host: configuration, the data root, what an administrator named. No part of it was chosen by a
/// container or an image, so it may be followed the ordinary way. Where the string path APIs of .NET are banned
/// (src/BannedSymbols.Paths.txt) this type is the way to a host file, and says so at the place of use.
/// </summary>
public readonly record struct HostPath
{
    private readonly string? _value;

    /// <exception cref="ArgumentException">The path is not absolute or holds a NUL.</exception>
    public HostPath(string value)
    {
        if (!value.StartsWith('/') || value.Contains('\0', StringComparison.Ordinal))
        {
            throw new ArgumentException($"\"{value}\" is not an absolute path", nameof(value));
        }

        _value = value;
    }

    public string Value => _value ?? "/";

    /// <summary>The path of <paramref name="name"/>, one component, inside this directory.</summary>
    /// <exception cref="ArgumentException">The name is empty, <c>.</c>, <c>..</c> or holds a slash: it came from elsewhere.</exception>
    public static HostPath operator /(HostPath directory, string name)
    {
        if (name is "" or "." or ".." || name.Contains('/', StringComparison.Ordinal))
        {
            throw new ArgumentException($"\"{name}\" is not a file name", nameof(name));
        }

        return new HostPath(directory.Value.TrimEnd('/') + "/" + name);
    }

    public override string ToString() => Value;

    /// <summary>open(2), links followed. Always close-on-exec and without a controlling terminal.</summary>
    /// <param name="mode">Of a file that is created, before the umask.</param>
    public SafeFileHandle Open(OpenFlags flags, uint mode = 0) =>
        NativeOpen.Open(NativeOpen.CurrentDirectory, Value, flags, mode, Resolution.None);

    /// <summary>As <see cref="Open"/>; null where there is no such file.</summary>
    public SafeFileHandle? TryOpen(OpenFlags flags, uint mode = 0) =>
        NativeOpen.TryOpen(NativeOpen.CurrentDirectory, Value, flags, mode, Resolution.None, out SafeFileHandle? file) switch
        {
            0 => file,
            Errno.ENOENT or Errno.ENOTDIR => null,
            int errno => throw new KernelException($"open \"{Value}\"", errno),
        };

    /// <summary>Opens it as a root for paths given by others.</summary>
    public RootDirectory OpenRoot() => new(Open(OpenFlags.Path | OpenFlags.Directory));

    /// <summary>Creates the directory and its missing parents.</summary>
    /// <param name="permissions">Of those created, whatever the umask.</param>
    public void CreateDirectories(uint permissions)
    {
        using var root = new HostPath("/").OpenRoot();
        root.EnsureDirectory(Value, permissions).Descriptor?.Dispose();
    }
}

/// <summary>openat2(2), with the retries it asks for.</summary>
internal static class NativeOpen
{
    // The kernel gives EAGAIN when a rename anywhere may have let ".." escape during the walk; another try then succeeds
    // (openat2(2), "ERRORS"). An attacker may rename in a loop: past this count it is an error.
    private const int Attempts = 512;

    /// <summary>AT_FDCWD, for absolute host paths.</summary>
    internal static SafeFileHandle CurrentDirectory { get; } = new(NativeFiles.AT_FDCWD, ownsHandle: false);

    internal static SafeFileHandle Open(SafeFileHandle directory, PathName path, OpenFlags flags, uint mode, Resolution resolution)
    {
        int errno = TryOpen(directory, path, flags, mode, resolution, out SafeFileHandle? file);
        return errno == 0 ? file! : throw new KernelException($"open \"{path.ToString()}\"", errno);
    }

    /// <returns>0 or the error number.</returns>
    [SkipLocalsInit]
    internal static unsafe int TryOpen(
        SafeFileHandle directory, PathName path, OpenFlags flags, uint mode, Resolution resolution, out SafeFileHandle? file)
    {
        byte* name = stackalloc byte[PathName.MaximumLength];
        path.Terminate(name);
        flags |= OpenFlags.CloseOnExec;
        if (!flags.HasFlag(OpenFlags.Path))
        {
            flags |= OpenFlags.NoControllingTerminal;
        }

        var how = new OpenHow(flags, mode, resolution);
        for (int attempt = 1; ; attempt++)
        {
            nint descriptor = NativeFiles.OpenAt2(NativeFiles.SYS_openat2, directory, name, &how, OpenHow.Size);
            if (descriptor >= 0)
            {
                file = new SafeFileHandle(descriptor, ownsHandle: true);
                return 0;
            }

            int errno = Marshal.GetLastPInvokeError();
            if ((errno != Errno.EAGAIN && errno != Errno.EINTR) || attempt == Attempts)
            {
                file = null;
                return errno;
            }
        }
    }
}
