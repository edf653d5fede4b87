using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Xunit;

namespace Slipway.Tests.Unit.Files;

public sealed class RootDirectoryTests : IDisposable
{
    private readonly ScratchDirectory _scratch = new();
    private readonly RootDirectory _root;

    public RootDirectoryTests()
    {
        _root = _scratch.Root("root");
        File.WriteAllText(_scratch["secret"], "outside");
        Directory.CreateDirectory(_scratch["root/etc"]);
        File.WriteAllText(_scratch["root/etc/passwd"], "inside");
        File.WriteAllText(_scratch["root/secret"], "inside");
    }

    public void Dispose()
    {
        _root.Dispose();
        _scratch.Dispose();
    }

    [Theory]
    [InlineData("/etc/passwd")]
    [InlineData("etc/passwd")]
    [InlineData("etc//./passwd")]
    [InlineData("../../etc/passwd")]
    [InlineData("/etc/../../../etc/passwd")]
    public void Paths_stay_inside(string path) => Assert.Equal("inside", Encoding.UTF8.GetString(_root.ReadFile(path, 100)));

    [Theory]
    [InlineData("/secret")]
    [InlineData("../secret")]
    [InlineData("../../../../../../secret")]
    public void Links_are_followed_inside(string target)
    {
        File.CreateSymbolicLink(_scratch["root/link"], target);
        Assert.Equal("inside", Encoding.UTF8.GetString(_root.ReadFile("link", 100)));
    }

    [Fact]
    public void A_link_to_a_host_file_that_the_root_lacks_leads_nowhere()
    {
        File.CreateSymbolicLink(_scratch["root/link"], _scratch["secret"]);
        Assert.Equal(Errno.ENOENT, Assert.Throws<KernelException>(() => _root.ReadFile("link", 100)).Errno);
        Assert.Null(_root.TryReadFile("link", 100));
    }

    [Fact]
    public void Magic_links_fail()
    {
        using var proc = new HostPath("/proc").OpenRoot();
        Assert.Equal(Errno.ELOOP, Assert.Throws<KernelException>(() => proc.Open("self/exe", OpenFlags.Path)).Errno);
        Assert.Equal(Errno.ELOOP, Assert.Throws<KernelException>(() => proc.Open("self/root/etc", OpenFlags.Path, 0, Resolution.None)).Errno);
    }

    [Fact]
    public void A_file_beyond_the_cap_is_an_error_and_not_cut()
    {
        File.WriteAllText(_scratch["root/big"], new string('x', 5000));
        Assert.Equal(Errno.EFBIG, Assert.Throws<KernelException>(() => _root.ReadFile("big", 4999)).Errno);
        Assert.Equal(5000, _root.ReadFile("big", 5000).Length);
    }

    [Fact]
    public void Files_without_a_size_are_read_whole_and_capped()
    {
        using var proc = new HostPath("/proc").OpenRoot();
        Assert.True(proc.ReadFile("kallsyms", 64 << 20).Length > 4096);
        Assert.Equal(Errno.EFBIG, Assert.Throws<KernelException>(() => proc.ReadFile("kallsyms", 4096)).Errno);
    }

    [Fact]
    public void Reading_a_fifo_or_a_directory_fails_at_once()
    {
        DirectoryEntry.CreateNode(_root.Descriptor, "pipe", FileType.Fifo, 0x1B6);
        Assert.Equal(Errno.EINVAL, Assert.Throws<KernelException>(() => _root.ReadFile("pipe", 100)).Errno);
        Assert.Equal(Errno.EINVAL, Assert.Throws<KernelException>(() => _root.ReadFile("etc", 100)).Errno);
    }

    [Fact]
    public void Names_that_are_not_utf8_work_and_are_shown_escaped()
    {
        byte[] name = [(byte)'a', 0xff, 0xfe, (byte)'\n'];
        DirectoryEntry.CreateFile(_root.Descriptor, name, 0x1A4).Dispose();
        Assert.Contains(new DirectoryListing(_root.Descriptor), e => e.Name.AsSpan().SequenceEqual(name) && e.Type == FileType.RegularFile);
        DirectoryEntry.Unlink(_root.Descriptor, name);
        var error = Assert.Throws<KernelException>(() => _root.Open(name, OpenFlags.Path));
        Assert.Contains("\"a\\xff\\xfe\\x0a\"", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Paths_the_kernel_would_cut_are_refused()
    {
        Assert.Equal(Errno.EINVAL, Assert.Throws<KernelException>(() => _root.Open("etc\0x", OpenFlags.Path)).Errno);
        Assert.Equal(Errno.ENAMETOOLONG, Assert.Throws<KernelException>(() => _root.Open(new string('x', 5000), OpenFlags.Path)).Errno);
    }

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("..")]
    [InlineData("a/b")]
    public void Only_names_are_entries(string name)
    {
        Assert.Equal(Errno.EINVAL, Assert.Throws<KernelException>(() => DirectoryEntry.CreateDirectory(_root.Descriptor, name, 0x1ED)).Errno);
        Assert.Equal(Errno.EINVAL, Assert.Throws<KernelException>(() => DirectoryEntry.Open(_root.Descriptor, name, OpenFlags.Path)).Errno);
        Assert.Equal(Errno.EINVAL, Assert.Throws<KernelException>(() => FileStatus.Of(_root.Descriptor, name)).Errno);
    }

    [Fact]
    public void Parent_and_name()
    {
        File.CreateSymbolicLink(_scratch["root/way"], "/etc");
        using SafeFileHandle parent = _root.OpenParent("way/passwd/", out ReadOnlySpan<byte> name);
        Assert.Equal("passwd", Encoding.UTF8.GetString(name));
        Assert.True(FileStatus.Of(parent).IsSameFile(_root.Status("etc")));
        Assert.Throws<KernelException>(() => _root.OpenParent("/", out _));
        Assert.Throws<KernelException>(() => _root.OpenParent("etc/..", out _));
    }

    [Fact]
    public void Ensure_creates_directories_with_the_mode_given_whatever_the_umask()
    {
        ResolvedPath made = _root.EnsureDirectory("/a/../b/c", 0x1FF);
        using SafeFileHandle? descriptor = made.Descriptor;
        Assert.Equal("/b/c", made.ToString());
        Assert.True(made.Created);
        Assert.Equal(0x1FFu, FileStatus.Of(descriptor!).Permissions);
        Assert.True(Directory.Exists(_scratch["root/b/c"]));

        ResolvedPath again = _root.EnsureDirectory("b/c");
        Assert.False(again.Created);
        again.Descriptor!.Dispose();
    }

    [Theory]
    [InlineData("/run/systemd/stub-resolv.conf", "/run/systemd/stub-resolv.conf")]
    [InlineData("../run/resolv.conf", "/run/resolv.conf")]
    [InlineData("../../../../run/resolv.conf", "/run/resolv.conf")]
    [InlineData("other.conf", "/etc/other.conf")]
    public void Ensure_creates_the_target_of_a_dangling_link(string target, string canonical)
    {
        File.CreateSymbolicLink(_scratch["root/etc/resolv.conf"], target);
        ResolvedPath made = _root.EnsureFile("/etc/resolv.conf", 0x1A4);
        using SafeFileHandle? descriptor = made.Descriptor;
        Assert.Equal(canonical, made.ToString());
        Assert.True(made.Created);
        Assert.True(File.Exists(_scratch["root" + canonical]));
        Assert.Equal(target, new FileInfo(_scratch["root/etc/resolv.conf"]).LinkTarget);
    }

    [Fact]
    public void Ensure_through_a_link_out_of_the_root_creates_inside()
    {
        File.CreateSymbolicLink(_scratch["root/out"], _scratch["victim"]);
        ResolvedPath made = _root.EnsureDirectory("out/x");
        made.Descriptor!.Dispose();
        Assert.False(Directory.Exists(_scratch["victim"]));
        Assert.Equal(_scratch["victim"] + "/x", made.ToString());
        Assert.True(Directory.Exists(_scratch["root"] + _scratch["victim"] + "/x"));
    }

    [Fact]
    public void Ensure_refuses_what_is_in_the_way()
    {
        Assert.Equal(Errno.ENOTDIR, Assert.Throws<KernelException>(() => _root.EnsureDirectory("etc/passwd")).Errno);
        Assert.Equal(Errno.ENOTDIR, Assert.Throws<KernelException>(() => _root.EnsureDirectory("etc/passwd/below")).Errno);
        Assert.Equal(Errno.ENOTDIR, Assert.Throws<KernelException>(() => _root.EnsureDirectory("etc/passwd/..")).Errno);
        Assert.Equal(Errno.EISDIR, Assert.Throws<KernelException>(() => _root.EnsureFile("etc", 0x1A4)).Errno);
    }

    [Fact]
    public void Link_loops_end()
    {
        File.CreateSymbolicLink(_scratch["root/a"], "b");
        File.CreateSymbolicLink(_scratch["root/b"], "a");
        Assert.Equal(Errno.ELOOP, Assert.Throws<KernelException>(() => _root.EnsureDirectory("a")).Errno);
        Assert.Equal(Errno.ELOOP, Assert.Throws<KernelException>(() => _root.Open("a", OpenFlags.ReadOnly)).Errno);
    }

    [Fact]
    public void A_walk_passes_into_mounts_and_stops_at_opaque_ones()
    {
        using RootDirectory mount = _scratch.Root("mount");
        MountCrossing Lookup(ReadOnlySpan<byte> path) =>
            path.SequenceEqual("/dev"u8) ? new(true, mount.Descriptor) : path.SequenceEqual("/proc"u8) ? new(true, null) : default;

        File.CreateSymbolicLink(_scratch["root/d"], "dev/x");
        ResolvedPath made = _root.Ensure("d/y", MissingPath.CreateDirectory, new NewEntry(0x1ED), Lookup);
        made.Descriptor!.Dispose();
        Assert.Equal("/dev/x/y", made.ToString());
        Assert.True(Directory.Exists(_scratch["mount/x/y"]));
        Assert.False(Directory.Exists(_scratch["root/dev"]));

        ResolvedPath opaque = _root.Resolve("/dev/../proc/self/exe", Lookup);
        Assert.Null(opaque.Descriptor);
        Assert.Equal("/proc/self/exe", opaque.ToString());
        Assert.Equal(Errno.EINVAL, Assert.Throws<KernelException>(() => _root.Resolve("/proc/../etc", Lookup)).Errno);
    }
}
