using System.Text;
using Slipway.Kernel.Files;
using Slipway.Storage;
using Slipway.Storage.Volumes;
using Xunit;

namespace Slipway.Tests.Kernel.Storage;

public sealed class VolumeStoreTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_tree_is_copied_with_all_its_attributes(bool inUse)
    {
        await using var temporary = await TemporaryDataRoot.CreateAsync();
        var tree = Source(temporary);
        Directory.CreateDirectory($"{tree}/data/sub");
        File.WriteAllText($"{tree}/data/sub/f", "content");
        File.WriteAllBytes($"{tree}/data/holes", [.. new byte[200_000], 1]);
        using var root = new HostPath(tree).OpenRoot();
        using (var data = root.Open("data", OpenFlags.Path | OpenFlags.Directory))
        using (var sub = root.Open("data/sub", OpenFlags.Path | OpenFlags.Directory))
        {
            ExtendedAttributes.Set(sub, "f", "user.note", "hello"u8);
            ExtendedAttributes.Set(root.Descriptor, "data", "user.root", "yes"u8);
            DirectoryEntry.CreateHardLink(sub, "f", data, "hard");
            DirectoryEntry.CreateSymbolicLink(data, "link", "/etc/passwd");
            DirectoryEntry.ChangeOwner(sub, "f", 12, 34);
            DirectoryEntry.ChangeMode(sub, "f", 0x9e8); // 4750
            DirectoryEntry.ChangeMode(root.Descriptor, "data", 0x3f8); // 1770
            DirectoryEntry.SetTimes(data, "sub", new FileTime(1_000_000, 5), new FileTime(1_000_000, 5));
            DirectoryEntry.SetTimes(root.Descriptor, "data", new FileTime(2_000_000, 5), new FileTime(2_000_000, 5));
        }

        await CreateAsync(temporary, "volume");
        var path = temporary.Root.Volumes.DataPath("volume");
        var before = Inode(path);
        Assert.True(temporary.Root.Volumes.IsEmpty(new HostPath(path)));
        await temporary.Root.Volumes.PopulateAsync(new HostPath(path), root, "/data", inUse, Cancellation);

        Assert.Equal(inUse, before == Inode(path));
        using var copy = new HostPath(path).OpenRoot();
        var file = copy.Status("sub/f");
        Assert.Equal((12u, 34u, 0x9e8u, 2u), (file.UserId, file.GroupId, file.Permissions, file.LinkCount));
        Assert.True(file.IsSameFile(copy.Status("hard")));
        Assert.Equal("/etc/passwd", Encoding.UTF8.GetString(copy.ReadLink("link")));
        Assert.Equal((0x3f8u, 2_000_000L), (FileStatus.Of(copy.Descriptor).Permissions, FileStatus.Of(copy.Descriptor).ModificationTime.Seconds));
        Assert.Equal(1_000_000, copy.Status("sub").ModificationTime.Seconds);
        using (var sub = copy.Open("sub", OpenFlags.Path | OpenFlags.Directory))
        using (var volume = new HostPath(Path.GetDirectoryName(path)!).Open(OpenFlags.Path | OpenFlags.Directory))
        {
            Assert.Equal("hello"u8.ToArray(), ExtendedAttributes.Get(sub, "f", "user.note"));
            Assert.Equal("yes"u8.ToArray(), ExtendedAttributes.Get(volume, "_data", "user.root"));
        }

        Assert.Equal(200_001, copy.Status("holes").Size);
        Assert.True(copy.Status("holes").Blocks * 512 < 100_000, "the zeros were written");
        Assert.Empty(Directory.EnumerateFileSystemEntries($"{temporary.Path}/tmp"));
    }

    [Fact]
    public async Task A_path_that_leads_out_of_the_tree_stays_in_it()
    {
        await using var temporary = await TemporaryDataRoot.CreateAsync();
        var tree = Source(temporary);
        var outside = Directory.CreateDirectory($"{temporary.Path}/source/outside").FullName;
        File.WriteAllText($"{outside}/secret", "secret");
        File.CreateSymbolicLink($"{tree}/up", "../../outside");
        File.CreateSymbolicLink($"{tree}/absolute", outside);
        using var root = new HostPath(tree).OpenRoot();
        foreach (var name in new[] { "up", "absolute" })
        {
            await CreateAsync(temporary, name);
            var data = new HostPath(temporary.Root.Volumes.DataPath(name));
            await temporary.Root.Volumes.PopulateAsync(data, root, "/" + name, inUse: false, Cancellation);
            Assert.True(temporary.Root.Volumes.IsEmpty(data));
        }
    }

    [Fact]
    public async Task A_copy_that_fails_leaves_the_volume_as_it_was()
    {
        await using var temporary = await TemporaryDataRoot.CreateAsync();
        var tree = Source(temporary);
        Directory.CreateDirectory($"{tree}/data");
        File.WriteAllText($"{tree}/data/f", "content");
        File.WriteAllText($"{tree}/file", "no directory");
        await CreateAsync(temporary, "volume");
        var data = new HostPath(temporary.Root.Volumes.DataPath("volume"));
        using var root = new HostPath(tree).OpenRoot();
        var refused = await Assert.ThrowsAsync<StorageException>(() => temporary.Root.Volumes.PopulateAsync(data, root, "/file", inUse: false, Cancellation));
        Assert.Equal(StorageErrorKind.InvalidParameter, refused.Kind);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => temporary.Root.Volumes.PopulateAsync(data, root, "/data", inUse: false, new CancellationToken(canceled: true)));
        Assert.True(temporary.Root.Volumes.IsEmpty(data));
        Assert.Empty(Directory.EnumerateFileSystemEntries($"{temporary.Path}/tmp"));
    }

    [Fact]
    public async Task A_full_disk_is_told_and_leaves_the_volume_empty()
    {
        await using var disk = SmallDisk.Mount("32m");
        await using var source = await TemporaryDataRoot.CreateAsync();
        var tree = Source(source);
        Directory.CreateDirectory($"{tree}/data");
        File.WriteAllText($"{tree}/data/first", "fits");
        var noise = new byte[40 << 20];
        Array.Fill(noise, (byte)'x');
        File.WriteAllBytes($"{tree}/data/large", noise);
        using var root = new HostPath(tree).OpenRoot();
        await using var full = await DataRoot.OpenAsync(new DataRootOptions { Path = disk.Path }, Cancellation);
        await full.Volumes.CreateAsync(new VolumeRow("volume", DateTimeOffset.UnixEpoch, "{}"u8.ToArray()), size: null, Cancellation);
        var data = new HostPath(full.Volumes.DataPath("volume"));
        var error = await Assert.ThrowsAsync<StorageException>(() => full.Volumes.PopulateAsync(data, root, "/data", inUse: false, Cancellation));
        Assert.Equal((StorageErrorKind.System, $"populate volume {data}: no space left on device"), (error.Kind, error.Message));
        Assert.True(full.Volumes.IsEmpty(data));
        Assert.Empty(Directory.EnumerateFileSystemEntries($"{disk.Path}/tmp"));
        await full.Volumes.RemoveAsync("volume", Cancellation);
    }

    [Fact]
    public async Task A_removal_takes_nothing_of_what_was_bound_to_the_volume()
    {
        await using var temporary = await TemporaryDataRoot.CreateAsync();
        var tree = Source(temporary);
        File.WriteAllText($"{tree}/kept", "kept");
        await CreateAsync(temporary, "volume");
        var volumes = temporary.Root.Volumes;
        await volumes.MountAsync("volume", () => Slipway.Kernel.Mounts.MountTree.Clone(new HostPath(tree), recursive: false), Cancellation);
        Assert.True(volumes.IsMounted("volume"));
        Assert.Equal("kept", await File.ReadAllTextAsync($"{volumes.DataPath("volume")}/kept", Cancellation));

        // Somebody forgot to unmount it.
        var refused = await Assert.ThrowsAsync<StorageException>(() => volumes.RemoveAsync("volume", Cancellation));
        Assert.Contains("EBUSY", refused.Message, StringComparison.Ordinal);
        Assert.Equal("kept", await File.ReadAllTextAsync($"{tree}/kept", Cancellation));
        foreach (var left in Directory.EnumerateDirectories($"{temporary.Path}/tmp"))
        {
            Slipway.Kernel.Mounts.MountTree.Unmount(new HostPath($"{left}/_data"), detach: true);
        }
    }

    [Fact]
    public async Task Names_are_no_paths()
    {
        await using var temporary = await TemporaryDataRoot.CreateAsync();
        foreach (var name in new[] { "..", ".", "a/b", "../x", "" })
        {
            await Assert.ThrowsAnyAsync<Exception>(() => CreateAsync(temporary, name));
            await Assert.ThrowsAnyAsync<Exception>(() => temporary.Root.Volumes.RemoveAsync(name, Cancellation));
        }

        Assert.Empty(Directory.EnumerateFileSystemEntries($"{temporary.Path}/volumes"));
    }

    private static Task CreateAsync(TemporaryDataRoot temporary, string name) =>
        temporary.Root.Volumes.CreateAsync(new VolumeRow(name, DateTimeOffset.UnixEpoch, "{}"u8.ToArray()), size: null, Cancellation);

    private static string Source(TemporaryDataRoot temporary) => Directory.CreateDirectory($"{temporary.Path}/source/tree/root").FullName;

    private static ulong Inode(string path)
    {
        using var file = new HostPath(path).Open(OpenFlags.Path);
        return FileStatus.Of(file).Inode;
    }
}
