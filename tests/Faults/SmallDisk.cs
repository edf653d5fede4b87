using Slipway.Tests.Harness;

namespace Slipway.Tests.Faults;

/// <summary>A file system of a few megabytes, in memory or on a loop device, that is an engine's data root.</summary>
public sealed class SmallDisk : IAsyncDisposable
{
    private readonly string _link;

    private string? _image;

    private SmallDisk(string link) => _link = link;

    public string Path { get; } = Directory.CreateTempSubdirectory("slipway-small-").FullName;

    public long Free => new DriveInfo(Path).AvailableFreeSpace;

    /// <param name="link">Where it shows; nothing may be there yet.</param>
    public static async Task<SmallDisk> Mount(string link, int megabytes)
    {
        Requirement.Root();
        var disk = new SmallDisk(link);
        (await Programs.Run("mount", ["-t", "tmpfs", "-o", $"size={megabytes}m,mode=0710", "slipway-test", disk.Path])).Ok();
        Directory.CreateSymbolicLink(link, disk.Path);
        return disk;
    }

    /// <summary>The same as ext4, which fails where no block is left and not, as tmpfs does, where no page is.</summary>
    public static async Task<SmallDisk> MountLoop(string link, int megabytes)
    {
        Requirement.Root();
        Requirement.Program("mkfs.ext4", "e2fsprogs");
        var disk = new SmallDisk(link) { _image = System.IO.Path.GetTempFileName() };
        await using (var image = File.OpenWrite(disk._image))
        {
            image.SetLength((long)megabytes << 20);
        }
        (await Programs.Run("mkfs.ext4", ["-q", "-m", "0", "-O", "^has_journal", disk._image])).Ok();
        (await Programs.Run("mount", ["-o", "loop", disk._image, disk.Path])).Ok();
        File.SetUnixFileMode(disk.Path, (UnixFileMode)0x1C8);
        Directory.Delete(System.IO.Path.Combine(disk.Path, "lost+found"));
        Directory.CreateSymbolicLink(link, disk.Path);
        return disk;
    }

    /// <summary>Takes all but so many bytes.</summary>
    public void Fill(long leave)
    {
        using (var file = new FileStream(System.IO.Path.Combine(Path, "filler"), FileMode.Append, FileAccess.Write, FileShare.None, bufferSize: 0))
        {
            for (var block = new byte[1 << 16]; Free > leave + block.Length;)
            {
                file.Write(block);
            }
        }
    }

    /// <summary>Takes all that is left.</summary>
    public void Fill()
    {
        using var file = new FileStream(System.IO.Path.Combine(Path, "filler"), FileMode.Append, FileAccess.Write, FileShare.None, bufferSize: 0);
        foreach (var size in (int[])[1 << 20, 4096])
        {
            try
            {
                while (true)
                {
                    file.Write(new byte[size]);
                }
            }
            catch (IOException)
            {
                // Full, which is what was wanted.
            }
        }
    }

    public void Relieve() => File.Delete(System.IO.Path.Combine(Path, "filler"));

    public async ValueTask DisposeAsync()
    {
        if (new FileInfo(_link).LinkTarget is not null)
        {
            File.Delete(_link);
        }
        (await Programs.Run("umount", [Path])).Ok();
        Directory.Delete(Path);
        if (_image is not null)
        {
            File.Delete(_image);
        }
    }
}
