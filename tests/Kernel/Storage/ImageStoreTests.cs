using System.IO.Compression;
using Slipway.Kernel.Compression;
using Slipway.Oci;
using Slipway.Storage;
using Slipway.Storage.Images;
using Xunit;

namespace Slipway.Tests.Kernel.Storage;

public sealed class ImageStoreTests : IAsyncLifetime
{
    private TemporaryDataRoot _temporary = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private IImageStore Images => _temporary.Root.Images;

    public async ValueTask InitializeAsync() => _temporary = await TemporaryDataRoot.CreateAsync();

    public async ValueTask DisposeAsync() => await _temporary.DisposeAsync();

    [Theory]
    [InlineData(CompressionFormat.None)]
    [InlineData(CompressionFormat.Gzip)]
    [InlineData(CompressionFormat.Zstd)]
    public async Task Layers_load_in_any_compression(CompressionFormat format)
    {
        var tar = new TarBuilder().File("f", "content").ToArray();
        var image = await LoadOneAsync(ImageBuilder.Archive("x:1", [tar], [Compress(tar, format)]));
        Assert.Equal(["x:1"], image.RepoTags);
        Assert.Equal(Digest.Of(tar), image.Layers[0].DiffId);
        Assert.Equal(7, image.Size);
    }

    [Theory]
    [InlineData(CompressionFormat.Gzip)]
    [InlineData(CompressionFormat.Zstd)]
    public async Task A_whole_archive_may_be_compressed(CompressionFormat format) =>
        await LoadOneAsync(Compress(ImageBuilder.Archive("x:1", new TarBuilder().File("f").ToArray()), format));

    [Fact]
    public async Task What_is_saved_loads_to_the_same_image()
    {
        var first = await LoadOneAsync(ImageBuilder.Archive("x:1", Layer("a"), Layer("b")));
        await Images.TagAsync("x:1", Reference.Parse("example.com:5000/y"), Cancellation);
        var saved = await SaveAsync("x:1", "example.com:5000/y:latest");
        await using var other = await TemporaryDataRoot.CreateAsync();
        var loaded = await other.Root.Images.LoadAsync(new MemoryStream(saved), null, null, Cancellation);
        Assert.Equal(["Loaded image: example.com:5000/y:latest", "Loaded image: x:1"], loaded.Select(image => image.Message).Order(StringComparer.Ordinal));
        Assert.All(loaded, image => Assert.Equal(first.Id, image.Image.Id));
        Assert.Equal(first.ChainIds, loaded[0].Image.ChainIds);
        Assert.Equal(saved, await SaveAsync("x:1", "example.com:5000/y:latest"));
    }

    [Fact]
    public async Task What_is_saved_loads_as_an_OCI_layout_too()
    {
        var first = await LoadOneAsync(ImageBuilder.Archive("x:1", Layer("a"), Layer("b")));
        var saved = await SaveAsync("x:1");
        await using var other = await TemporaryDataRoot.CreateAsync();
        var loaded = await other.Root.Images.LoadAsync(new MemoryStream(saved), Platform.Parse("linux/amd64"), null, Cancellation);
        Assert.Equal((first.Id, "x:1"), (Assert.Single(loaded).Image.Id, loaded[0].Name));
        Assert.False(loaded[0].Image.ManifestDigest.IsNone);
    }

    [Theory]
    [InlineData("oci/busybox-1.37.0-glibc-amd64.tar")]
    [InlineData("save/dive-test-docker-image.tar")]
    public async Task Images_of_others_survive_the_round_trip(string sample)
    {
        await using var archive = Samples.Open(sample);
        var first = (await Images.LoadAsync(archive, null, null, Cancellation))[0].Image;
        var saved = await SaveAsync(first.RepoTags[0]);
        await using var other = await TemporaryDataRoot.CreateAsync();
        var second = (await other.Root.Images.LoadAsync(new MemoryStream(saved), null, null, Cancellation))[0].Image;
        Assert.Equal((first.Id, first.Size), (second.Id, second.Size));
        Assert.Equal(first.ChainIds, second.ChainIds);
    }

    [Fact]
    public async Task An_image_is_found_by_name_id_and_prefix()
    {
        var image = await LoadOneAsync(ImageBuilder.Archive("busybox:1", Layer("a")));
        foreach (var name in new[] { "busybox:1", "docker.io/library/busybox:1", "library/busybox:1", image.Id.ToString(), image.Id.Hex, image.Id.Short, $"sha256:{image.Id.Short}" })
        {
            Assert.Equal(image.Id, Images.Get(name).Id);
        }

        Assert.Equal("No such image: busybox:latest", NotFound("busybox").Message);
        Assert.Equal("No such image: nothing:2", NotFound("nothing:2").Message);
        Assert.Null(Images.Find("nothing"));
        Assert.Equal("invalid reference format: repository name (library/Foo) must be lowercase", Assert.Throws<StorageException>(() => Images.Get("Foo")).Message);

        StorageException NotFound(string name)
        {
            var error = Assert.Throws<StorageException>(() => Images.Get(name));
            Assert.Equal(StorageErrorKind.NotFound, error.Kind);
            return error;
        }
    }

    [Fact]
    public async Task A_name_moves_to_the_image_that_got_it_last()
    {
        var first = await LoadOneAsync(ImageBuilder.Archive("x:1", Layer("a")));
        var second = await LoadOneAsync(ImageBuilder.Archive("x:1", Layer("b")));
        Assert.Equal(second.Id, Images.Get("x:1").Id);
        Assert.Empty(Images.Get(first.Id.ToString()).RepoTags);
        Assert.NotNull(Images.Get("x:1").LastTagTime);
    }

    [Fact]
    public async Task Removing_the_last_name_removes_the_image_and_what_only_it_used()
    {
        var (lower, one, two) = (Layer("lower"), Layer("one"), Layer("two"));
        var first = await LoadOneAsync(ImageBuilder.Archive("first:1", lower, one));
        var second = await LoadOneAsync(ImageBuilder.Archive("second:1", lower, two));
        Assert.Equal(first.ChainIds[0], second.ChainIds[0]);
        await Images.TagAsync("first:1", Reference.Parse("alias:1"), Cancellation);

        Assert.Equal([new RemovedItem("alias:1", null)], await RemoveAsync("alias:1"));
        Assert.Equal(
            [new RemovedItem("first:1", null), new RemovedItem(null, first.Id.ToString()), new RemovedItem(null, first.ChainIds[1].ToString())],
            await RemoveAsync("first:1"));
        Assert.True(Directory.Exists(Path.Combine(_temporary.Path, "layers", second.ChainIds[0].Hex)));
        Assert.Equal(
            [new RemovedItem("second:1", null), new RemovedItem(null, second.Id.ToString()), new RemovedItem(null, second.ChainIds[1].ToString()), new RemovedItem(null, second.ChainIds[0].ToString())],
            await RemoveAsync("second:1"));
        Assert.Empty(_temporary.Contents());
        Assert.Empty(Images.All);
    }

    [Fact]
    public async Task Removing_what_is_in_use_is_a_conflict_with_Dockers_words()
    {
        var image = await LoadOneAsync(ImageBuilder.Archive("x:1", Layer("a")));
        ImageUse stopped = new(new string('b', 64), Running: false), running = new(new string('d', 64), Running: true);
        await ConflictAsync("x:1", false, stopped, $"conflict: unable to remove repository reference \"x:1\" (must force) - container bbbbbbbbbbbb is using its referenced image {image.Id.Short}");
        await ConflictAsync(image.Id.Short, false, stopped, $"conflict: unable to delete {image.Id.Short} (must be forced) - image is being used by stopped container bbbbbbbbbbbb");
        await ConflictAsync(image.Id.Short, true, running, $"conflict: unable to delete {image.Id.Short} (cannot be forced) - image is being used by running container dddddddddddd");
        await Images.TagAsync("x:1", Reference.Parse("y:1"), Cancellation);
        var error = await Assert.ThrowsAsync<StorageException>(() => RemoveAsync(image.Id.Short));
        Assert.Equal($"conflict: unable to delete {image.Id.Short} (must be forced) - image is referenced in multiple repositories", error.Message);

        async Task ConflictAsync(string name, bool force, ImageUse use, string message)
        {
            var conflict = await Assert.ThrowsAsync<StorageException>(() => RemoveAsync(name, force, use));
            Assert.Equal((StorageErrorKind.Conflict, message), (conflict.Kind, conflict.Message));
        }
    }

    [Fact]
    public async Task A_container_keeps_the_layers_of_an_image_removed_by_force()
    {
        var image = await LoadOneAsync(ImageBuilder.Archive("x:1", Layer("a")));
        var container = new string('b', 64);
        await _temporary.Root.Containers.InsertAsync(StateDatabaseTests.Row(container, "c", image.Id.ToString()), Cancellation);
        Assert.Equal([new RemovedItem("x:1", null), new RemovedItem(null, image.Id.ToString())], await RemoveAsync("x:1", force: true, new ImageUse(container, false)));
        using (var rootfs = _temporary.Root.Snapshots.MountRootfs(image.ChainIds, container, readOnly: false))
        {
            Assert.False(rootfs.IsInvalid);
        }

        await _temporary.Root.Snapshots.RemoveAsync(container);
        Assert.True(await _temporary.Root.Containers.DeleteAsync(container, Cancellation));
        Assert.Empty(_temporary.Contents());
    }

    [Fact]
    public async Task Images_are_there_after_a_restart_and_leftovers_are_not()
    {
        var image = await LoadOneAsync(ImageBuilder.Archive("x:1", Layer("a")));
        await _temporary.CloseAsync();
        Directory.CreateDirectory(Path.Combine(_temporary.Path, "tmp", "layer-7", "diff", "half"));
        Directory.CreateDirectory(Path.Combine(_temporary.Path, "layers", new string('e', 64), "diff"));
        File.WriteAllText(Path.Combine(_temporary.Path, "blobs", "sha256", new string('e', 64)), "orphan");
        await _temporary.OpenAsync();
        Assert.Equal(image.Id, Images.Get("x:1").Id);
        Assert.Equal(image.Size, Images.Get("x:1").Size);
        Assert.DoesNotContain(_temporary.Contents(), path => path.Contains("eeee", StringComparison.Ordinal) || path.Contains("layer-7", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Two_engines_do_not_share_a_data_root()
    {
        var error = await Assert.ThrowsAsync<StorageException>(() => DataRoot.OpenAsync(new DataRootOptions { Path = _temporary.Path }, Cancellation));
        Assert.Equal(StorageErrorKind.Conflict, error.Kind);
    }

    [Fact]
    public async Task Concurrent_loads_of_the_same_layers_agree()
    {
        var lower = new TarBuilder();
        for (var i = 0; i < 500; i++)
        {
            lower.File($"f{i}", new string('x', i));
        }

        var shared = lower.ToArray();
        var images = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => LoadOneAsync(ImageBuilder.Archive($"x:{i}", shared, Layer($"own{i % 2}")))));
        Assert.Equal(2, images.Select(image => image.Id).Distinct().Count());
        Assert.Equal(8, Images.All.Sum(image => image.RepoTags.Count));
        Assert.Equal(3, Directory.GetDirectories(Path.Combine(_temporary.Path, "layers")).Length);
        Assert.Empty(Directory.GetFileSystemEntries(Path.Combine(_temporary.Path, "tmp")));
    }

    [Fact]
    public async Task A_cancelled_load_leaves_nothing()
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        var archive = ImageBuilder.Archive("x:1", Layer("a"));
        var load = Images.LoadAsync(new StallingStream(archive, archive.Length / 2), null, null, stop.Token);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => load);
        Assert.Empty(_temporary.Contents());
    }

    [Fact]
    public async Task A_wrong_diff_id_is_refused()
    {
        var archive = ImageBuilder.Archive("x:1", [Layer("a"), Layer("b")], [Layer("a"), Layer("c")]);
        var error = await Assert.ThrowsAsync<StorageException>(() => LoadOneAsync(archive));
        Assert.Equal((StorageErrorKind.InvalidParameter, $"invalid diffID for layer: expected \"{Digest.Of(Layer("b"))}\", got \"{Digest.Of(Layer("c"))}\""), (error.Kind, error.Message));
        Assert.Empty(_temporary.Contents());
    }

    [Theory]
    [InlineData("../../../../etc/passwd")]
    [InlineData("/etc/passwd")]
    [InlineData("link")]
    public async Task Names_in_a_manifest_are_no_paths_of_the_host(string config)
    {
        var archive = new TarBuilder().Symlink("link", "/etc/passwd").File("manifest.json", $$"""[{"Config":"{{config}}","RepoTags":null,"Layers":[]}]""").ToArray();
        var error = await Assert.ThrowsAsync<StorageException>(() => LoadOneAsync(archive));
        Assert.Equal(StorageErrorKind.InvalidParameter, error.Kind);
        Assert.Contains("is missing", error.Message, StringComparison.Ordinal);
        Assert.Empty(_temporary.Contents());
    }

    [Fact]
    public async Task An_index_with_several_platforms_yields_the_one_of_the_host_or_the_one_asked_for()
    {
        await using var archive = Samples.Open("oci/busybox-1.37.0-glibc-multiarch.tar");
        await using var again = Samples.Open("oci/busybox-1.37.0-glibc-multiarch.tar");
        Assert.Equal("amd64", Assert.Single(await Images.LoadAsync(archive, null, null, Cancellation)).Image.Config.Architecture);
        Assert.Equal("arm64", Assert.Single(await Images.LoadAsync(again, Platform.Parse("linux/arm64"), null, Cancellation)).Image.Config.Architecture);
    }

    [Fact]
    public async Task Import_makes_an_image_with_the_changes_asked_for()
    {
        var image = await Images.ImportAsync(
            new MemoryStream(Compress(Layer("a"), CompressionFormat.Zstd)),
            new ImportOptions { Reference = Reference.Parse("imported"), Message = "Imported from -", Config = new ImageRunConfig { Cmd = ["sh"], Env = ["A=1", "B=two words"], WorkingDir = "/srv" } },
            null,
            Cancellation);
        Assert.Equal(["imported:latest"], image.RepoTags);
        Assert.Equal(["sh"], image.Config.Config!.Cmd);
        Assert.Equal(["A=1", "B=two words"], image.Config.Config.Env);
        Assert.Equal("/srv", image.Config.Config.WorkingDir);
        Assert.Equal("Imported from -", Assert.Single(image.Config.History!).Comment);
        Assert.Equal([Digest.Of(Layer("a"))], image.Config.DiffIds);
    }

    [Fact]
    public async Task Import_takes_xz_and_stores_what_can_be_saved()
    {
        await using var archive = Samples.Open("save/docker-unnamed.tar.xz");
        var image = await Images.ImportAsync(archive, new ImportOptions { Reference = Reference.Parse("xz") }, null, Cancellation);
        var saved = await SaveAsync("xz");
        await using var other = await TemporaryDataRoot.CreateAsync();
        Assert.Equal(image.Id, (await other.Root.Images.LoadAsync(new MemoryStream(saved), null, null, Cancellation))[0].Image.Id);
    }

    [Fact]
    public async Task Progress_counts_to_the_end()
    {
        var reports = new List<ImageProgress>();
        var tar = new TarBuilder().File("f", new string('x', 2_000_000)).ToArray();
        await Images.LoadAsync(new MemoryStream(ImageBuilder.Archive("x:1", tar)), null, new Recorder(reports), Cancellation);
        Assert.Equal(new ImageProgress(Digest.Of(tar).Short, "Loading layer", tar.Length, tar.Length), reports[^1]);
    }

    private static byte[] Layer(string name) => new TarBuilder().File(name, name).ToArray();

    private static byte[] Compress(byte[] data, CompressionFormat format)
    {
        if (format == CompressionFormat.None)
        {
            return data;
        }

        var compressed = new MemoryStream();
        using (Stream stream = format switch
        {
            CompressionFormat.Gzip => new GZipStream(compressed, CompressionLevel.Fastest, leaveOpen: true),
            _ => new ZstdCompressionStream(compressed, 3),
        })
        {
            stream.Write(data);
        }

        return compressed.ToArray();
    }

    private async Task<Image> LoadOneAsync(byte[] archive) => Assert.Single(await Images.LoadAsync(new MemoryStream(archive), null, null, Cancellation)).Image;

    private async Task<byte[]> SaveAsync(params string[] names)
    {
        var output = new MemoryStream();
        await Images.SaveAsync(names, null, output, Cancellation);
        return output.ToArray();
    }

    private Task<IReadOnlyList<RemovedItem>> RemoveAsync(string name, bool force = false, params ImageUse[] uses) =>
        Images.RemoveAsync(name, new RemoveOptions { Force = force, UsedBy = _ => uses }, Cancellation);

    private sealed class Recorder(List<ImageProgress> reports) : IProgress<ImageProgress>
    {
        public void Report(ImageProgress value)
        {
            lock (reports)
            {
                reports.Add(value);
            }
        }
    }

    /// <summary>Gives a part of its data, then waits until it is cancelled.</summary>
    private sealed class StallingStream(byte[] data, int given) : MemoryStream(data, 0, given)
    {
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var count = await base.ReadAsync(buffer, cancellationToken);
            if (count == 0)
            {
                await Task.Delay(Timeout.Infinite, cancellationToken);
            }

            return count;
        }
    }
}
