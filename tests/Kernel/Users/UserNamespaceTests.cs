using System.Text.RegularExpressions;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Mounts;
using Slipway.Kernel.Users;
using Xunit;

namespace Slipway.Tests.Kernel.Users;

/// <summary>User namespaces by descriptor, mounts with their ids, and files made as their root.</summary>
public sealed partial class UserNamespaceTests : IDisposable
{
    private static readonly IdMaps s_maps = new(new IdMap([new IdRange(0, 231072, 65536)]), new IdMap([new IdRange(0, 331072, 65536)]));

    private readonly string _folder = Directory.CreateTempSubdirectory("slipway-users-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_namespace_needs_no_process_and_leaves_none()
    {
        using UserNamespace users = UserNamespace.Create(s_maps, network: true);
        Assert.NotNull(users.Network);
        Assert.Empty(ChildrenInOtherUserNamespaces());
    }

    [Fact]
    public void Each_namespace_is_another()
    {
        using UserNamespace one = UserNamespace.Create(s_maps, network: false);
        using UserNamespace other = UserNamespace.Create(s_maps, network: false);
        Assert.False(FileStatus.Of(one.Descriptor).IsSameFile(FileStatus.Of(other.Descriptor)));
        Assert.Null(one.Network);
    }

    [Fact]
    public void The_own_namespace_is_none_and_a_process_that_is_not_there_an_error()
    {
        Assert.Null(UserNamespace.OfProcess(Environment.ProcessId));
        Assert.Equal(Errno.ENOENT, Assert.Throws<KernelException>(() => UserNamespace.OfProcess(int.MaxValue)).Errno);
    }

    [Fact]
    public void Threads_that_make_namespaces_beside_each_other_do_not_disturb_each_other()
    {
        Parallel.For(0, 200, new ParallelOptions { MaxDegreeOfParallelism = 4 }, i =>
        {
            byte[] garbage = new byte[100_000 + i];
            using UserNamespace users = UserNamespace.Create(s_maps, network: i % 20 == 0);
            Assert.NotEmpty(garbage);
        });
        GC.Collect();
        Assert.Empty(ChildrenInOtherUserNamespaces());
    }

    [Fact]
    public void Files_of_a_mapped_mount_show_with_the_ids_of_the_namespace_and_are_stored_without()
    {
        File.WriteAllText(Path.Combine(_folder, "file"), "x");
        using UserNamespace users = UserNamespace.Create(s_maps, network: false);
        using SafeFileHandle tree = MountTree.Clone(new HostPath(_folder), recursive: false);
        MountTree.MapIds(tree, users.Descriptor, recursive: false);
        FileStatus shown = FileStatus.TryOf(tree, "file"u8)!.Value;
        Assert.Equal((231072u, 331072u), (shown.UserId, shown.GroupId));

        // Nobody on the host is anybody there: what the host's root makes would belong to no one.
        Assert.Equal(Errno.EOVERFLOW, Assert.Throws<KernelException>(() => DirectoryEntry.CreateDirectory(tree, "of-the-host"u8, 0x1ED)).Errno);
        using (FileSystemIdentity.AssumeRootOf(s_maps))
        {
            DirectoryEntry.CreateDirectory(tree, "of-the-container"u8, 0x1ED);
        }

        using SafeFileHandle stored = new HostPath(_folder).Open(OpenFlags.Path | OpenFlags.Directory);
        FileStatus made = FileStatus.TryOf(stored, "of-the-container"u8)!.Value;
        Assert.Equal((0u, 0u), (made.UserId, made.GroupId));
        Assert.Equal(Errno.EPERM, Assert.Throws<KernelException>(() => MountTree.MapIds(tree, users.Descriptor, recursive: false)).Errno);
    }

    [Fact]
    public void An_identity_keeps_the_privileges_and_ends_with_its_scope()
    {
        string secret = Path.Combine(_folder, "secret");
        File.WriteAllText(secret, "x");
        File.SetUnixFileMode(secret, UnixFileMode.None);
        using (FileSystemIdentity.Assume(4711, 4712))
        {
            Assert.Equal("x", File.ReadAllText(secret));
            File.WriteAllText(Path.Combine(_folder, "theirs"), "");
        }

        File.WriteAllText(Path.Combine(_folder, "ours"), "");
        Assert.Equal((4711u, 4712u), Owner("theirs"));
        Assert.Equal((0u, 0u), Owner("ours"));
    }

    private (uint UserId, uint GroupId) Owner(string name)
    {
        using SafeFileHandle file = new HostPath(Path.Combine(_folder, name)).Open(OpenFlags.Path);
        FileStatus status = FileStatus.Of(file);
        return (status.UserId, status.GroupId);
    }

    /// <summary>Children of this process that are in a user namespace of their own; zombies included, which have no such link.</summary>
    private static List<string> ChildrenInOtherUserNamespaces()
    {
        List<string> found = [];
        foreach (string task in Directory.EnumerateDirectories("/proc/self/task"))
        {
            // A thread may end meanwhile, and its file with it.
            string path = Path.Combine(task, "children");
            string children = File.Exists(path) ? File.ReadAllText(path) : "";
            found.AddRange(Number().Matches(children).Select(match => match.Value).Where(pid => Status(pid).Contains("231072", StringComparison.Ordinal)));
        }

        return found;
    }

    private static string Status(string pid) => File.Exists($"/proc/{pid}/uid_map") ? File.ReadAllText($"/proc/{pid}/uid_map") : "";

    [GeneratedRegex("[0-9]+")]
    private static partial Regex Number();
}
