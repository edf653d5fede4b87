using Slipway.Kernel.Files;
using Slipway.Kernel.Mounts;

namespace Slipway.Tests.Kernel.Storage;

/// <summary>A file system that is soon full.</summary>
internal sealed class SmallDisk : IAsyncDisposable
{
    private SmallDisk(string path) => Path = path;

    public string Path { get; }

    /// <param name="size">As tmpfs(5) takes it: <c>4m</c>.</param>
    public static SmallDisk Mount(string size)
    {
        var path = Directory.CreateTempSubdirectory("slipway-storage-full-").FullName;
        using var disk = FileSystemContext.Mount("tmpfs", MountAttributes.None, $"size={size}", "mode=755");
        using var place = new HostPath(path).Open(OpenFlags.Path | OpenFlags.Directory);
        MountTree.Attach(disk, place);
        return new SmallDisk(path);
    }

    public ValueTask DisposeAsync()
    {
        MountTree.Unmount(new HostPath(Path), detach: true);
        Directory.Delete(Path);
        return ValueTask.CompletedTask;
    }
}
