using Slipway.Tests.Harness;

namespace Slipway.Tests.Faults;

/// <summary>A file system of a few megabytes, in memory, that is an engine's data root.</summary>
public sealed class SmallDisk : IAsyncDisposable
{
    private readonly string _link;

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
    }
}
