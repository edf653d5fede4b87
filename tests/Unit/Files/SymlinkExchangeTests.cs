using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Xunit;

namespace Slipway.Tests.Unit.Files;

/// <summary>
/// An attacker inside the root swaps a directory and a symbolic link to a directory outside, as fast as it can
/// (renameat2(RENAME_EXCHANGE)), while paths through that name are used.
/// </summary>
public sealed class SymlinkExchangeTests : IDisposable
{
    private readonly ScratchDirectory _scratch = new();
    private readonly RootDirectory _root;
    private readonly Thread _racer;
    private volatile bool _stop;
    private long _swaps;

    public SymlinkExchangeTests()
    {
        _root = _scratch.Root("root");
        Directory.CreateDirectory(_scratch["outside"]);
        File.WriteAllText(_scratch["outside/file"], "host");
        Directory.CreateDirectory(_scratch["root/dir"]);
        File.WriteAllText(_scratch["root/dir/file"], "container");
        File.CreateSymbolicLink(_scratch["root/link"], _scratch["outside"]);
        _racer = new Thread(Swap) { Name = "symlink racer", IsBackground = true };
        _racer.Start();
    }

    public void Dispose()
    {
        _stop = true;
        _racer.Join();
        _root.Dispose();
        _scratch.Dispose();
    }

    private void Swap()
    {
        while (!_stop)
        {
            DirectoryEntry.Rename(_root.Descriptor, "dir", _root.Descriptor, "link", RenameFlags.Exchange);
            _swaps++;
        }
    }

    [Fact]
    public void CVE_2021_30465_nothing_is_created_outside_while_targets_are_exchanged()
    {
        int inside = Repeat(i =>
        {
            ResolvedPath made = _root.EnsureDirectory($"dir/target{i % 50}");
            made.Descriptor!.Dispose();
        });
        Repeat(i => _root.EnsureFile($"dir/stub{i % 50}", 0x1A4).Descriptor!.Dispose());
        Assert.Equal(["file"], Directory.GetFileSystemEntries(_scratch["outside"]).Select(Path.GetFileName));
        Assert.True(inside > 0);
        Assert.True(_swaps > 100, $"the racer made {_swaps} swaps");
    }

    [Fact]
    public void Reads_never_see_the_host_file()
    {
        int read = 0;
        Repeat(_ =>
        {
            byte[] content = _root.ReadFile("dir/file", 100);
            Assert.Equal("container"u8.ToArray(), content);
            read++;
        });
        Assert.True(read > 0);
    }

    [Fact]
    public void Removal_never_follows_the_link()
    {
        Repeat(_ =>
        {
            ResolvedPath made = _root.EnsureDirectory("dir/tree/a/b");
            made.Descriptor!.Dispose();
            _root.Remove("dir/tree");
        });
        Assert.Equal("host", File.ReadAllText(_scratch["outside/file"]));
        Assert.Equal(["file"], Directory.GetFileSystemEntries(_scratch["outside"]).Select(Path.GetFileName));
    }

    [Fact]
    public void Chmod_chown_and_times_of_an_entry_never_reach_the_target()
    {
        DateTime before = File.GetLastWriteTimeUtc(_scratch["outside"]);
        UnixFileMode mode = File.GetUnixFileMode(_scratch["outside"]);
        Repeat(_ =>
        {
            DirectoryEntry.SetTimes(_root.Descriptor, "dir", new FileTime(1, 0), new FileTime(1, 0));
            DirectoryEntry.ChangeMode(_root.Descriptor, "dir", 0x1FF);
        });
        Assert.Equal(before, File.GetLastWriteTimeUtc(_scratch["outside"]));
        Assert.Equal(mode, File.GetUnixFileMode(_scratch["outside"]));
    }

    /// <summary>Runs the action 4,000 times; while the link lies in the way it may fail, but in no other manner than these.</summary>
    private static int Repeat(Action<int> action)
    {
        int succeeded = 0;
        for (int i = 0; i < 4000; i++)
        {
            try
            {
                action(i);
                succeeded++;
            }
            catch (KernelException e) when (e.Errno is Errno.ENOENT or Errno.ELOOP or Errno.EAGAIN or Errno.EOPNOTSUPP or Errno.ENOTDIR or Errno.ENOTEMPTY or Errno.EEXIST)
            {
            }
        }

        return succeeded;
    }
}
