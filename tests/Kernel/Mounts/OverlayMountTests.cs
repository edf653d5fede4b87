using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Mounts;
using Xunit;

namespace Slipway.Tests.Kernel.Mounts;

public sealed class OverlayMountTests : IDisposable
{
    private readonly string _scratch = Directory.CreateTempSubdirectory("slipway-compile-").FullName;
    private readonly SafeFileHandle _tmpfs;
    private readonly RootDirectory _root;

    public OverlayMountTests()
    {
        // On a detached tmpfs: nothing stays mounted, whatever happens to the test.
        _tmpfs = FileSystemContext.Mount("tmpfs", MountAttributes.None, "mode=755");
        _root = new RootDirectory(Descriptors.Duplicate(_tmpfs));
    }

    public void Dispose()
    {
        _root.Dispose();
        _tmpfs.Dispose();
        Directory.Delete(_scratch, recursive: true);
    }

    private SafeFileHandle Layer(string name, params (string Name, string Content)[] files)
    {
        using SafeFileHandle made = _root.EnsureDirectory(name).Descriptor!;
        foreach ((string file, string content) in files)
        {
            using SafeFileHandle open = DirectoryEntry.CreateFile(made, file, 0x1A4);
            Descriptors.Write(open, Encoding.UTF8.GetBytes(content));
        }

        return _root.Open(name, OpenFlags.Path | OpenFlags.Directory);
    }

    [Theory]
    [InlineData(OverlayMethod.Automatic, 3)]
    [InlineData(OverlayMethod.Descriptors, 3)]
    [InlineData(OverlayMethod.Strings, 3)]
    [InlineData(OverlayMethod.PrivateNamespace, 3)]
    [InlineData(OverlayMethod.Automatic, 128)]
    [InlineData(OverlayMethod.Strings, 128)]
    [InlineData(OverlayMethod.PrivateNamespace, 128)]
    public void Layers_are_stacked_and_writes_go_to_the_upper_one(OverlayMethod method, int layers)
    {
        SafeFileHandle[] lowers = [.. Enumerable.Range(0, layers).Select(i => Layer($"l{i}", ("who", $"{i}"), ($"only{i}", "x")))];
        using SafeFileHandle upper = Layer("upper");
        using SafeFileHandle work = Layer("work");
        string[] mountsBefore = HostMounts.Besides(_scratch);
        using (var overlay = new RootDirectory(OverlayMount.Create(lowers, upper, work, OverlayOptions.Default with { Method = method })))
        {
            Assert.Equal("0", Encoding.UTF8.GetString(overlay.ReadFile("who", 10)));
            Assert.Equal(layers + 1, new DirectoryListing(overlay.Descriptor).Count());
            overlay.EnsureFile("new", 0x1A4).Descriptor!.Dispose();
            overlay.Remove("only1");
        }

        Assert.Equal(mountsBefore, HostMounts.Besides(_scratch));
        Assert.True(_root.Status("upper/new").IsRegularFile);
        Assert.Equal(FileType.CharacterDevice, _root.Status("upper/only1").Type);
        Assert.True(_root.Status("l1/only1").IsRegularFile);
        Array.ForEach(lowers, l => l.Dispose());
    }

    /// <summary>As layers with the ids of a user namespace and layers of a size are: kernels before 6.8 take them only where they are attached in the caller's mount namespace.</summary>
    [Theory]
    [InlineData(OverlayMethod.Automatic)]
    [InlineData(OverlayMethod.PrivateNamespace)]
    public void Layers_may_lie_on_mounts_that_nobody_has_attached(OverlayMethod method)
    {
        using SafeFileHandle first = Layer("first", ("who", "first"));
        using SafeFileHandle second = Layer("second", ("who", "second"), ("other", "x"));
        using SafeFileHandle attached = Layer("attached", ("who", "attached"));
        using SafeFileHandle container = Layer("container");
        DirectoryEntry.CreateDirectory(container, "upper", 0x1ED);
        DirectoryEntry.CreateDirectory(container, "work", 0x1C0);
        using SafeFileHandle mount = MountTree.Clone(container, recursive: false);
        using SafeFileHandle upper = DirectoryEntry.Open(mount, "upper", OpenFlags.Path | OpenFlags.Directory);
        using SafeFileHandle work = DirectoryEntry.Open(mount, "work", OpenFlags.Path | OpenFlags.Directory);
        SafeFileHandle[] lowers = [MountTree.Clone(first, recursive: false), attached, MountTree.Clone(second, recursive: false)];
        string[] mountsBefore = HostMounts.Besides(_scratch);
        using (var overlay = new RootDirectory(OverlayMount.Create(lowers, upper, work, OverlayOptions.Default with { Method = method })))
        {
            Assert.Equal(mountsBefore, HostMounts.Besides(_scratch));
            Assert.Equal("first", Encoding.UTF8.GetString(overlay.ReadFile("who", 10)));
            Assert.Equal("x", Encoding.UTF8.GetString(overlay.ReadFile("other", 10)));
            overlay.EnsureFile("new", 0x1A4).Descriptor!.Dispose();
        }

        Assert.True(_root.Status("container/upper/new").IsRegularFile);
        Array.ForEach(lowers, lower => lower.Dispose());
    }

    [Theory]
    [InlineData(OverlayMethod.Automatic)]
    [InlineData(OverlayMethod.PrivateNamespace)]
    public void Without_an_upper_layer_it_is_read_only(OverlayMethod method)
    {
        using SafeFileHandle a = Layer("a", ("x", "1"));
        using SafeFileHandle b = Layer("b", ("y", "2"));
        using var overlay = new RootDirectory(OverlayMount.Create([a, b], null, null, OverlayOptions.Default with { Method = method }));
        Assert.Equal(Errno.EROFS, Assert.Throws<KernelException>(() => overlay.EnsureDirectory("new")).Errno);
    }

    [Fact]
    public void An_error_carries_what_the_kernel_says()
    {
        using SafeFileHandle lower = Layer("a");
        using SafeFileHandle work = Layer("work");
        using SafeFileHandle file = Layer("b", ("file", "x"));
        using SafeFileHandle upper = _root.Open("b/file", OpenFlags.Path);
        var error = Assert.Throws<KernelException>(() => OverlayMount.Create([lower], upper, work, OverlayOptions.Default));
        Assert.Matches("^mount overlay, .* \\(.*(overlay|directory).*\\): E[A-Z]+ ", error.Message);
    }

    [Fact]
    public void Too_many_layers_and_an_upper_without_work_are_refused()
    {
        using SafeFileHandle lower = Layer("a");
        Assert.Throws<ArgumentException>(() => OverlayMount.Create([.. Enumerable.Repeat(lower, 131)], null, null, OverlayOptions.Default));
        Assert.Throws<ArgumentException>(() => OverlayMount.Create([], null, null, OverlayOptions.Default));
        Assert.Throws<ArgumentException>(() => OverlayMount.Create([lower], lower, null, OverlayOptions.Default));
    }

    [Fact]
    public void Volatile_mounts_work()
    {
        using SafeFileHandle lower = Layer("a", ("x", "1"));
        using SafeFileHandle upper = Layer("upper");
        using SafeFileHandle work = Layer("work");
        using SafeFileHandle overlay = OverlayMount.Create([lower], upper, work, new OverlayOptions(Volatile: true));
        Assert.Equal(Descriptors.OverlayfsSuperMagic, Descriptors.FileSystemType(overlay));
    }
}
