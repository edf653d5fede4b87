using Slipway.Kernel.Files;
using Xunit;

namespace Slipway.Tests.Unit.Files;

public sealed class TreeRemovalTests : IDisposable
{
    private readonly ScratchDirectory _scratch = new();
    private readonly RootDirectory _root;

    public TreeRemovalTests() => _root = _scratch.Root("root");

    public void Dispose()
    {
        _root.Dispose();
        _scratch.Dispose();
    }

    [Fact]
    public void Removes_a_tree_and_not_what_its_links_point_to()
    {
        File.WriteAllText(_scratch["keep"], "x");
        Directory.CreateDirectory(_scratch["keepdir"]);
        for (int i = 0; i < 30; i++)
        {
            Directory.CreateDirectory(_scratch[$"root/tree/{i}/sub/deeper"]);
            File.WriteAllText(_scratch[$"root/tree/{i}/file"], "x");
        }

        File.CreateSymbolicLink(_scratch["root/tree/link"], _scratch["keepdir"]);
        File.CreateSymbolicLink(_scratch["root/tree/3/link"], _scratch["keep"]);
        _root.Remove("tree");
        Assert.Empty(Directory.GetFileSystemEntries(_scratch["root"]));
        Assert.True(File.Exists(_scratch["keep"]));
        Assert.True(Directory.Exists(_scratch["keepdir"]));
    }

    [Fact]
    public void Removes_a_tree_deeper_than_any_path_and_any_descriptor_limit()
    {
        using var bottom = new Descent(_root);
        for (int i = 0; i < 3000; i++)
        {
            bottom.Down("directory");
        }

        _root.Remove("directory");
        Assert.Empty(Directory.GetFileSystemEntries(_scratch["root"]));
    }

    [Fact]
    public void Removing_nothing_or_a_single_file_or_link_works()
    {
        File.WriteAllText(_scratch["root/file"], "x");
        File.CreateSymbolicLink(_scratch["root/link"], "file");
        _root.Remove("nothing");
        _root.Remove("link");
        Assert.True(File.Exists(_scratch["root/file"]));
        _root.Remove("file");
        Assert.Empty(Directory.GetFileSystemEntries(_scratch["root"]));
    }

    [Fact]
    public void Clear_keeps_the_directory_itself()
    {
        Directory.CreateDirectory(_scratch["root/a/b"]);
        File.WriteAllText(_scratch["root/c"], "x");
        TreeRemoval.Clear(_root.Descriptor);
        Assert.True(Directory.Exists(_scratch["root"]));
        Assert.Empty(Directory.GetFileSystemEntries(_scratch["root"]));
    }

    private sealed class Descent(RootDirectory root) : IDisposable
    {
        private Microsoft.Win32.SafeHandles.SafeFileHandle _current = Descriptors.Duplicate(root.Descriptor);

        public void Down(string name)
        {
            DirectoryEntry.CreateDirectory(_current, name, 0x1ED);
            var next = DirectoryEntry.Open(_current, name, OpenFlags.Path | OpenFlags.Directory);
            _current.Dispose();
            _current = next;
        }

        public void Dispose() => _current.Dispose();
    }
}
