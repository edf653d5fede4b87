using System.Text;
using Slipway.Kernel.Files;
using Slipway.Oci.Tar;
using Xunit;

namespace Slipway.Tests.Kernel.Storage;

/// <summary>What ordinary layers do: the benign side of the corpus.</summary>
public sealed class LayerTests : IAsyncLifetime
{
    private static readonly string Container = new('c', 64);

    private TemporaryDataRoot _temporary = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _temporary = await TemporaryDataRoot.CreateAsync();

    public async ValueTask DisposeAsync() => await _temporary.DisposeAsync();

    [Fact]
    public async Task A_symbolic_link_is_replaced_by_a_file_in_a_later_layer()
    {
        using var rootfs = await MountAsync(
            new TarBuilder().File("target", "kept").Symlink("link", "target"),
            new TarBuilder().File("link", "a file now"));
        Assert.Equal("a file now", rootfs.Read("link"));
        Assert.Equal("kept", rootfs.Read("target"));
        Assert.True(rootfs.Status("link").IsRegularFile);
    }

    [Fact]
    public async Task A_later_entry_of_the_same_name_wins_whatever_its_type()
    {
        using var rootfs = await MountAsync(new TarBuilder()
            .File("a", "first").File("a", "second")
            .Folder("b").File("b/inside", "x").Symlink("b", "a")
            .Symlink("c", "a").Folder("c").File("c/inside", "y")
            .Folder("d", 0x1c0).File("d/kept", "z").Folder("d", 0x1ed));
        Assert.Equal("second", rootfs.Read("a"));
        Assert.True(rootfs.Status("b").IsSymbolicLink);
        Assert.Equal("y", rootfs.Read("c/inside"));
        Assert.Equal("z", rootfs.Read("d/kept"));
        Assert.Equal(0x1edu, rootfs.Status("d").Permissions);
    }

    [Fact]
    public async Task Owner_does_not_clear_set_user_id_and_capabilities()
    {
        byte[] capability = [1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        using var rootfs = await MountAsync(new TarBuilder()
            .Add(new TarEntry { Name = "su"u8.ToArray(), Mode = 0x9ed, Uid = 1000, Gid = 50 })
            .Add(new TarEntry { Name = "ping"u8.ToArray(), Mode = 0x1ed, Uid = 7, Xattrs = [new("security.capability"u8.ToArray(), capability)] }));
        Assert.Equal((0x9edu, 1000u, 50u), (rootfs.Status("su").Permissions, rootfs.Status("su").UserId, rootfs.Status("su").GroupId));
        Assert.Equal(capability, ExtendedAttributes.Get(rootfs.Descriptor, "ping"u8, "security.capability"u8));
    }

    [Fact]
    public async Task Times_of_directories_are_those_of_the_archive()
    {
        using var rootfs = await MountAsync(new TarBuilder()
            .Add(new TarEntry { Name = "d/"u8.ToArray(), Type = TarEntryType.Directory, Mode = 0x1ed, ModificationTime = new TarTime(1_000_000, 5) })
            .Add(new TarEntry { Name = "d/f"u8.ToArray(), ModificationTime = new TarTime(-3, 0) }));
        Assert.Equal(new FileTime(1_000_000, 5), rootfs.Status("d").ModificationTime);
        Assert.Equal(new FileTime(-3, 0), rootfs.Status("d/f").ModificationTime);
    }

    [Fact]
    public async Task Names_are_bytes_of_any_length_and_kind()
    {
        byte[] latin = [(byte)'f', 0xe4, 0xff];
        var longName = new string('n', 255);
        var longPath = string.Join('/', Enumerable.Repeat(new string('p', 100), 20));
        using var rootfs = await MountAsync(new TarBuilder()
            .Add(new TarEntry { Name = latin })
            .File(longName, "long").File(longPath + "/f", "deep").Symlink("to", new string('t', 3000)));
        Assert.Contains(new DirectoryListing(rootfs.Descriptor), entry => entry.Name.AsSpan().SequenceEqual(latin));
        Assert.Equal("long", rootfs.Read(longName));
        Assert.Equal("deep", rootfs.Read(longPath + "/f"));
        Assert.Equal(3000, rootfs.Status("to").Size);
    }

    [Fact]
    public async Task Directories_that_a_layer_does_not_describe_look_as_in_the_layer_below()
    {
        using var rootfs = await MountAsync(
            new TarBuilder().Add(new TarEntry { Name = "var"u8.ToArray(), Type = TarEntryType.Directory, Mode = 0x1c0, Uid = 33, Gid = 34, ModificationTime = new TarTime(77, 0) }),
            new TarBuilder().File("var/new/file", "x"));
        Assert.Equal((0x1c0u, 33u, 34u), (rootfs.Status("var").Permissions, rootfs.Status("var").UserId, rootfs.Status("var").GroupId));
        Assert.Equal(0x1edu, rootfs.Status("var/new").Permissions);
    }

    [Fact]
    public async Task A_directory_made_again_in_the_layer_that_removes_it_shows_nothing_of_the_old_one()
    {
        using var rootfs = await MountAsync(
            new TarBuilder().Folder("d").File("d/old", "x"),
            new TarBuilder().File(".wh.d").Folder("d").File("d/new", "y"));
        Assert.Equal(["new"], rootfs.List("d"));
    }

    [Fact]
    public async Task A_whiteout_is_about_lower_layers_only()
    {
        using var rootfs = await MountAsync(
            new TarBuilder().Folder("d").File("d/old", "x").File("f", "old"),
            new TarBuilder().Folder("d").File("d/new", "y").File(".wh.d").File("f", "new").File(".wh.f"));
        Assert.Equal(["new"], rootfs.List("d"));
        Assert.Equal("new", rootfs.Read("f"));
    }

    [Theory]
    [InlineData(".wh.")]
    [InlineData(".wh...")]
    [InlineData("d/.wh..")]
    public async Task A_whiteout_of_nothing_is_refused(string name)
    {
        var error = await Assert.ThrowsAsync<Slipway.Storage.StorageException>(() => MountAsync(new TarBuilder().File(name)));
        Assert.Contains("whiteout of nothing", error.Message, StringComparison.Ordinal);
        Assert.Empty(_temporary.Contents());
    }

    [Fact]
    public async Task A_hard_link_to_a_lower_file_shares_it_with_its_old_name()
    {
        using var rootfs = await MountAsync(
            new TarBuilder().Folder("a").Add(new TarEntry { Name = "a/f"u8.ToArray(), Mode = 0x180, Uid = 9, Size = 4 }, "data"),
            new TarBuilder().Link("g", "a/f"));
        Assert.Equal("data", rootfs.Read("g"));
        Assert.Equal(9u, rootfs.Status("g").UserId);
        Assert.Equal(rootfs.Status("a/f").Inode, rootfs.Status("g").Inode);
    }

    [Fact]
    public async Task A_hard_link_to_what_a_layer_in_between_removed_is_refused() =>
        await Assert.ThrowsAsync<Slipway.Storage.StorageException>(() => MountAsync(
            new TarBuilder().File("f", "x"), new TarBuilder().File(".wh.f"), new TarBuilder().Link("g", "f")));

    [Fact]
    public async Task The_root_looks_as_the_image_says_and_so_does_the_containers_layer()
    {
        using var rootfs = await MountAsync(
            new TarBuilder().Add(new TarEntry { Name = "./"u8.ToArray(), Type = TarEntryType.Directory, Mode = 0x1f8, Uid = 3, Gid = 4 }),
            new TarBuilder().File("f", "x"));
        var root = FileStatus.Of(rootfs.Descriptor);
        Assert.Equal((0x1f8u, 3u, 4u), (root.Permissions, root.UserId, root.GroupId));
    }

    [Fact]
    public async Task So_does_a_containers_layer_that_was_made_ahead()
    {
        var archive = ImageBuilder.Archive(null, new TarBuilder().Add(new TarEntry { Name = "./"u8.ToArray(), Type = TarEntryType.Directory, Mode = 0x1f8, Uid = 3, Gid = 4 }).ToArray());
        var image = (await _temporary.Root.Images.LoadAsync(new MemoryStream(archive), null, null, Cancellation))[0].Image;
        _temporary.Root.Snapshots.MountRootfs(image.ChainIds, Container, readOnly: false).Dispose();
        for (var i = 0; i < 1000 && _temporary.Spares().Length == 0; i++)
        {
            await Task.Delay(10, Cancellation);
        }

        var ready = _temporary.Spares();
        Assert.NotEmpty(ready);
        using var rootfs = new RootDirectory(_temporary.Root.Snapshots.MountRootfs(image.ChainIds, new string('d', 64), readOnly: false));
        Assert.Single(ready.Except(_temporary.Spares()));
        var root = FileStatus.Of(rootfs.Descriptor);
        Assert.Equal((0x1f8u, 3u, 4u), (root.Permissions, root.UserId, root.GroupId));

        await _temporary.CloseAsync();
        Assert.Empty(_temporary.Spares());
    }

    [Fact]
    public async Task Writes_of_a_container_go_to_its_own_layer()
    {
        var archive = ImageBuilder.Archive("two:1", new TarBuilder().File("f", "image").ToArray());
        var image = (await _temporary.Root.Images.LoadAsync(new MemoryStream(archive), null, null, Cancellation))[0].Image;
        var other = new string('d', 64);
        using (var first = new RootDirectory(_temporary.Root.Snapshots.MountRootfs(image.ChainIds, Container, readOnly: false)))
        using (var second = new RootDirectory(_temporary.Root.Snapshots.MountRootfs(image.ChainIds, other, readOnly: false)))
        {
            using (var file = first.Open("f"u8, OpenFlags.WriteOnly | OpenFlags.Truncate))
            {
                Descriptors.Write(file, "mine"u8);
            }

            Assert.Equal("mine", first.Read("f"));
            Assert.Equal("image", second.Read("f"));
        }

        Assert.Equal(4, _temporary.Root.Snapshots.UpperSize(Container));
        Assert.Equal(0, _temporary.Root.Snapshots.UpperSize(other));
        Assert.Equal("image", File.ReadAllText(Path.Combine(_temporary.Path, "layers", image.ChainIds[0].Hex, "diff", "f")));

        // The layer outlives the mount, and goes when it is removed.
        using (var again = new RootDirectory(_temporary.Root.Snapshots.MountRootfs(image.ChainIds, Container, readOnly: false)))
        {
            Assert.Equal("mine", again.Read("f"));
        }

        Assert.Equal([Container, other], _temporary.Root.Snapshots.List().Order(StringComparer.Ordinal));
        await _temporary.Root.Snapshots.RemoveAsync(Container);
        await _temporary.Root.Snapshots.RemoveAsync(Container);
        Assert.Equal([other], _temporary.Root.Snapshots.List());
    }

    [Fact]
    public async Task A_read_only_root_file_system_cannot_be_written()
    {
        var archive = ImageBuilder.Archive(null, new TarBuilder().File("f", "image").ToArray());
        var image = (await _temporary.Root.Images.LoadAsync(new MemoryStream(archive), null, null, Cancellation))[0].Image;
        using var rootfs = new RootDirectory(_temporary.Root.Snapshots.MountRootfs(image.ChainIds, Container, readOnly: true));
        Assert.Equal(Slipway.Kernel.Errno.EROFS, rootfs.TryOpen("f"u8, OpenFlags.WriteOnly, out _));
    }

    [Fact]
    public void An_image_without_layers_gives_a_root_with_the_mark_of_containers_alone()
    {
        using var rootfs = new RootDirectory(_temporary.Root.Snapshots.MountRootfs([], Container, readOnly: false));
        Assert.Equal([".dockerenv"], new DirectoryListing(rootfs.Descriptor).Select(entry => System.Text.Encoding.UTF8.GetString(entry.Name)));
    }

    [Theory]
    [InlineData("../../etc")]
    [InlineData("ABC")]
    [InlineData("")]
    public async Task GHSA_4c29_8rgm_jvjj_a_container_id_is_no_path(string id)
    {
        var error = Assert.Throws<Slipway.Storage.StorageException>(() => _temporary.Root.Snapshots.MountRootfs([], id, false));
        Assert.Equal(Slipway.Storage.StorageErrorKind.InvalidParameter, error.Kind);
        await Assert.ThrowsAsync<Slipway.Storage.StorageException>(() => _temporary.Root.Snapshots.RemoveAsync(id));
    }

    private async Task<RootDirectory> MountAsync(params TarBuilder[] layers)
    {
        var archive = ImageBuilder.Archive("test:layers", [.. layers.Select(layer => layer.ToArray())]);
        var loaded = await _temporary.Root.Images.LoadAsync(new MemoryStream(archive), null, null, Cancellation);
        return new RootDirectory(_temporary.Root.Snapshots.MountRootfs(loaded[0].Image.ChainIds, Container, readOnly: false));
    }
}

internal static class RootDirectoryExtensions
{
    public static string Read(this RootDirectory root, string path) => Encoding.UTF8.GetString(root.ReadFile(path, 1 << 20));

    public static string[] List(this RootDirectory root, string path)
    {
        using var directory = root.Open(path, OpenFlags.Path | OpenFlags.Directory);
        return [.. new DirectoryListing(directory).Select(entry => Encoding.UTF8.GetString(entry.Name)).Order(StringComparer.Ordinal)];
    }
}
