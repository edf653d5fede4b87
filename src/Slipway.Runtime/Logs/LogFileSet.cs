using System.Globalization;
using System.IO.Compression;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;

namespace Slipway.Runtime.Logs;

/// <summary>
/// The files of a log: <c>name</c> is written to, <c>name.1</c> is the one before it, and so on. One that was compressed is <c>name.1.gz</c>; where both are
/// there, compression was cut short and the plain one counts.
/// </summary>
/// <remarks>One process writes; others read by names that change under them. Within the writer, renaming and publishing a compressed file exclude each other.</remarks>
internal sealed class LogFileSet
{
    private const uint Mode = 0x1A0;

    /// <summary>What is unpacked at once, and lost where it ends in damage.</summary>
    private const int UnpackedBytes = 4096;

    private readonly HostPath _directory;
    private readonly string _name;
    private readonly Lock _renaming = new();

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

    /// <summary>
    /// Opens a file for reading; null where there is none. A compressed one is unpacked into a file without a name; where it is damaged (a power cut, a disk that was
    /// full), up to there: what came before the damage and what is in other files is still to be had, as in a log that is not compressed.
    /// </summary>
    /// <param name="index">0 is the current file.</param>
    /// <exception cref="IOException">There is no room to unpack it.</exception>
    public LogFile? TryOpenRead(int index)
    {
        using SafeFileHandle? directory = _directory.TryOpen(OpenFlags.Path | OpenFlags.Directory);
        if (directory is null)
        {
            return null;
        }

        if (TryOpen(directory, Name(index)) is { } plain)
        {
            return new LogFile(plain, LogFileIdentity.Of(FileStatus.Of(plain)));
        }

        while (index > 0 && TryOpen(directory, CompressedName(index)) is { } compressed)
        {
            using (compressed)
            {
                FileStatus status = FileStatus.Of(compressed);
                LogFileIdentity identity = LogFileIdentity.Recorded(directory, CompressedName(index)) ?? LogFileIdentity.Of(status);
                if (FileStatus.TryOf(directory, CompressedName(index)) is { } now && now.IsSameFile(status))
                {
                    return new LogFile(Unpack(compressed), identity);
                }
            }
        }

        return null;
    }

    /// <summary>Which file has a name now, or null where there is none.</summary>
    public LogFileIdentity? Identify(int index)
    {
        using SafeFileHandle? directory = _directory.TryOpen(OpenFlags.Path | OpenFlags.Directory);
        return directory is null ? null
            : FileStatus.TryOf(directory, Name(index)) is { } plain ? LogFileIdentity.Of(plain)
            : index > 0 && FileStatus.TryOf(directory, CompressedName(index)) is { } packed ? LogFileIdentity.Recorded(directory, CompressedName(index)) ?? LogFileIdentity.Of(packed)
            : null;
    }

    /// <summary>Makes place for a new current file. The old ones move up by one; the last is dropped.</summary>
    /// <param name="maxFiles">Files kept, the new one included.</param>
    public void Rotate(int maxFiles)
    {
        using SafeFileHandle directory = OpenDirectory();
        lock (_renaming)
        {
            for (int i = maxFiles - 1; i >= 1; i--)
            {
                MoveUp(directory, Name(i - 1), Name(i), stale: CompressedName(i));
                if (i > 1)
                {
                    MoveUp(directory, CompressedName(i - 1), CompressedName(i), stale: null);
                }
            }

            if (maxFiles <= 1)
            {
                DirectoryEntry.Unlink(directory, _name);
            }
        }
    }

    /// <summary>Compresses the rotated files that are not yet. One that cannot be (no space, no extended attributes) stays as it is.</summary>
    /// <exception cref="KernelException">A file could not be compressed.</exception>
    /// <exception cref="IOException">The same.</exception>
    public void Compress()
    {
        using SafeFileHandle directory = OpenDirectory();

        // Files that are renamed meanwhile come by again, under the next number.
        for (int index = 1; Identify(index) is not null; index++)
        {
            if (TryOpen(directory, Name(index)) is { } plain)
            {
                Compress(directory, plain);
            }
        }
    }

    private void Compress(SafeFileHandle directory, SafeFileHandle plain)
    {
        string part = _name + ".part";
        using FileStream source = new(plain, FileAccess.Read, bufferSize: 0);
        LogFileIdentity identity = LogFileIdentity.Of(FileStatus.Of(plain));
        Remove(directory, part);
        try
        {
            using (FileStream target = new(DirectoryEntry.Open(directory, part, OpenFlags.WriteOnly | OpenFlags.Create | OpenFlags.Exclusive, Mode), FileAccess.Write, bufferSize: 0))
            {
                identity.Record(directory, part);
                using GZipStream packed = new(target, CompressionLevel.Fastest);
                source.CopyTo(packed);
            }

            Publish(directory, part, identity);
        }
        finally
        {
            Remove(directory, part);
        }
    }

    /// <summary>Puts the compressed file in the place that the plain one has by now, if it has any.</summary>
    private void Publish(SafeFileHandle directory, string part, LogFileIdentity identity)
    {
        lock (_renaming)
        {
            for (int index = 1; Identify(index) is { } found; index++)
            {
                if (found == identity && FileStatus.TryOf(directory, Name(index)) is not null)
                {
                    DirectoryEntry.Rename(directory, part, directory, CompressedName(index));
                    DirectoryEntry.Unlink(directory, Name(index));
                    return;
                }
            }
        }
    }

    private static void MoveUp(SafeFileHandle directory, string from, string to, string? stale)
    {
        if (FileStatus.TryOf(directory, from) is not null)
        {
            DirectoryEntry.Rename(directory, from, directory, to);
        }
        else
        {
            Remove(directory, to);
        }

        if (stale is not null)
        {
            Remove(directory, stale);
        }
    }

    private static void Remove(SafeFileHandle directory, string name)
    {
        if (FileStatus.TryOf(directory, name) is not null)
        {
            DirectoryEntry.Unlink(directory, name);
        }
    }

    private static SafeFileHandle? TryOpen(SafeFileHandle directory, string name)
    {
        int errno = DirectoryEntry.TryOpen(directory, name, OpenFlags.ReadOnly, out SafeFileHandle? file);
        return errno is 0 or Errno.ENOENT ? file : throw new KernelException($"open \"{name}\"", errno);
    }

    private SafeFileHandle Unpack(SafeFileHandle compressed)
    {
        SafeFileHandle unpacked = _directory.Open(OpenFlags.ReadWrite | OpenFlags.TemporaryFile, 0x180);
        try
        {
            using GZipStream source = new(new FileStream(Descriptors.Duplicate(compressed), FileAccess.Read), CompressionMode.Decompress);
            using FileStream target = new(Descriptors.Duplicate(unpacked), FileAccess.Write);
            byte[] buffer = new byte[UnpackedBytes];
            for (int count; (count = ReadWhole(source, buffer)) > 0;)
            {
                target.Write(buffer, 0, count);
            }

            return unpacked;
        }
        catch
        {
            unpacked.Dispose();
            throw;
        }
    }

    /// <returns>0 at the end, and at damage.</returns>
    private static int ReadWhole(GZipStream source, byte[] buffer)
    {
        try
        {
            return source.Read(buffer);
        }
        catch (InvalidDataException)
        {
            return 0;
        }
    }

    private SafeFileHandle OpenDirectory() => _directory.Open(OpenFlags.Path | OpenFlags.Directory);

    private string Name(int index) => index == 0 ? _name : string.Create(CultureInfo.InvariantCulture, $"{_name}.{index}");

    private string CompressedName(int index) => Name(index) + ".gz";
}
