using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Mounts;
using Xunit;

namespace Slipway.Tests.Kernel.Mounts;

/// <summary>What the path library does that needs privileges or mounts.</summary>
public sealed class MountTreeTests : IDisposable
{
    private readonly string _scratch = Directory.CreateTempSubdirectory("slipway-compile-").FullName;
    private readonly SafeFileHandle _tmpfs = FileSystemContext.Mount("tmpfs", MountAttributes.None, "mode=755");
    private readonly RootDirectory _root;

    public MountTreeTests() => _root = new RootDirectory(Descriptors.Duplicate(_tmpfs));

    public void Dispose()
    {
        _root.Dispose();
        _tmpfs.Dispose();
        Directory.Delete(_scratch, recursive: true);
    }

    [Fact]
    public void A_copy_of_a_host_directory_is_detached_and_changed_alone()
    {
        File.WriteAllText(Path.Combine(_scratch, "file"), "x");
        using SafeFileHandle tree = MountTree.Clone(new HostPath(_scratch), recursive: true);
        MountTree.Change(tree, MountAttributeChange.Of(MountAttributes.ReadOnly, 0, MountPropagation.Private), recursive: true);
        using var root = new RootDirectory(Descriptors.Duplicate(tree));
        Assert.Equal("x"u8.ToArray(), root.ReadFile("file", 10));
        Assert.Equal(Errno.EROFS, Assert.Throws<KernelException>(() => root.EnsureDirectory("new")).Errno);
        Directory.CreateDirectory(Path.Combine(_scratch, "new"));
    }

    [Fact]
    public void Removal_stops_at_a_mount_and_leaves_what_is_mounted()
    {
        string target = Path.Combine(_scratch, "tree/inner");
        Directory.CreateDirectory(target);
        using (SafeFileHandle inner = FileSystemContext.Mount("tmpfs", MountAttributes.None))
        using (SafeFileHandle place = new HostPath(target).Open(OpenFlags.Path | OpenFlags.Directory))
        {
            MountTree.Attach(inner, place);
        }

        try
        {
            File.WriteAllText(Path.Combine(target, "kept"), "x");
            using RootDirectory scratch = new HostPath(_scratch).OpenRoot();
            Assert.Equal(Errno.EBUSY, Assert.Throws<KernelException>(() => scratch.Remove("tree")).Errno);
            Assert.True(File.Exists(Path.Combine(target, "kept")));
        }
        finally
        {
            MountTree.Unmount(new HostPath(target), detach: true);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Extended_attributes_also_of_links(bool asBefore613)
    {
        DirectoryEntry.CreateFile(_root.Descriptor, "file", 0x1A4).Dispose();
        DirectoryEntry.CreateSymbolicLink(_root.Descriptor, "link", "file");
        ExtendedAttributes.UseFallback = asBefore613;
        try
        {
            ExtendedAttributes.Set(_root.Descriptor, "file", "trusted.a", "1"u8);
            ExtendedAttributes.Set(_root.Descriptor, "link", "trusted.b", [0, 255]);
            Assert.Equal("1"u8.ToArray(), ExtendedAttributes.Get(_root.Descriptor, "file", "trusted.a"));
            Assert.Equal([0, 255], ExtendedAttributes.Get(_root.Descriptor, "link", "trusted.b"));
            Assert.Null(ExtendedAttributes.Get(_root.Descriptor, "file", "trusted.b"));
            Assert.Equal(["trusted.b"], ExtendedAttributes.List(_root.Descriptor, "link").Select(Encoding.UTF8.GetString));
            ExtendedAttributes.Remove(_root.Descriptor, "link", "trusted.b");
            Assert.Empty(ExtendedAttributes.List(_root.Descriptor, "link"));
            Assert.Equal(Errno.ENODATA, Assert.Throws<KernelException>(() => ExtendedAttributes.Remove(_root.Descriptor, "link", "trusted.b")).Errno);
            Assert.Equal(Errno.EINVAL, Assert.Throws<KernelException>(() => ExtendedAttributes.Get(_root.Descriptor, "../file", "trusted.a")).Errno);
        }
        finally
        {
            ExtendedAttributes.UseFallback = false;
        }
    }

    [Fact]
    public void Owners_modes_times_and_device_numbers()
    {
        DirectoryEntry.CreateNode(_root.Descriptor, "node", FileType.BlockDevice, 0x180, new DeviceNumber(259, 70000));
        DirectoryEntry.CreateSymbolicLink(_root.Descriptor, "link", "node");
        DirectoryEntry.ChangeOwner(_root.Descriptor, "link", 5, 6);
        DirectoryEntry.ChangeOwner(_root.Descriptor, "node", 7, 8);
        DirectoryEntry.ChangeMode(_root.Descriptor, "node", 0x9ED);
        DirectoryEntry.SetTimes(_root.Descriptor, "link", new FileTime(11, 12), new FileTime(-13, 14));

        FileStatus node = FileStatus.Of(_root.Descriptor, "node");
        Assert.Equal((FileType.BlockDevice, 0x9EDu, 7u, 8u), (node.Type, node.Permissions, node.UserId, node.GroupId));
        Assert.Equal(new DeviceNumber(259, 70000), node.SpecialDevice);
        FileStatus link = FileStatus.Of(_root.Descriptor, "link");
        Assert.Equal((5u, 6u, new FileTime(-13, 14)), (link.UserId, link.GroupId, link.ModificationTime));
        Assert.Equal(Errno.EOPNOTSUPP, Assert.Throws<KernelException>(() => DirectoryEntry.ChangeMode(_root.Descriptor, "link", 0x1FF)).Errno);

        using SafeFileHandle byDescriptor = DirectoryEntry.Open(_root.Descriptor, "link", OpenFlags.Path);
        Descriptors.ChangeOwner(byDescriptor, 1, 2);
        Descriptors.SetTimes(byDescriptor, FileTime.Unchanged, new FileTime(99, 0));
        Assert.Equal((1u, new FileTime(99, 0)), (FileStatus.Of(byDescriptor).UserId, FileStatus.Of(byDescriptor).ModificationTime));
    }

    [Fact]
    public void Hard_links_and_renames()
    {
        _root.EnsureDirectory("sub").Descriptor!.Dispose();
        using SafeFileHandle sub = _root.Open("sub", OpenFlags.Path);
        DirectoryEntry.CreateFile(_root.Descriptor, "a", 0x1A4).Dispose();
        DirectoryEntry.CreateHardLink(_root.Descriptor, "a", sub, "b");
        using (SafeFileHandle unnamed = _root.Open(".", OpenFlags.TemporaryFile | OpenFlags.WriteOnly, 0x1A4))
        {
            Descriptors.Write(unnamed, "later"u8);
            DirectoryEntry.CreateHardLink(unnamed, sub, "c");
        }

        Assert.Equal(2u, FileStatus.Of(sub, "b").LinkCount);
        Assert.Equal("later"u8.ToArray(), _root.ReadFile("sub/c", 10));
        Assert.Equal(Errno.EEXIST, Assert.Throws<KernelException>(() => DirectoryEntry.Rename(_root.Descriptor, "a", sub, "c", RenameFlags.NoReplace)).Errno);
        DirectoryEntry.Rename(sub, "c", _root.Descriptor, "a");
        Assert.Equal("later"u8.ToArray(), _root.ReadFile("a", 10));
        Assert.Null(FileStatus.TryOf(sub, "c"));
    }

    [Fact]
    public void A_private_procfs_cannot_be_covered_and_nothing_leads_out_of_it()
    {
        Assert.Equal(Errno.EXDEV, Assert.Throws<KernelException>(() => PrivateProc.Root.Open("../etc", OpenFlags.Path, 0, PrivateProc.Strict)).Errno);
        Assert.Equal(Errno.ELOOP, Assert.Throws<KernelException>(() => PrivateProc.Root.Open("self/root", OpenFlags.Path | OpenFlags.Directory, 0, PrivateProc.Strict)).Errno);
        Assert.Equal(Descriptors.ProcSuperMagic, Descriptors.FileSystemType(PrivateProc.Root.Descriptor));
    }

    [Fact]
    public void A_terminal_needs_a_devpts()
    {
        Assert.Contains("no devpts", Assert.Throws<KernelException>(() => PseudoTerminal.Create(_tmpfs)).Message, StringComparison.Ordinal);
        using SafeFileHandle devpts = FileSystemContext.Mount("devpts", MountAttributes.None, "ptmxmode=0666", "mode=0620");
        using PseudoTerminal terminal = PseudoTerminal.Create(devpts);
        Assert.Equal(0, terminal.Number);
        PseudoTerminal.SetWindowSize(terminal.Master, 10, 20);
        using SafeFileHandle peer = PseudoTerminal.OpenPeer(terminal.Master);
        Descriptors.Write(peer, "hello\n"u8);
        using var reader = new FileStream(terminal.Master, FileAccess.Read, 0);
        byte[] buffer = new byte[7];
        reader.ReadExactly(buffer);
        Assert.Equal("hello\r\n"u8.ToArray(), buffer);
    }
}
