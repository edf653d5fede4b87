using System.Formats.Tar;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Mounts;
using Slipway.Storage;
using Slipway.Storage.Copies;
using Xunit;

namespace Slipway.Tests.Kernel.Storage;

/// <summary>Copies in and out of a tree whose owner changes it meanwhile.</summary>
public sealed class ContainerCopyTests : IDisposable
{
    private static readonly CopyOptions s_plain = new(KeepKinds: false, Owner: null);

    private readonly string _folder = Directory.CreateTempSubdirectory("slipway-copy-").FullName;
    private readonly RootDirectory _root;

    public ContainerCopyTests()
    {
        Directory.CreateDirectory(Root);
        Directory.CreateDirectory(Outside);
        _root = new HostPath(Root).OpenRoot();
    }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private string Root => $"{_folder}/root";

    private string Outside => $"{_folder}/outside";

    public void Dispose()
    {
        _root.Dispose();

        // Not by .NET: some names are no text.
        using var parent = new HostPath(Path.GetDirectoryName(_folder)!).Open(OpenFlags.Directory);
        TreeRemoval.Remove(parent, Path.GetFileName(_folder));
    }

    [Fact]
    public async Task CVE_2018_15664_what_is_copied_out_is_never_the_hosts()
    {
        File.WriteAllText($"{Outside}/secret", "host");
        Directory.CreateDirectory($"{Outside}/deep");
        File.WriteAllText($"{Outside}/deep/secret", "host");
        Directory.CreateDirectory($"{Root}/swap/deep");
        File.WriteAllText($"{Root}/swap/secret", "container");
        File.WriteAllText($"{Root}/swap/deep/secret", "container");
        File.CreateSymbolicLink($"{Root}/evil", Outside);
        var contents = new HashSet<string>();
        using (var racer = new Racer(_root.Descriptor, "swap", "evil"))
        {
            for (var i = 0; i < 400 || racer.Swaps < 1000; i++)
            {
                foreach (var path in (string[])["/swap/secret", "/swap/deep/secret", "/swap", "/swap/", "/swap/deep", "/"])
                {
                    contents.UnionWith(await ContentsAsync(path));
                }
            }
        }

        Assert.Equal(["container"], contents);
    }

    [Fact]
    public async Task A_file_that_becomes_a_pipe_meanwhile_is_never_opened()
    {
        File.WriteAllText($"{Root}/file", "content");
        DirectoryEntry.CreateNode(_root.Descriptor, "pipe"u8, FileType.Fifo, 0x1b6);
        using var racer = new Racer(_root.Descriptor, "file", "pipe");
        for (var i = 0; i < 400 || racer.Swaps < 1000; i++)
        {
            // Whoever opened the pipe would wait for a writer for ever.
            foreach (var entry in (await EntriesAsync(_root, "/")).Skip(1))
            {
                Assert.True(entry.EntryType == TarEntryType.Fifo || new StreamReader(entry.DataStream!, Encoding.UTF8).ReadToEnd() == "content", $"{entry.EntryType}");
            }
        }
    }

    [Fact]
    public async Task Copying_out_leaves_no_trace_in_access_times()
    {
        // Older than the modification, so that any reading would be noted (mount(8), relatime).
        var read = new DateTime(2001, 2, 3, 4, 5, 6, DateTimeKind.Utc);
        File.WriteAllText($"{Root}/file", "content");
        File.SetLastAccessTimeUtc($"{Root}/file", read);
        Assert.Equal(["content"], await ContentsAsync("/file"));
        Assert.Equal(["content"], await ContentsAsync("/"));
        Assert.Equal(read, File.GetLastAccessTimeUtc($"{Root}/file"));
    }

    [Fact]
    public async Task CVE_2018_15664_what_is_copied_in_never_reaches_the_host()
    {
        Directory.CreateDirectory($"{Outside}/deep");
        Directory.CreateDirectory($"{Root}/swap/deep");
        File.CreateSymbolicLink($"{Root}/evil", Outside);
        var tar = Tar(writer =>
        {
            writer.WriteEntry(new PaxTarEntry(TarEntryType.Directory, "swap/"));
            writer.WriteEntry(Text("swap/planted"));
            writer.WriteEntry(Text("swap/deep/planted"));
            writer.WriteEntry(Text("swap/made/planted"));
            writer.WriteEntry(new PaxTarEntry(TarEntryType.SymbolicLink, "swap/deep/link") { LinkName = "x" });
            writer.WriteEntry(new PaxTarEntry(TarEntryType.HardLink, "swap/hard") { LinkName = "swap/planted" });
        });
        var inner = Tar(writer => writer.WriteEntry(Text("planted")));
        var outside = DateTime.UnixEpoch;
        Directory.SetLastWriteTimeUtc(Outside, outside);
        using (var racer = new Racer(_root.Descriptor, "swap", "evil"))
        {
            for (var i = 0; i < 400 || racer.Swaps < 1000; i++)
            {
                await TryWriteAsync("/", tar);
                await TryWriteAsync("/swap", inner);
                await TryWriteAsync("/swap/deep", inner);
            }
        }

        Assert.Equal([$"{Outside}/deep"], Directory.GetFileSystemEntries(Outside, "*", SearchOption.AllDirectories));
        Assert.Equal(outside, Directory.GetLastWriteTimeUtc(Outside));
    }

    [Fact]
    public void CVE_2026_41568_and_2026_42306_mount_points_are_made_and_mounted_on_inside()
    {
        Directory.CreateDirectory($"{Root}/swap");
        File.CreateSymbolicLink($"{Root}/evil", Outside);
        var source = $"{_folder}/source";
        Directory.CreateDirectory(source);
        File.WriteAllText($"{source}/mounted", "");
        using (var racer = new Racer(_root.Descriptor, "swap", "evil"))
        {
            for (var i = 0; i < 200 || racer.Swaps < 1000; i++)
            {
                try
                {
                    using var view = NamespaceView.Assemble(
                        MountTree.Clone(new HostPath(Root), recursive: false),
                        [new PlacedMount(MountTree.Clone(new HostPath(source), recursive: false), "/swap/point"), new PlacedMount(MountTree.Clone(new HostPath(source), recursive: false), "/evil/point")],
                        readOnly: false);
                    Assert.True(view.Root.TryOpen("/swap/point/mounted", OpenFlags.Path, out var found) is 0 or Errno.ENOENT);
                    found?.Dispose();
                }
                catch (KernelException error) when (error.Errno is Errno.ENOENT or Errno.EEXIST or Errno.EAGAIN or Errno.ENOTDIR)
                {
                    // The racer took a directory away at the wrong moment; what matters is where nothing was made.
                }
            }
        }

        Assert.Empty(Directory.GetFileSystemEntries(Outside));
        Assert.DoesNotContain(File.ReadAllLines("/proc/self/mountinfo"), mount => mount.Contains(_folder, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_view_shows_what_is_mounted_in_it_and_goes_without_a_trace()
    {
        Directory.CreateDirectory($"{Root}/file-place");
        File.WriteAllText($"{Outside}/file", "mounted");
        using (var view = NamespaceView.Assemble(
            MountTree.Clone(new HostPath(Root), recursive: false),
            [
                new PlacedMount(FileSystemContext.Mount("tmpfs", MountAttributes.None), "/made/tmp"),
                new PlacedMount(MountTree.Clone(new HostPath(Outside + "/file"), recursive: false), "/made/file"),
                new PlacedMount(FileSystemContext.Mount("proc", MountAttributes.None), "/made/proc"),
            ],
            readOnly: true))
        {
            await ContainerCopy.WriteAsync(view.Root, "/made/tmp", new MemoryStream(Tar(writer => writer.WriteEntry(Text("x")))), s_plain, Cancellation);
            Assert.Equal(["made/", "made/file", "made/proc/", "made/tmp/", "made/tmp/x"], (await EntriesAsync(view.Root, "/made")).Select(entry => entry.Name));
            var error = await Assert.ThrowsAsync<StorageException>(() => ContainerCopy.WriteAsync(view.Root, "/made", new MemoryStream(), s_plain, Cancellation));
            Assert.Equal((StorageErrorKind.ReadOnly, "container rootfs is marked read-only"), (error.Kind, error.Message));
        }

        Assert.Empty(Directory.GetFileSystemEntries($"{Root}/made/tmp"));
        Assert.DoesNotContain(File.ReadAllLines("/proc/self/mountinfo"), mount => mount.Contains(_folder, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_link_tells_where_it_leads_though_nothing_be_there()
    {
        File.CreateSymbolicLink($"{Root}/a", "b/../../c/d");
        Directory.CreateDirectory($"{Root}/x");
        File.CreateSymbolicLink($"{Root}/x/up", "../a");
        File.CreateSymbolicLink($"{Root}/loop", "loop");
        Assert.Equal("/c/d", (await ContainerCopy.StatusAsync(_root, "x/up")).LinkTarget);
        Assert.Equal("", (await ContainerCopy.StatusAsync(_root, "x")).LinkTarget);
        Assert.Equal(StorageErrorKind.InvalidParameter, (await Assert.ThrowsAsync<StorageException>(() => ContainerCopy.StatusAsync(_root, "/loop"))).Kind);
        Assert.Equal(StorageErrorKind.InvalidParameter, (await Assert.ThrowsAsync<StorageException>(() => ContainerCopy.StatusAsync(_root, "/" + new string('n', 5000)))).Kind);
    }

    [Fact]
    public async Task Sparse_files_sockets_and_names_that_are_no_text()
    {
        using (var socket = new System.Net.Sockets.Socket(System.Net.Sockets.AddressFamily.Unix, System.Net.Sockets.SocketType.Stream, 0))
        {
            socket.Bind(new System.Net.Sockets.UnixDomainSocketEndPoint($"{Root}/socket"));
        }

        DirectoryEntry.CreateFile(_root.Descriptor, (byte[])[0xff, 0xfe], 0x1a4).Dispose();
        using (var sparse = File.OpenHandle($"{Root}/sparse", FileMode.Create, FileAccess.Write))
        {
            RandomAccess.Write(sparse, "end"u8, 3_000_000);
        }

        var tar = new MemoryStream();
        using (var copy = await ContainerCopy.ReadAsync(_root, "/"))
        {
            await copy.WriteToAsync(tar, Cancellation);
        }

        Directory.CreateDirectory($"{Root}/again");
        await ContainerCopy.WriteAsync(_root, "/again", new MemoryStream(tar.ToArray()), s_plain, Cancellation);
        Assert.Equal(3_000_003, new FileInfo($"{Root}/again/sparse").Length);
        using var again = _root.Open("/again"u8, OpenFlags.Directory);
        Assert.NotNull(FileStatus.TryOf(again, (byte[])[0xff, 0xfe]));
        Assert.False(File.Exists($"{Root}/again/socket"));
    }

    [Fact]
    public async Task A_tree_that_is_mounted_inside_is_not_removed_to_make_room()
    {
        Directory.CreateDirectory($"{Root}/place");
        using var view = NamespaceView.Assemble(
            MountTree.Clone(new HostPath(Root), recursive: false), [new PlacedMount(MountTree.Clone(new HostPath(Outside), recursive: false), "/place/volume")], readOnly: false);
        File.WriteAllText($"{Outside}/data", "kept");
        var tar = Tar(writer => writer.WriteEntry(Text("place")));
        var error = await Assert.ThrowsAsync<StorageException>(() => ContainerCopy.WriteAsync(view.Root, "/", new MemoryStream(tar), s_plain, Cancellation));
        Assert.Equal((StorageErrorKind.Conflict, "\"/place\": device or resource busy"), (error.Kind, error.Message));
        var link = Tar(writer => writer.WriteEntry(new PaxTarEntry(TarEntryType.SymbolicLink, "place/volume") { LinkName = "x" }));
        Assert.Equal(StorageErrorKind.Conflict, (await Assert.ThrowsAsync<StorageException>(() => ContainerCopy.WriteAsync(view.Root, "/", new MemoryStream(link), s_plain, Cancellation))).Kind);
        Assert.Equal("kept", File.ReadAllText($"{Outside}/data"));
        Assert.Equal(["volume/", "volume/data"], (await EntriesAsync(view.Root, "/place/volume")).Select(entry => entry.Name));
    }

    private static PaxTarEntry Text(string name) => new(TarEntryType.RegularFile, name) { DataStream = new MemoryStream("planted"u8.ToArray()) };

    private static byte[] Tar(Action<TarWriter> write)
    {
        var memory = new MemoryStream();
        using (var writer = new TarWriter(memory, TarEntryFormat.Pax, leaveOpen: true))
        {
            write(writer);
        }

        return memory.ToArray();
    }

    private async Task TryWriteAsync(string path, byte[] tar)
    {
        try
        {
            await ContainerCopy.WriteAsync(_root, path, new MemoryStream(tar), s_plain, Cancellation);
        }
        catch (StorageException)
        {
            // The racer was in the way, which is its own loss.
        }
    }

    private async Task<IReadOnlyList<string>> ContentsAsync(string path)
    {
        try
        {
            return [.. (await EntriesAsync(_root, path)).Where(entry => entry.EntryType == TarEntryType.RegularFile)
                .Select(entry => new StreamReader(entry.DataStream ?? Stream.Null, Encoding.UTF8).ReadToEnd())];
        }
        catch (StorageException error) when (error.Kind is StorageErrorKind.NotFound or StorageErrorKind.InvalidParameter)
        {
            return [];
        }
    }

    private static async Task<IReadOnlyList<TarEntry>> EntriesAsync(RootDirectory root, string path)
    {
        var tar = new MemoryStream();
        using (var copy = await ContainerCopy.ReadAsync(root, path))
        {
            await copy.WriteToAsync(tar, Cancellation);
        }

        tar.Position = 0;
        using var reader = new TarReader(tar);
        var entries = new List<TarEntry>();
        while (await reader.GetNextEntryAsync(copyData: true, Cancellation) is { } entry)
        {
            entries.Add(entry);
        }

        return entries;
    }

    /// <summary>Exchanges two names as fast as it can.</summary>
    private sealed class Racer : IDisposable
    {
        private readonly Thread _thread;
        private bool _stop;
        private long _swaps;

        public Racer(SafeFileHandle directory, string left, string right)
        {
            _thread = new Thread(() =>
            {
                while (!Volatile.Read(ref _stop))
                {
                    try
                    {
                        DirectoryEntry.Rename(directory, left, directory, right, RenameFlags.Exchange);
                    }
                    catch (KernelException error) when (error.Errno == Errno.ENOENT)
                    {
                        // An archive's entry has just taken one of them away: it is made again.
                        DirectoryEntry.TryCreateDirectory(directory, left, 0x1ed);
                    }

                    Interlocked.Increment(ref _swaps);
                }
            });
            _thread.Start();
        }

        public long Swaps => Interlocked.Read(ref _swaps);

        public void Dispose()
        {
            Volatile.Write(ref _stop, true);
            _thread.Join();
        }
    }
}
