using System.Diagnostics;
using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Mounts;

namespace Slipway.Storage.Volumes;

/// <summary>
/// A volume of a size on a file system without quotas: a file with an ext4 file system in it. The file is sparse and takes what its content takes; what is
/// deleted inside is given back (mount option discard). The volume's content is one directory of that file system, so that containers neither see
/// its <c>lost+found</c> nor what the engine prepares beside it.
/// </summary>
internal static class VolumeImage
{
    public const string FileName = "disk.img";

    /// <summary>ext4 with a journal does not fit into less.</summary>
    public const long MinimumSize = 4 << 20;

    private const string Data = "_data";
    private const uint DataMode = 0x1ed; // 0755
    private const uint FileMode = 0x180; // 0600

    // Never by PATH: an engine started by hand has not always the administrator's.
    private static readonly string[] s_programs = ["/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4", "/usr/local/sbin/mkfs.ext4"];

    public static bool Exists(SafeFileHandle volume) => FileStatus.TryOf(volume, FileName) is { IsRegularFile: true };

    /// <summary>Makes the file and the file system in it.</summary>
    /// <param name="path">Of the directory <paramref name="volume"/>, which only the engine reaches.</param>
    /// <param name="size">Bytes, what the file system needs for itself included.</param>
    /// <exception cref="StorageException">There is no mkfs.ext4, or it failed.</exception>
    public static void Create(SafeFileHandle volume, HostPath path, long size)
    {
        CreateFileSystem(volume, path, size);
        using var root = MountRoot(volume);
        DirectoryEntry.CreateDirectory(root, Data, DataMode);
        DirectoryEntry.ChangeMode(root, Data, DataMode);
    }

    /// <summary>The file with an empty file system: also of a container's own layer (<c>--storage-opt size=</c>).</summary>
    /// <inheritdoc cref="Create"/>
    public static void CreateFileSystem(SafeFileHandle directory, HostPath path, long size)
    {
        using (var file = DirectoryEntry.CreateFile(directory, FileName, FileMode))
        {
            RandomAccess.SetLength(file, size);
        }

        // Tables and journal of a new sparse file are zero already: they are not written. Nobody's blocks are kept in reserve.
        Format((path / FileName).Value);
    }

    /// <summary>The file system's own root, as a detached mount; what an interrupted preparation left in it is removed.</summary>
    public static SafeFileHandle OpenRoot(SafeFileHandle volume)
    {
        var root = MountRoot(volume);
        try
        {
            foreach (var entry in new DirectoryListing(root))
            {
                if (Encoding.UTF8.GetString(entry.Name) is not (Data or "lost+found"))
                {
                    TreeRemoval.Remove(root, entry.Name);
                }
            }

            return root;
        }
        catch
        {
            root.Dispose();
            throw;
        }
    }

    /// <summary>The content, as a detached mount.</summary>
    public static SafeFileHandle Mount(SafeFileHandle volume)
    {
        using var root = OpenRoot(volume);
        return MountPart.Take(root, Data);
    }

    /// <summary>The file system, as a detached mount; however often, it is the same one.</summary>
    public static SafeFileHandle MountRoot(SafeFileHandle volume)
    {
        using var file = DirectoryEntry.Open(volume, FileName, OpenFlags.ReadWrite);
        using var device = LoopDevice.Attach(file);
        using var context = new FileSystemContext("ext4");
        context.Set("source", device.Path.Value);
        context.Set("discard");
        context.Set("noinit_itable");
        context.Set("errors", "remount-ro");
        return context.Mount(MountAttributes.None);
    }

    /// <summary>
    /// Gives the host back what was deleted, ahead of the last unmount: the kernel discards blocks in the background after the end of a transaction, and gives up
    /// what is left of that when the file system is unmounted.
    /// </summary>
    /// <param name="root">Any directory of the file system.</param>
    public static void GiveBack(SafeFileHandle root)
    {
        try
        {
            // Blocks are free when the transaction is on the disk.
            Descriptors.SyncFileSystem(root);
            FileSystemTrim.Run(root);
        }
        catch (KernelException)
        {
            // The host's file system makes no holes, or the volume's has failed: it takes more than it needs, and is unmounted all the same.
        }
    }

    private static void Format(string path)
    {
        var program = Array.Find(s_programs, candidate => new HostPath(candidate).TryOpen(OpenFlags.Path) is { } found && Close(found))
            ?? throw new StorageException(StorageErrorKind.System, "a size needs project quotas on the file system of the data root, or mkfs.ext4 (package e2fsprogs)");
        var start = new ProcessStartInfo(program, ["-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", path]) { RedirectStandardError = true };
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0)
        {
            throw new StorageException(StorageErrorKind.System, string.Create(CultureInfo.InvariantCulture, $"mkfs.ext4 ended with {process.ExitCode}: {error.Trim()}"));
        }
    }

    private static bool Close(SafeFileHandle file)
    {
        file.Dispose();
        return true;
    }
}
