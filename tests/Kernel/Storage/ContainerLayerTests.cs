using System.Text;
using Slipway.Kernel.Files;
using Slipway.Oci;
using Slipway.Oci.Tar;
using Slipway.Storage;
using Slipway.Storage.Changes;
using Slipway.Storage.Images;
using Xunit;

namespace Slipway.Tests.Kernel.Storage;

/// <summary>What a container wrote, read back as changes, as an image layer and merged with its image.</summary>
public sealed class ContainerLayerTests : IAsyncLifetime
{
    private static readonly string Container = new('c', 64);
    private static readonly string Other = new('d', 64);

    private TemporaryDataRoot _temporary = null!;
    private IReadOnlyList<Digest> _layers = [];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _temporary = await TemporaryDataRoot.CreateAsync();
        var archive = ImageBuilder.Archive(
            "test:base",
            new TarBuilder().Folder("etc").File("etc/motd", "hello").File("etc/hosts", "image").Folder("data").File("data/one", "1").File("data/two", "22").Folder("data/sub").File("data/sub/x", "x")
                .File("same", "same").File("file", "f").Folder("folder").File("folder/in", "in").Symlink("link", "file").ToArray(),
            new TarBuilder().File("data/three", "333").File(".wh.same").File("top", "t").ToArray());
        _layers = (await _temporary.Root.Images.LoadAsync(new MemoryStream(archive), null, null, Cancellation))[0].Image.ChainIds;
    }

    public async ValueTask DisposeAsync() => await _temporary.DisposeAsync();

    [Fact]
    public async Task A_container_that_was_never_started_has_changed_nothing()
    {
        Assert.Empty(await ChangesAsync());
        Assert.True(await _temporary.Root.Snapshots.ReadLayerAsync(_layers, Container, null, tar => Task.FromResult(tar is null), Cancellation));
        Assert.Equal(["data/", "data/one", "data/sub/", "data/sub/x", "data/three", "data/two"], (await ExportAsync(Container)).Select(entry => entry.Name).Where(name => name.StartsWith("data", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Each_kind_of_change_is_listed_in_Dockers_order()
    {
        await WriteAsync(root =>
        {
            File.WriteAllText(root + "/etc/motd", "changed");
            File.Delete(root + "/top");
            Directory.CreateDirectory(root + "/new/deep");
            File.WriteAllText(root + "/new/deep/f", "");
            File.SetUnixFileMode(root + "/folder", UnixFileMode.UserRead);
            Directory.Delete(root + "/data", recursive: true);
            Directory.CreateDirectory(root + "/data");
            File.WriteAllText(root + "/data/two", "22!");
            File.WriteAllText(root + "/data/zero", "0");
            File.Delete(root + "/link");
            File.CreateSymbolicLink(root + "/link", "elsewhere");
            File.Delete(root + "/file");
            Directory.CreateDirectory(root + "/file");

            // Opened for writing and left as it was.
            using (File.Open(root + "/etc/hosts", FileMode.Open, FileAccess.ReadWrite))
            {
            }
        });
        Assert.Equal(
            [
                "C /data", "C /data/two", "A /data/zero", "D /data/one", "D /data/sub", "D /data/three", "C /etc", "C /etc/motd", "C /file", "C /folder", "C /link", "A /new", "A /new/deep",
                "A /new/deep/f", "D /top",
            ],
            (await ChangesAsync()).Select(change => $"{"CAD"[(int)change.Kind]} {change.Path}"));
    }

    [Fact]
    public async Task What_was_only_made_to_mount_on_is_no_change()
    {
        // An image without any of them.
        _layers = [];
        await WriteAsync(root =>
        {
            foreach (var folder in (string[])["/dev", "/proc", "/sys", "/etc"])
            {
                Directory.CreateDirectory(root + folder);
            }

            foreach (var file in (string[])["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"])
            {
                File.WriteAllText(root + file, "");
            }
        });
        Assert.Empty(await ChangesAsync());
        Assert.True(await _temporary.Root.Snapshots.ReadLayerAsync(_layers, Container, null, tar => Task.FromResult(tar is null), Cancellation));
        await WriteAsync(root => File.WriteAllText(root + "/etc/mine", "x"));
        Assert.Equal(["/etc", "/etc/mine"], (await ChangesAsync()).Select(change => change.Path));
        Assert.Equal(["etc/", "etc/mine"], (await LayerAsync()).Select(entry => entry.Name));
    }

    [Fact]
    public async Task An_image_of_the_layer_shows_what_the_container_showed()
    {
        byte[] capability = [1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        await WriteAsync(root =>
        {
            File.WriteAllText(root + "/etc/motd", "changed");
            File.Delete(root + "/top");
            Directory.Delete(root + "/data", recursive: true);
            Directory.CreateDirectory(root + "/data");
            File.WriteAllText(root + "/data/fresh", new string('z', 300_000));
            Directory.CreateDirectory(root + "/" + new string('n', 200));
            File.WriteAllText(root + "/" + new string('n', 200) + "/" + new string('m', 120), "long");
            using var directory = new HostPath(root).Open(OpenFlags.Directory);
            DirectoryEntry.CreateNode(directory, "null"u8, FileType.CharacterDevice, 0x1b6, new DeviceNumber(1, 3));
            DirectoryEntry.CreateNode(directory, "fifo"u8, FileType.Fifo, 0x180);
            DirectoryEntry.CreateNode(directory, "socket"u8, FileType.Socket, 0x180);
            DirectoryEntry.CreateFile(directory, (byte[])[(byte)'b', 0xff], 0x180).Dispose();
            DirectoryEntry.CreateFile(directory, "capable"u8, 0x1ed).Dispose();
            ExtendedAttributes.Set(directory, "capable"u8, "security.capability"u8, capability);
            ExtendedAttributes.Set(directory, "capable"u8, "user.note"u8, "n"u8);
            ExtendedAttributes.Set(directory, "capable"u8, "user.overlay.redirect"u8, "/etc"u8);
            DirectoryEntry.CreateHardLink(directory, "capable"u8, directory, "second name"u8);
            DirectoryEntry.ChangeOwner(directory, "fifo"u8, 1000, 70_000);
            DirectoryEntry.SetTimes(directory, "fifo"u8, new FileTime(5, 0), new FileTime(1_000_000, 0));
        });
        var image = await CommitAsync();
        var container = await ExportAsync(Container);
        var committed = await ExportAsync(Other, image.ChainIds);
        Assert.Equal(container, committed);
        Assert.Contains(container, entry => entry is { Name: "second name", Type: TarEntryType.HardLink, Target: "capable" });
        Assert.Contains(container, entry => entry is { Name: "capable", Xattrs: "security.capability user.note" });
        Assert.Contains(container, entry => entry is { Name: "fifo", Uid: 1000, Gid: 70_000, Time: 1_000_000 });
        Assert.Contains(container, entry => entry is { Name: "null", Device: "1:3" });
        Assert.DoesNotContain(container, entry => entry.Name is "socket" or "top" or "data/one" or "same");
        Assert.Equal(container.Select(entry => entry.Name).Distinct().Count(), container.Count);
        Assert.Contains(await LayerAsync(), entry => entry.Name == "data/.wh..wh..opq");
        Assert.Contains(await LayerAsync(), entry => entry.Name == ".wh.top");
        Assert.DoesNotContain(await LayerAsync(), entry => entry.Name is "folder/" or "etc/hosts");
    }

    [Fact]
    public async Task A_file_whose_name_means_a_whiteout_takes_nothing_away_in_the_image()
    {
        await WriteAsync(root =>
        {
            File.WriteAllText(root + "/.wh.etc", "");
            Directory.CreateDirectory(root + "/data/.wh..wh..opq");
            File.WriteAllText(root + "/mine", "x");
        });
        var image = await CommitAsync();
        var names = (await ExportAsync(Other, image.ChainIds)).Select(entry => entry.Name).ToList();
        Assert.Contains("etc/motd", names);
        Assert.Contains("data/one", names);
        Assert.Contains("mine", names);
    }

    [Fact]
    public async Task A_tree_deeper_than_any_image_may_be_is_refused_and_still_counted()
    {
        const int depth = 3000;
        await WriteAsync(root =>
        {
            var directory = new HostPath(root).Open(OpenFlags.Directory);
            for (var i = 0; i < depth; i++)
            {
                DirectoryEntry.CreateDirectory(directory, "d"u8, 0x1ed);
                var next = DirectoryEntry.Open(directory, "d"u8, OpenFlags.Directory);
                directory.Dispose();
                directory = next;
            }

            using (directory)
            using (var file = DirectoryEntry.CreateFile(directory, "bottom"u8, 0x180))
            {
                Descriptors.Write(file, new byte[12_345]);
            }
        });
        foreach (var read in (Func<Task>[])[() => ChangesAsync(), () => LayerAsync(), () => ExportAsync(Container)])
        {
            var error = await Assert.ThrowsAsync<StorageException>(read);
            Assert.Equal(StorageErrorKind.InvalidParameter, error.Kind);
            Assert.Contains("more than 256 directories deep", error.Message, StringComparison.Ordinal);
        }

        Assert.Equal(12_345, _temporary.Root.Snapshots.UpperSize(Container));
        await _temporary.LedgerAgreesAsync();
    }

    [Fact]
    public async Task CVE_2018_15664_a_container_that_exchanges_directories_and_links_shows_nothing_of_the_host()
    {
        using var outside = new TemporaryDirectoryOfTheHost();
        using var rootfs = new RootDirectory(_temporary.Root.Snapshots.MountRootfs(_layers, Container, readOnly: false));
        var root = $"/proc/self/fd/{rootfs.Descriptor.DangerousGetHandle()}";
        Directory.CreateDirectory(root + "/swap");
        File.WriteAllText(root + "/swap/secret", "container");
        File.CreateSymbolicLink(root + "/evil", outside.Path);
        var stop = false;
        long swaps = 0;
        var racer = new Thread(() =>
        {
            while (!Volatile.Read(ref stop))
            {
                DirectoryEntry.Rename(rootfs.Descriptor, "swap"u8, rootfs.Descriptor, "evil"u8, RenameFlags.Exchange);
                swaps++;
            }
        });
        racer.Start();
        try
        {
            for (var i = 0; i < 60; i++)
            {
                foreach (var entry in (await ExportAsync(Container)).Concat(await LayerAsync()))
                {
                    Assert.DoesNotContain("host", entry.Content, StringComparison.Ordinal);
                }
            }
        }
        finally
        {
            Volatile.Write(ref stop, true);
            racer.Join();
        }

        Assert.True(swaps > 100, $"the racer made {swaps} swaps");
    }

    [Fact]
    public async Task A_failing_reader_ends_the_writer()
    {
        await WriteAsync(root => File.WriteAllBytes(root + "/large", new byte[8 << 20]));
        await Assert.ThrowsAsync<InvalidOperationException>(() =>
            _temporary.Root.Snapshots.ReadLayerAsync<bool>(_layers, Container, null, _ => throw new InvalidOperationException("no"), Cancellation));
        Assert.NotEmpty(await LayerAsync());
    }

    [Fact]
    public async Task A_layer_that_is_missing_is_told()
    {
        await WriteAsync(_ => { });
        _layers = [.. _layers, Digest.Of("nothing"u8)];
        foreach (var read in (Func<Task>[])[() => ChangesAsync(), () => LayerAsync(), () => ExportAsync(Container)])
        {
            Assert.Equal(StorageErrorKind.NotFound, (await Assert.ThrowsAsync<StorageException>(read)).Kind);
        }
    }

    private Task<IReadOnlyList<FileChange>> ChangesAsync() => _temporary.Root.Snapshots.ChangesAsync(_layers, Container, Cancellation);

    private Task<List<Entry>> LayerAsync() => _temporary.Root.Snapshots.ReadLayerAsync(
        _layers,
        Container,
        null,
        async tar =>
        {
            var archive = new MemoryStream();
            await (tar ?? Stream.Null).CopyToAsync(archive, Cancellation);
            return Entry.Read(archive.ToArray());
        },
        Cancellation);

    private async Task<List<Entry>> ExportAsync(string container, IReadOnlyList<Digest>? layers = null)
    {
        var archive = new MemoryStream();
        await _temporary.Root.Snapshots.ExportAsync(layers ?? _layers, container, archive, Cancellation);
        return Entry.Read(archive.ToArray());
    }

    private async Task<Image> CommitAsync()
    {
        await using var ingest = _temporary.Root.Images.BeginIngest();
        Assert.All(_layers, chainId => Assert.True(ingest.TryHold(chainId)));
        var layer = await _temporary.Root.Snapshots.ReadLayerAsync(_layers, Container, null, tar => ingest.AddTarAsync(_layers[^1], tar!, Cancellation), Cancellation);
        var diffIds = _temporary.Root.Images.Get("test:base").Config.DiffIds;
        var config = new ImageConfig { Architecture = "amd64", Os = "linux", RootFs = new RootFilesystem { DiffIds = [.. diffIds, layer.DiffId] } };
        return await ingest.CommitAsync(
            new IngestedImage { Config = System.Text.Json.JsonSerializer.SerializeToUtf8Bytes(config, OciJson.Default.ImageConfig), Manifest = null, Names = [] }, Cancellation);
    }

    /// <summary>Works in the container's root file system, given as a path.</summary>
    private Task WriteAsync(Action<string> write)
    {
        using var rootfs = _temporary.Root.Snapshots.MountRootfs(_layers, Container, readOnly: false);
        write($"/proc/self/fd/{rootfs.DangerousGetHandle()}");
        return Task.CompletedTask;
    }

    /// <summary>A directory that a container has no business with.</summary>
    private sealed class TemporaryDirectoryOfTheHost : IDisposable
    {
        public TemporaryDirectoryOfTheHost() => File.WriteAllText(System.IO.Path.Combine(Path, "secret"), "host");

        public string Path { get; } = Directory.CreateTempSubdirectory("slipway-outside-").FullName;

        public void Dispose() => Directory.Delete(Path, recursive: true);
    }

    /// <summary>A tar entry with all that matters of it, comparable.</summary>
    private sealed record Entry(string Name, TarEntryType Type, string Target, uint Mode, long Uid, long Gid, long Time, string Device, string Xattrs, string Content)
    {
        public static List<Entry> Read(byte[] archive)
        {
            var entries = new List<Entry>();
            var reader = new TarReader(new MemoryStream(archive));
            while (reader.Next() is { } entry)
            {
                var content = new byte[entry.Size];
                for (var filled = 0; filled < content.Length;)
                {
                    filled += reader.Read(content.AsSpan(filled));
                }

                // Directories take the time of what happened in them last, in the image too.
                entries.Add(new Entry(
                    Encoding.Latin1.GetString(entry.Name),
                    entry.Type,
                    Encoding.Latin1.GetString(entry.LinkName),
                    entry.Mode,
                    entry.Uid,
                    entry.Gid,
                    entry.Type == TarEntryType.HardLink ? 0 : entry.ModificationTime.Seconds,
                    $"{entry.DeviceMajor}:{entry.DeviceMinor}",
                    string.Join(' ', entry.Xattrs.Select(xattr => Encoding.UTF8.GetString(xattr.Name)).Order(StringComparer.Ordinal)),
                    Encoding.Latin1.GetString(content)));
            }

            return entries;
        }
    }
}
