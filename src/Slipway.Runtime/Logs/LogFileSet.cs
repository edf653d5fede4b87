using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;

namespace Slipway.Runtime.Logs;

/// <summary>The files of a log: <c>name</c> is written to, <c>name.1</c> is the one before it, and so on.</summary>
internal sealed class LogFileSet
{
    private const uint Mode = 0x1A0;

    private readonly HostPath _directory;
    private readonly string _name;

    /// <param name="path">Of the current file, absolute. The name itself is never followed where it is a symbolic link.</param>
    /// <exception cref="KernelException">EINVAL where it is not absolute, or names no file.</exception>
    public LogFileSet(string path)
    {
        int slash = path.LastIndexOf('/');
        if (slash < 0 || slash == path.Length - 1 || !path.StartsWith('/') || path.Contains('\0', StringComparison.Ordinal))
        {
            throw new KernelException($"log file \"{path}\"", Errno.EINVAL);
        }

        _directory = new HostPath(slash == 0 ? "/" : path[..slash]);
        _name = path[(slash + 1)..];
    }

    /// <summary>Opens the current file for writing at its end.</summary>
    public SafeFileHandle OpenAppend()
    {
        using SafeFileHandle directory = OpenDirectory();
        return DirectoryEntry.Open(directory, _name, OpenFlags.WriteOnly | OpenFlags.Append | OpenFlags.Create, Mode);
    }

    /// <summary>Opens a file for reading; null where there is none.</summary>
    /// <param name="index">0 is the current file.</param>
    public SafeFileHandle? TryOpenRead(int index)
    {
        using SafeFileHandle? directory = _directory.TryOpen(OpenFlags.Path | OpenFlags.Directory);
        if (directory is null)
        {
            return null;
        }

        int errno = DirectoryEntry.TryOpen(directory, Name(index), OpenFlags.ReadOnly, out SafeFileHandle? file);
        return errno is 0 or Errno.ENOENT ? file : throw new KernelException($"open \"{Name(index)}\"", errno);
    }

    /// <summary>The identity of a file, or null where there is none.</summary>
    public FileStatus? Status(int index)
    {
        using SafeFileHandle? directory = _directory.TryOpen(OpenFlags.Path | OpenFlags.Directory);
        return directory is null ? null : FileStatus.TryOf(directory, Name(index));
    }

    /// <summary>Makes place for a new current file. The old ones move up by one; the last is dropped.</summary>
    /// <param name="maxFiles">Files kept, the new one included.</param>
    public void Rotate(int maxFiles)
    {
        using SafeFileHandle directory = OpenDirectory();
        for (int i = maxFiles - 1; i >= 1; i--)
        {
            if (FileStatus.TryOf(directory, Name(i - 1)) is not null)
            {
                DirectoryEntry.Rename(directory, Name(i - 1), directory, Name(i));
            }
        }

        if (maxFiles <= 1)
        {
            DirectoryEntry.Unlink(directory, _name);
        }
    }

    private SafeFileHandle OpenDirectory() => _directory.Open(OpenFlags.Path | OpenFlags.Directory);

    private string Name(int index) => index == 0 ? _name : string.Create(CultureInfo.InvariantCulture, $"{_name}.{index}");
}
