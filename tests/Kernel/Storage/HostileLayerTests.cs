using System.IO.Compression;
using System.Text;
using Slipway.Kernel.Files;
using Slipway.Kernel.Mounts;
using Slipway.Oci.Tar;
using Slipway.Storage;
using Slipway.Storage.Images;
using Xunit;

namespace Slipway.Tests.Kernel.Storage;

/// <summary>Root file systems that try to get at the host, or to exhaust it.</summary>
public sealed class HostileLayerTests : IAsyncLifetime
{
    private static readonly uint SetUid = 0x9ed; // 04755

    private readonly string _outside = Directory.CreateTempSubdirectory("slipway-storage-outside-").FullName;
    private TemporaryDataRoot _temporary = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private DataRoot Root => _temporary.Root;

    public async ValueTask InitializeAsync()
    {
        _temporary = await TemporaryDataRoot.CreateAsync();
        File.WriteAllText(Path.Combine(_outside, "victim"), "untouched");
        File.SetUnixFileMode(Path.Combine(_outside, "victim"), UnixFileMode.UserRead | UnixFileMode.UserWrite);
    }

    public async ValueTask DisposeAsync()
    {
        await _temporary.DisposeAsync();
        Directory.Delete(_outside, recursive: true);
    }

    [Theory]
    [InlineData("../escape")]
    [InlineData("a/../../escape")]
    [InlineData("./../escape")]
    [InlineData("..")]
    public async Task An_entry_outside_of_the_root_is_refused(string name)
    {
        var error = await RefusedAsync(new TarBuilder().File(name, "x"));
        Assert.Contains("outside of the root", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_absolute_name_starts_at_the_root_of_the_layer()
    {
        var diff = await ImportAsync(new TarBuilder().File(_outside + "/victim", "changed").File("/../up", "x"));
        Assert.Equal("changed", File.ReadAllText(diff + _outside + "/victim"));
        Assert.Equal("x", File.ReadAllText(Path.Combine(diff, "up")));
        AssertUntouched();
    }

    /// <summary>A link placed first, then a file written through it (CVE-2025-47290 and the oldest of tar attacks).</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task CVE_2025_47290_writing_through_a_symbolic_link_stays_inside(bool absolute)
    {
        var target = absolute ? _outside : string.Concat(Enumerable.Repeat("../", 30)) + _outside.TrimStart('/');
        var tar = new TarBuilder().Folder(_outside.TrimStart('/')).Symlink("link", target).File("link/victim", "changed").Symlink("file", target + "/victim").File("file", "replaced");
        var diff = await ImportAsync(tar);
        AssertUntouched();
        Assert.Equal("changed", File.ReadAllText(diff + _outside + "/victim"));
        Assert.Equal("replaced", File.ReadAllText(Path.Combine(diff, "file")));
        Assert.Null(new FileInfo(Path.Combine(diff, "file")).LinkTarget);
    }

    [Fact]
    public async Task A_link_that_dangles_is_no_directory()
    {
        await RefusedAsync(new TarBuilder().Symlink("link", "/nowhere").File("link/file", "x"));
        Assert.False(Path.Exists("/nowhere"));
    }

    [Theory]
    [InlineData("../../../../../../../../../../../../etc/passwd", "outside of the root")]
    [InlineData("missing", "which does not exist")]
    [InlineData("directory", "hard link to a directory")]
    [InlineData("/", "hard link to a directory")]
    public async Task A_hard_link_to_what_is_not_there_is_refused(string target, string reason)
    {
        var error = await RefusedAsync(new TarBuilder().Folder("directory").Link("link", target));
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_hard_link_through_a_symbolic_link_stays_inside()
    {
        await RefusedAsync(new TarBuilder().Symlink("out", _outside).Link("link", "out/victim"));
        AssertUntouched();
    }

    /// <summary>A link to a host file, and an entry whose mode would be applied to what it points at.</summary>
    [Fact]
    public async Task GHSA_c72p_9xmj_rx3w_modes_of_host_files_do_not_change()
    {
        var victim = Path.Combine(_outside, "victim");
        var diff = await ImportAsync(new TarBuilder().Symlink("s", victim).Link("h", "s", SetUid).Add(
            new TarEntry { Name = TarBuilder.Bytes("s2"), Type = TarEntryType.SymbolicLink, LinkName = TarBuilder.Bytes(victim), Mode = SetUid, Uid = 1234, Gid = 1234 }));
        AssertUntouched();
        Assert.Equal(victim, new FileInfo(Path.Combine(diff, "h")).LinkTarget);
    }

    /// <summary>Another process exchanges directories for links to the host while the layer is unpacked.</summary>
    [Fact]
    public async Task CVE_2025_47290_exchanging_directories_while_unpacking_changes_nothing_outside()
    {
        var tar = new TarBuilder();
        for (var i = 0; i < 3000; i++)
        {
            tar.Folder($"d{i % 7}").File($"d{i % 7}/victim", "changed", SetUid);
        }

        var archive = tar.ToArray();
        using var stop = new CancellationTokenSource();
        var racer = new Thread(() => Exchange(stop.Token)) { IsBackground = true };
        racer.Start();
        for (var i = 0; i < 5; i++)
        {
            try
            {
                await Root.Images.ImportAsync(new MemoryStream(archive), new ImportOptions(), null, Cancellation);
            }
            catch (StorageException)
            {
                // What the racer broke may be refused; it must not reach the victim.
            }
        }

        await stop.CancelAsync();
        racer.Join();
        AssertUntouched();

        void Exchange(CancellationToken token)
        {
            while (!token.IsCancellationRequested)
            {
                foreach (var layer in Directory.EnumerateDirectories(Path.Combine(_temporary.Path, "tmp")))
                {
                    try
                    {
                        Directory.Move(Path.Combine(layer, "diff", "d3"), Path.Combine(layer, "diff", "moved"));
                        File.CreateSymbolicLink(Path.Combine(layer, "diff", "d3"), _outside);
                    }
                    catch (IOException)
                    {
                        // The layer is not that far, or gone.
                    }
                }
            }
        }
    }

    [Theory]
    [InlineData(4294967295)]
    [InlineData(4294967296)]
    [InlineData(-1)]
    public async Task CVE_2024_40635_an_id_out_of_range_does_not_become_root(long uid)
    {
        var error = await RefusedAsync(new TarBuilder().Add(new TarEntry { Name = TarBuilder.Bytes("f"), Uid = uid }));
        Assert.Contains("out of range", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Marks_of_overlayfs_in_an_archive_are_left_out()
    {
        var diff = await ImportAsync(new TarBuilder().Add(new TarEntry
        {
            Name = TarBuilder.Bytes("d"),
            Type = TarEntryType.Directory,
            Mode = 0x1ed,
            Xattrs = [new(TarBuilder.Bytes("trusted.overlay.redirect"), TarBuilder.Bytes("/etc")), new(TarBuilder.Bytes("user.mine"), TarBuilder.Bytes("1"))],
        }));
        using var directory = new HostPath(diff).Open(OpenFlags.Directory);
        Assert.Equal(["user.mine"], ExtendedAttributes.List(directory, "d").Select(Encoding.UTF8.GetString));
    }

    [Fact]
    public async Task Too_many_entries_are_refused_in_bounded_time()
    {
        await using var small = await TemporaryDataRoot.CreateAsync(new UnpackLimits { MaxEntries = 10_000 });
        await using var stream = new RepeatedEntryStream(1_000_000);
        var error = await Assert.ThrowsAsync<StorageException>(() => small.Root.Images.ImportAsync(stream, new ImportOptions(), null, Cancellation));
        Assert.Equal(StorageErrorKind.InvalidParameter, error.Kind);
        Assert.Contains("more than 10000 entries", error.Message, StringComparison.Ordinal);
        Assert.Empty(small.Contents());
    }

    [Fact]
    public async Task A_path_that_is_too_deep_is_refused() =>
        await RefusedAsync(new TarBuilder().File(string.Concat(Enumerable.Repeat("d/", 300)) + "f"));

    [Fact]
    public async Task A_name_that_is_too_long_is_refused() => await RefusedAsync(new TarBuilder().File(new string('n', 256)));

    [Fact]
    public async Task CVE_2026_32288_a_bomb_is_refused_in_bounded_memory()
    {
        await using var small = await TemporaryDataRoot.CreateAsync(new UnpackLimits { MaxBytes = 32 << 20, RatioFrom = 1 << 20, MaxRatio = 100 });
        var bomb = new MemoryStream();
        await using (var gzip = new GZipStream(bomb, CompressionLevel.Fastest, leaveOpen: true))
        {
            var writer = new TarWriter(gzip);
            writer.WriteEntry(new TarEntry { Name = TarBuilder.Bytes("zeros"), Size = 256 << 20 });
            var zeros = new byte[1 << 20];
            for (var i = 0; i < 256; i++)
            {
                writer.WriteData(zeros);
            }

            writer.Finish();
        }

        bomb.Position = 0;
        var before = GC.GetTotalAllocatedBytes();
        var error = await Assert.ThrowsAsync<StorageException>(() => small.Root.Images.ImportAsync(bomb, new ImportOptions(), null, Cancellation));
        Assert.Equal(StorageErrorKind.InvalidParameter, error.Kind);
        
        // Other tests allocate at the same time; the bomb itself would be 256 MiB.
        Assert.InRange(GC.GetTotalAllocatedBytes() - before, 0, 64 << 20);
        Assert.Empty(small.Contents());
    }

    [Fact]
    public async Task A_sparse_file_of_60_GB_takes_no_room()
    {
        await using var archive = Samples.Open("layers/tar/gnu-sparse-big.tar");
        var image = await Root.Images.ImportAsync(archive, new ImportOptions(), null, Cancellation);
        Assert.Equal(60_000_000_000, image.Size);
        using var file = new HostPath(Path.Combine(Diff(image), "gnu-sparse")).Open(OpenFlags.Path);
        Assert.InRange(FileStatus.Of(file).Blocks, 0, 2048);
    }

    [Fact]
    public async Task A_sparse_file_beyond_the_limit_is_refused()
    {
        await using var small = await TemporaryDataRoot.CreateAsync(new UnpackLimits { MaxBytes = 1L << 30 });
        await using var archive = Samples.Open("layers/tar/pax-sparse-big.tar");
        var error = await Assert.ThrowsAsync<StorageException>(() => small.Root.Images.ImportAsync(archive, new ImportOptions(), null, Cancellation));
        Assert.Equal(StorageErrorKind.InvalidParameter, error.Kind);
        Assert.Empty(small.Contents());
    }

    [Theory]
    [InlineData(700)]
    [InlineData(512)]
    [InlineData(100)]
    public async Task A_truncated_archive_is_refused(int length)
    {
        var whole = new TarBuilder().File("f", new string('x', 1000)).ToArray();
        var error = await Assert.ThrowsAsync<StorageException>(
            () => Root.Images.ImportAsync(new MemoryStream(whole, 0, length), new ImportOptions(), null, Cancellation));
        Assert.Equal(StorageErrorKind.InvalidParameter, error.Kind);
        Assert.Empty(_temporary.Contents());
    }

    [Fact]
    public async Task A_truncated_compressed_archive_is_refused()
    {
        var content = new byte[300_000];
        new Random(1).NextBytes(content);
        var compressed = new MemoryStream();
        await using (var gzip = new GZipStream(compressed, CompressionLevel.Fastest, leaveOpen: true))
        {
            gzip.Write(new TarBuilder().Add(new TarEntry { Name = TarBuilder.Bytes("f"), Size = content.Length }, content).ToArray());
        }

        var error = await Assert.ThrowsAsync<StorageException>(
            () => Root.Images.ImportAsync(new MemoryStream(compressed.ToArray(), 0, 200_000), new ImportOptions(), null, Cancellation));
        Assert.Equal(StorageErrorKind.InvalidParameter, error.Kind);
        Assert.Empty(_temporary.Contents());
    }

    [Fact]
    public async Task A_full_disk_is_an_error_of_the_host_and_leaves_nothing()
    {
        await using var disk = SmallDisk.Mount("4m");
        await using var full = await DataRoot.OpenAsync(new DataRootOptions { Path = disk.Path }, Cancellation);
        var content = new byte[8 << 20];
        var tar = new TarBuilder().Add(new TarEntry { Name = "big"u8.ToArray(), Size = content.Length }, content).ToArray();
        var error = await Assert.ThrowsAsync<StorageException>(() => full.Images.ImportAsync(new MemoryStream(tar), new ImportOptions(), null, Cancellation));
        Assert.Equal((StorageErrorKind.System, "no space left on device"), (error.Kind, error.Message));
        error = await Assert.ThrowsAsync<StorageException>(() => full.Images.LoadAsync(new MemoryStream(ImageBuilder.Archive("x:1", tar)), null, null, Cancellation));
        Assert.Equal((StorageErrorKind.System, "no space left on device"), (error.Kind, error.Message));
        Assert.Empty(Directory.EnumerateFileSystemEntries(disk.Path + "/tmp").Concat(Directory.EnumerateFileSystemEntries(disk.Path + "/layers")));

        // There is room again.
        await full.Images.ImportAsync(new TarBuilder().File("small").ToStream(), new ImportOptions(), null, Cancellation);
    }

    [Fact]
    public async Task A_stream_that_breaks_is_an_error_and_leaves_nothing()
    {
        var error = await Assert.ThrowsAsync<StorageException>(() => Root.Images.ImportAsync(new BrokenStream(), new ImportOptions(), null, Cancellation));
        Assert.Equal((StorageErrorKind.System, "the archive could not be read: connection reset"), (error.Kind, error.Message));
        Assert.Empty(_temporary.Contents());
    }

    [Fact]
    public async Task Device_nodes_and_fifos_are_made_as_the_image_says()
    {
        var diff = await ImportAsync(new TarBuilder()
            .Add(new TarEntry { Name = TarBuilder.Bytes("null"), Type = TarEntryType.CharacterDevice, DeviceMajor = 1, DeviceMinor = 3, Mode = 0x1b6, Gid = 5 })
            .Add(new TarEntry { Name = TarBuilder.Bytes("pipe"), Type = TarEntryType.Fifo, Mode = 0x180 }));
        using var directory = new HostPath(diff).Open(OpenFlags.Directory);
        var device = FileStatus.Of(directory, "null");
        Assert.Equal((FileType.CharacterDevice, new DeviceNumber(1, 3), 0x1b6u, 5u), (device.Type, device.SpecialDevice, device.Permissions, device.GroupId));
        Assert.Equal(FileType.Fifo, FileStatus.Of(directory, "pipe").Type);
    }

    private async Task<StorageException> RefusedAsync(TarBuilder tar)
    {
        var error = await Assert.ThrowsAsync<StorageException>(() => Root.Images.ImportAsync(tar.ToStream(), new ImportOptions(), null, Cancellation));
        Assert.Equal(StorageErrorKind.InvalidParameter, error.Kind);
        Assert.Empty(_temporary.Contents());
        return error;
    }

    private async Task<string> ImportAsync(TarBuilder tar) => Diff(await Root.Images.ImportAsync(tar.ToStream(), new ImportOptions(), null, Cancellation));

    private string Diff(Image image) => Path.Combine(_temporary.Path, "layers", image.ChainIds[^1].Hex, "diff");

    private void AssertUntouched()
    {
        var victim = new FileInfo(Path.Combine(_outside, "victim"));
        Assert.Equal("untouched", File.ReadAllText(victim.FullName));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, victim.UnixFileMode);
        Assert.Equal(["victim"], Directory.EnumerateFileSystemEntries(_outside).Select(Path.GetFileName));
    }

    private sealed class BrokenStream : MemoryStream
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => throw new IOException("connection reset");
    }

    /// <summary>A tar of very many empty files, made as it is read.</summary>
    private sealed class RepeatedEntryStream(int count) : Stream
    {
        private byte[] _block = [];
        private int _offset;
        private int _made;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override int Read(byte[] buffer, int offset, int length)
        {
            if (_offset == _block.Length)
            {
                if (_made == count)
                {
                    return 0;
                }

                var stream = new MemoryStream();
                var writer = new TarWriter(stream);
                for (var i = 0; i < 100; i++)
                {
                    writer.WriteEntry(new TarEntry { Name = TarBuilder.Bytes($"f{_made++}") });
                }

                (_block, _offset) = (stream.ToArray(), 0);
            }

            var copied = Math.Min(length, _block.Length - _offset);
            Array.Copy(_block, _offset, buffer, offset, copied);
            _offset += copied;
            return copied;
        }

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
