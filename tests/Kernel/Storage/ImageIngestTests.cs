using System.Text.Json;
using Slipway.Oci;
using Slipway.Storage;
using Slipway.Storage.Images;
using Xunit;

namespace Slipway.Tests.Kernel.Storage;

public sealed class ImageIngestTests : IAsyncLifetime
{
    private static readonly Reference s_name = Reference.Parse("registry.test/a/b:1");

    private TemporaryDataRoot _temporary = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private IImageStore Images => _temporary.Root.Images;

    public async ValueTask InitializeAsync() => _temporary = await TemporaryDataRoot.CreateAsync();

    public async ValueTask DisposeAsync() => await _temporary.DisposeAsync();

    [Fact]
    public async Task An_image_is_visible_after_its_commit_only_with_its_documents_byte_for_byte()
    {
        var made = RemoteImage.Create(Tar("a"), Tar("b"));
        await using var ingest = Images.BeginIngest();
        Assert.Equal(Digest.Of(made.Config), Digest.Of(JsonSerializer.SerializeToUtf8Bytes(ingest.Check(made.Ingested(s_name)), OciJson.Default.ImageConfig)));
        await made.AddAllAsync(ingest, Cancellation);
        Assert.Empty(Images.All);
        var image = await ingest.CommitAsync(made.Ingested(s_name), Cancellation);
        Assert.Equal(["registry.test/a/b:1"], image.RepoTags);
        Assert.Equal(made.ManifestDigest, image.ManifestDigest);
        Assert.Equal(image.Id, Images.Get("registry.test/a/b:1").Id);
        await using var publication = await Images.PublishAsync("registry.test/a/b:1", null, Cancellation);
        Assert.Equal(made.Manifest, Assert.Single(publication.Documents).Content.ToArray());
        Assert.Equal([Digest.Of(made.Config), .. made.Blobs.Select(blob => Digest.Of(blob))], publication.Blobs.Select(blob => blob.Descriptor.Digest));
        Assert.All(publication.Blobs, blob => Assert.Equal("registry.test/a/b", Assert.Single(blob.Sources).Name));
    }

    [Fact]
    public async Task Layers_may_arrive_in_any_order()
    {
        // The upper layer links to a file of the lower one, so it has to wait for it.
        var made = RemoteImage.Create(Tar("a"), new TarBuilder().Link("other", "a").ToArray());
        await using var ingest = Images.BeginIngest();
        var upper = made.AddAsync(ingest, 1, Cancellation);
        var lower = made.AddAsync(ingest, 0, Cancellation);
        await Task.WhenAll(upper, lower);
        var image = await ingest.CommitAsync(made.Ingested(s_name), Cancellation);
        Assert.Equal(2, image.Layers.Count);
    }

    [Fact]
    public async Task Who_adds_the_same_layer_shares_one_reading_and_its_progress()
    {
        var made = RemoteImage.Create(Tar("a", 3 << 20));
        var gate = new TaskCompletionSource();
        var opened = 0;
        await using var first = Images.BeginIngest();
        await using var second = Images.BeginIngest();
        var progress = new[] { new Recorder(), new Recorder() };
        var adds = new[] { first, second }.Select((ingest, i) => ingest.AddLayerAsync(
            default, made.DiffIds[0], made.Layers[0], async token =>
            {
                Interlocked.Increment(ref opened);
                await gate.Task.WaitAsync(token);
                return new MemoryStream(made.Blobs[0]);
            }, progress[i], Cancellation)).ToList();
        gate.SetResult();
        var layers = await Task.WhenAll(adds);
        Assert.Equal(1, opened);
        Assert.Equal(layers[0], layers[1]);
        Assert.All(progress, recorder => Assert.Equal(LayerPhase.Complete, recorder.Last!.Phase));
    }

    [Fact]
    public async Task A_shared_reading_goes_on_when_the_one_who_began_it_gives_up()
    {
        var made = RemoteImage.Create(Tar("a"));
        var gate = new TaskCompletionSource();
        using var impatient = new CancellationTokenSource();
        await using var first = Images.BeginIngest();
        await using var second = Images.BeginIngest();
        var begun = first.AddLayerAsync(default, made.DiffIds[0], made.Layers[0], async token =>
        {
            await gate.Task.WaitAsync(token);
            return new MemoryStream(made.Blobs[0]);
        }, null, impatient.Token);
        var joined = second.AddLayerAsync(default, made.DiffIds[0], made.Layers[0], _ => throw new InvalidOperationException("opened again"), null, Cancellation);
        await impatient.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => begun);
        gate.SetResult();
        Assert.Equal(made.DiffIds[0], (await joined).DiffId);
    }

    [Fact]
    public async Task Who_joined_a_reading_that_fails_begins_again_from_its_own_source()
    {
        var made = RemoteImage.Create(Tar("a"));
        var gate = new TaskCompletionSource();
        await using var first = Images.BeginIngest();
        await using var second = Images.BeginIngest();
        var begun = first.AddLayerAsync(default, made.DiffIds[0], made.Layers[0], async token =>
        {
            await gate.Task.WaitAsync(token);
            throw new IOException("connection reset");
        }, null, Cancellation);
        var joined = second.AddLayerAsync(default, made.DiffIds[0], made.Layers[0], _ => ValueTask.FromResult<Stream>(new MemoryStream(made.Blobs[0])), null, Cancellation);
        gate.SetResult();
        await Assert.ThrowsAsync<IOException>(() => begun);
        Assert.Equal(made.DiffIds[0], (await joined).DiffId);
    }

    [Theory]
    [InlineData("digest", "its digest is")]
    [InlineData("long", "it has more than the")]
    [InlineData("short", "bytes, its descriptor says")]
    [InlineData("diff", "invalid diffID for layer: expected")]
    [InlineData("truncated", "")]
    public async Task A_layer_that_is_not_what_was_promised_is_refused_and_leaves_nothing(string fault, string message)
    {
        var made = RemoteImage.Create(Tar("a", 100_000));
        var (descriptor, diffId, bytes) = (made.Layers[0], made.DiffIds[0], made.Blobs[0]);
        switch (fault)
        {
            case "digest": descriptor = descriptor with { Digest = Digest.Of("other"u8) }; break;
            case "long": descriptor = descriptor with { Size = bytes.Length - 1 }; break;
            case "short": descriptor = descriptor with { Size = bytes.Length + 1 }; break;
            case "diff": diffId = Digest.Of("other"u8); break;
            default: bytes = bytes[..(bytes.Length / 2)]; break;
        }

        await using (var ingest = Images.BeginIngest())
        {
            var error = await Assert.ThrowsAsync<StorageException>(() => ingest.AddLayerAsync(
                default, diffId, descriptor, _ => ValueTask.FromResult<Stream>(new MemoryStream(bytes)), null, Cancellation));
            Assert.Equal(StorageErrorKind.InvalidParameter, error.Kind);
            Assert.Contains(message, error.Message, StringComparison.Ordinal);
        }

        Assert.Empty(_temporary.Contents());
    }

    [Fact]
    public async Task Documents_that_do_not_belong_together_are_refused()
    {
        var made = RemoteImage.Create(Tar("a"));
        var other = RemoteImage.Create(Tar("b"), Tar("c"));
        await using var ingest = Images.BeginIngest();
        var image = made.Ingested(s_name);
        Refused(image with { Config = other.Config }, "another configuration");
        Refused(image with { Manifest = other.Ingested(s_name).Manifest }, "another configuration");
        Refused(image with { Manifest = image.Manifest! with { Descriptor = image.Manifest.Descriptor with { Size = 1 } } }, "not what its descriptor says");
        Refused(image with { Index = RemoteImage.Index(other) }, "does not name its manifest");
        Refused(image with { Config = new byte[17 << 20] }, "bytes");
        await Assert.ThrowsAsync<StorageException>(() => ingest.CommitAsync(image, Cancellation));
        Assert.Empty(Images.All);

        void Refused(IngestedImage bad, string message) =>
            Assert.Contains(message, Assert.Throws<StorageException>(() => ingest.Check(bad)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_image_of_more_layers_than_can_be_stacked_is_refused_before_anything_is_fetched()
    {
        var made = RemoteImage.Create([.. Enumerable.Repeat(Tar("a"), 129)]);
        await using var ingest = Images.BeginIngest();
        var error = Assert.Throws<StorageException>(() => ingest.Check(made.Ingested(s_name)));
        Assert.Equal("invalid image: it has 129 layers, the limit is 128", error.Message);
    }

    [Fact]
    public async Task CVE_2026_32288_a_bomb_is_refused_while_it_arrives()
    {
        await _temporary.DisposeAsync();
        _temporary = await TemporaryDataRoot.CreateAsync(new UnpackLimits { MaxBytes = 64 << 20, RatioFrom = 1 << 20 });
        var made = RemoteImage.Create(new TarBuilder().Add(new Slipway.Oci.Tar.TarEntry { Name = "zeros"u8.ToArray(), Size = 32 << 20 }, new byte[32 << 20]).ToArray());
        await using (var ingest = Images.BeginIngest())
        {
            var error = await Assert.ThrowsAsync<StorageException>(() => made.AddAsync(ingest, 0, Cancellation));
            Assert.Equal((StorageErrorKind.InvalidParameter, "invalid layer: compressed data expands beyond the limit of 100 times its size"), (error.Kind, error.Message));
        }

        Assert.Empty(_temporary.Contents());
    }

    [Fact]
    public async Task Layers_of_an_interrupted_ingest_stay_for_the_next_one()
    {
        var made = RemoteImage.Create(Tar("a"), Tar("b"));
        await using (var ingest = Images.BeginIngest())
        {
            await made.AddAsync(ingest, 0, Cancellation);
        }

        await _temporary.CloseAsync();
        await _temporary.OpenAsync();
        await using var next = Images.BeginIngest();
        Assert.True(next.TryHold(made.DiffIds[0]));
        await made.AddAsync(next, 1, Cancellation);
        Assert.Equal(2, (await next.CommitAsync(made.Ingested(s_name), Cancellation)).Layers.Count);
    }

    [Fact]
    public async Task A_tar_whose_digest_nobody_knows_becomes_a_layer()
    {
        var tar = Tar("a");
        await using var ingest = Images.BeginIngest();
        var layer = await ingest.AddTarAsync(default, new MemoryStream(tar), Cancellation);
        Assert.Equal(Digest.Of(tar), layer.DiffId);
        var upper = await ingest.AddTarAsync(layer.ChainId, new MemoryStream(new TarBuilder().Link("b", "a").ToArray()), Cancellation);
        var config = ImageBuilder.Config(tar, new TarBuilder().Link("b", "a").ToArray());
        var image = await ingest.CommitAsync(new IngestedImage { Config = config, Manifest = null, Names = [s_name] }, Cancellation);
        Assert.Equal([layer.ChainId, upper.ChainId], image.ChainIds);
    }

    [Fact]
    public async Task Several_platforms_of_an_index_share_a_name()
    {
        var (intel, arm) = (RemoteImage.Create("amd64", Tar("a")), RemoteImage.Create("arm64", Tar("b")));
        var index = RemoteImage.Index(intel, arm);
        await PullAsync(intel, index);
        await PullAsync(arm, index);
        Assert.Equal(2, Images.All.Count);
        Assert.All(Images.All, image => Assert.Equal(["registry.test/a/b:1"], image.RepoTags));
        Assert.Equal(intel.Id, Images.Find("registry.test/a/b:1", Platform.Parse("linux/amd64"))!.Id);
        Assert.Equal(arm.Id, Images.Find("registry.test/a/b:1", Platform.Parse("linux/arm64"))!.Id);
        Assert.Null(Images.Find("registry.test/a/b:1", Platform.Parse("linux/s390x")));
        await using (var whole = await Images.PublishAsync("registry.test/a/b:1", null, Cancellation))
        {
            Assert.Equal([intel.ManifestDigest, arm.ManifestDigest, index.Descriptor.Digest], whole.Documents.Select(document => document.Descriptor.Digest));
            Assert.Equal(4, whole.Blobs.Count);
        }

        await using (var one = await Images.PublishAsync("registry.test/a/b:1", Platform.Parse("linux/arm64"), Cancellation))
        {
            Assert.Equal([arm.ManifestDigest], one.Documents.Select(document => document.Descriptor.Digest));
        }

        await Images.RemoveAsync("registry.test/a/b:1", new RemoveOptions { UsedBy = _ => [] }, Cancellation);
        Assert.Empty(Images.All);
        Assert.Empty(_temporary.Contents());
    }

    [Fact]
    public async Task Layers_kept_of_an_interrupted_ingest_expire()
    {
        var made = RemoteImage.Create(Tar("a"));
        await _temporary.CloseAsync();
        await _temporary.OpenAsync(options => options with { HoldInterruptedFor = TimeSpan.Zero });
        await using (var ingest = Images.BeginIngest())
        {
            await made.AddAsync(ingest, 0, Cancellation);
            Assert.NotEmpty(_temporary.Contents());
        }

        Assert.Empty(_temporary.Contents());
    }

    [Fact]
    public async Task A_full_disk_frees_what_was_kept_and_a_pull_that_needs_less_succeeds()
    {
        await using var disk = SmallDisk.Mount("8m");
        await using var full = await DataRoot.OpenAsync(new DataRootOptions { Path = disk.Path }, Cancellation);
        var (kept, big, small) = (RemoteImage.Create(Noise("kept", 3 << 20)), RemoteImage.Create(Noise("big", 6 << 20)), RemoteImage.Create(Noise("small", 5 << 20)));
        await using (var interrupted = full.Images.BeginIngest())
        {
            await kept.AddAsync(interrupted, 0, Cancellation);
        }

        await using (var ingest = full.Images.BeginIngest())
        {
            var error = await Assert.ThrowsAsync<StorageException>(() => big.AddAsync(ingest, 0, Cancellation));
            Assert.Equal((StorageErrorKind.System, "no space left on device"), (error.Kind, error.Message));
        }

        Assert.Empty(Directory.EnumerateFileSystemEntries(disk.Path + "/tmp").Concat(Directory.EnumerateFileSystemEntries(disk.Path + "/layers")));
        await using var next = full.Images.BeginIngest();
        await small.AddAsync(next, 0, Cancellation);
        await next.CommitAsync(small.Ingested(s_name), Cancellation);
    }

    [Fact]
    public async Task An_index_survives_save_and_load_with_the_platforms_that_are_here()
    {
        // Not compressed: those bytes can be made again, so that the archive holds the very manifests.
        var images = new[] { "amd64", "arm64", "s390x" }.Select(architecture => RemoteImage.CreatePlain(architecture, Tar(architecture))).ToArray();
        var index = RemoteImage.Index(images);
        await PullAsync(images[0], index);
        await PullAsync(images[1], index);
        using var archive = new MemoryStream();
        await Images.SaveAsync(["registry.test/a/b:1"], null, archive, Cancellation);
        await using var other = await TemporaryDataRoot.CreateAsync();
        var loaded = await other.Root.Images.LoadAsync(new MemoryStream(archive.ToArray()), null, null, Cancellation);
        Assert.Equal("Loaded image: registry.test/a/b:1", Assert.Single(loaded).Message);
        Assert.Equal(images[0].Id, loaded[0].Image.Id);
        Assert.Equal(images[0].ManifestDigest, loaded[0].Image.ManifestDigest);
        Assert.Equal(images[1].Id, other.Root.Images.Find("registry.test/a/b:1", Platform.Parse("linux/arm64"))!.Id);
        using var again = new MemoryStream();
        await other.Root.Images.SaveAsync(["registry.test/a/b:1"], null, again, Cancellation);
        Assert.Equal(archive.ToArray(), again.ToArray());

        using var one = new MemoryStream();
        await Images.SaveAsync(["registry.test/a/b:1"], Platform.Parse("linux/arm64"), one, Cancellation);
        await using var third = await TemporaryDataRoot.CreateAsync();
        loaded = await third.Root.Images.LoadAsync(new MemoryStream(one.ToArray()), null, null, Cancellation);
        Assert.Equal(images[1].Id, Assert.Single(loaded).Image.Id);
        Assert.Single(third.Root.Images.All);
        await Assert.ThrowsAsync<StorageException>(() => Images.SaveAsync(["registry.test/a/b:1"], Platform.Parse("linux/s390x"), one, Cancellation));
    }

    [Fact]
    public async Task A_pulled_image_whose_compressed_layers_are_not_here_is_saved_with_a_manifest_of_its_own()
    {
        var made = RemoteImage.Create(Tar("a"));
        await using (var ingest = Images.BeginIngest())
        {
            await made.AddAllAsync(ingest, Cancellation);
            await ingest.CommitAsync(made.Ingested(s_name), Cancellation);
        }

        using var archive = new MemoryStream();
        await Images.SaveAsync(["registry.test/a/b:1"], null, archive, Cancellation);
        await using var other = await TemporaryDataRoot.CreateAsync();
        var loaded = await other.Root.Images.LoadAsync(new MemoryStream(archive.ToArray()), null, null, Cancellation);
        Assert.Equal((made.Id, "registry.test/a/b:1"), (loaded[0].Image.Id, loaded[0].Name));
    }

    [Fact]
    public async Task An_image_without_a_manifest_is_published_the_same_each_time()
    {
        await Images.LoadAsync(new MemoryStream(ImageBuilder.Archive("x:1", Tar("a", 300_000), Tar("b"))), null, null, Cancellation);
        var first = await ReadAsync();
        var second = await ReadAsync();
        Assert.Equal(first, second);
        Assert.Equal(3, first.Count);
        Assert.Single(Directory.GetFiles(Path.Combine(_temporary.Path, "blobs/sha256")));
        Assert.Empty(Directory.GetFileSystemEntries(Path.Combine(_temporary.Path, "tmp")));

        async Task<List<Digest>> ReadAsync()
        {
            await using var publication = await Images.PublishAsync("x:1", null, Cancellation);
            Assert.Equal(MediaTypes.DockerManifest, Assert.Single(publication.Documents).Descriptor.MediaType);
            var digests = new List<Digest>();
            foreach (var blob in publication.Blobs)
            {
                Assert.True(blob.IsLocal);
                await using var stream = await blob.OpenAsync(Cancellation);
                using var bytes = new MemoryStream();
                await stream.CopyToAsync(bytes, Cancellation);
                Assert.Equal((blob.Descriptor.Digest, blob.Descriptor.Size), (Digest.Of(bytes.ToArray()), bytes.Length));
                digests.Add(blob.Descriptor.Digest);
            }

            return digests;
        }
    }

    private async Task PullAsync(RemoteImage made, ImageContent index)
    {
        await using var ingest = Images.BeginIngest();
        await made.AddAllAsync(ingest, Cancellation);
        await ingest.CommitAsync(made.Ingested(s_name) with { Index = index }, Cancellation);
    }

    private static byte[] Tar(string name, int size = 10) => new TarBuilder().File(name, new string('x', size)).ToArray();

    private static byte[] Noise(string name, int size)
    {
        var content = new byte[size];
        new Random(size).NextBytes(content);
        return new TarBuilder().Add(new Slipway.Oci.Tar.TarEntry { Name = TarBuilder.Bytes(name), Mode = 0x1a4, Size = size }, content).ToArray();
    }

    private sealed class Recorder : IProgress<LayerProgress>
    {
        public LayerProgress? Last { get; private set; }

        public void Report(LayerProgress value) => Last = value;
    }
}
