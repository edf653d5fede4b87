using System.Diagnostics;
using Slipway.Kernel.Files;
using Slipway.Oci;
using Slipway.Storage;
using Slipway.Storage.Images;
using Xunit;

namespace Slipway.Tests.Kernel.Storage;

/// <summary>Images made by other builders load as Docker loads them.</summary>
public sealed class SampleImageTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("oci/busybox-1.37.0-glibc-amd64.tar", "busybox:1.37.0-glibc")]
    [InlineData("oci/busybox-1.37.0-musl-amd64.tar", "busybox:1.37.0-musl")]
    [InlineData("oci/busybox-1.37.0-uclibc-amd64.tar", "busybox:1.37.0-uclibc")]
    [InlineData("oci/busybox-1.37.0-glibc-multiarch.tar", "busybox:1.37.0-glibc")]
    [InlineData("oci/hello-world-multiarch.tar", "hello-world:latest")]
    [InlineData("oci/hello-world-multiarch-cosign.tar", "hello-world:latest")]
    [InlineData("oci/stereoscope-valid-oci.tar", "sample:latest")]
    [InlineData("oci/oci-name-only.tar.gz", "pretty-empty:latest")]
    [InlineData("oci/oci-registry-name.tar.gz", "example.com/empty:latest")]
    [InlineData("save/dive-test-docker-image.tar", "dive-test:latest")]
    [InlineData("save/dive-test-kaniko-image.tar", "dive-test:kaniko-latest")]
    [InlineData("save/pause-2.0.tar", "gcr.io/google-containers/pause:2.0")]
    [InlineData("save/docker-name-only.tar.xz", "pretty-empty:latest")]
    [InlineData("save/docker-registry-name.tar.xz", "example.com/empty:latest")]
    [InlineData("save/almostempty.tar", "emptyimage:latest")]
    [InlineData("save/image_with_symlinked_layer.tar", "bazel:small_base_2")]
    [InlineData("save/small_linux.tar", "bazel/image:image")]
    public async Task A_named_image_loads_under_its_name(string sample, string name)
    {
        await using var archive = Samples.Open(sample);
        await using var temporary = await TemporaryDataRoot.CreateAsync();
        var loaded = await temporary.Root.Images.LoadAsync(archive, null, null, Cancellation);
        Assert.Equal(name, Assert.Single(loaded).Name);
        Assert.Equal($"Loaded image: {name}", loaded[0].Message);
        Assert.Equal(loaded[0].Image.Id, temporary.Root.Images.Get(name).Id);
        Assert.Equal(loaded[0].Image.Id, Digest.Of(temporary.Root.Images.RawConfig(loaded[0].Image.Id).Span));
    }

    [Theory]
    [InlineData("oci/dive-test-oci-gzip-image.tar")]
    [InlineData("oci/dive-test-oci-zstd-image.tar")]
    [InlineData("oci/dive-test-oci-estargz-image.tar")]
    [InlineData("oci/dive-test-oci-uncompressed-image.tar")]
    [InlineData("oci/oci-non-docker-name.tar.gz")]
    [InlineData("oci/oci-unnamed.tar.gz")]
    [InlineData("save/docker-unnamed.tar.xz")]
    [InlineData("save/hello-world-v25.tar")]
    public async Task An_image_without_a_name_loads_under_its_id(string sample)
    {
        await using var archive = Samples.Open(sample);
        await using var temporary = await TemporaryDataRoot.CreateAsync();
        var loaded = await temporary.Root.Images.LoadAsync(archive, null, null, Cancellation);
        Assert.Null(Assert.Single(loaded).Name);
        Assert.Equal($"Loaded image ID: {loaded[0].Image.Id}", loaded[0].Message);
    }

    [Theory]
    [InlineData("save/no_manifest.tar", "does not contain a manifest.json")]
    [InlineData("save/v1-emptyLayer.tar", "does not contain a manifest.json")]
    [InlineData("save/test_bundle.tar", "invalid tag \"test_image_")]
    [InlineData("edge/oci/bad-digests.tar", "expected digest sha256:")]
    [InlineData("edge/oci/squashfs-layer.tar", "")]
    public async Task A_bad_archive_is_refused_and_leaves_nothing(string sample, string message)
    {
        await using var archive = Samples.Open(sample);
        await using var temporary = await TemporaryDataRoot.CreateAsync();
        var error = await Assert.ThrowsAsync<StorageException>(() => temporary.Root.Images.LoadAsync(archive, null, null, Cancellation));
        Assert.Equal(StorageErrorKind.InvalidParameter, error.Kind);
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
        Assert.Empty(temporary.Contents());
    }

    public static TheoryData<string> Archives() =>
        Samples.Directory is null ? [""] : [.. new[] { "oci", "save", "edge/oci" }
            .SelectMany(folder => Directory.GetFiles(Samples.Path(folder), "*.tar*")).Select(file => Path.GetRelativePath(Samples.Path(""), file)).Order(StringComparer.Ordinal)];

    /// <summary>What loads is saved, and the archive gives the same images with the same documents; saved again it is the same archive.</summary>
    [Theory]
    [MemberData(nameof(Archives))]
    public async Task Digests_survive_save_and_load(string sample)
    {
        await using var archive = Samples.Open(sample);
        await using var temporary = await TemporaryDataRoot.CreateAsync();
        try
        {
            await temporary.Root.Images.LoadAsync(archive, null, null, Cancellation);
        }
        catch (StorageException error) when (error.Kind == StorageErrorKind.InvalidParameter)
        {
            Assert.Empty(temporary.Contents());
            return;
        }

        string[] names = [.. temporary.Root.Images.All.SelectMany(image => image.RepoTags.Count > 0 ? image.RepoTags : [image.Id.ToString()]).Distinct()];
        using var saved = new MemoryStream();
        await temporary.Root.Images.SaveAsync(names, null, saved, Cancellation);
        await using var other = await TemporaryDataRoot.CreateAsync();
        await other.Root.Images.LoadAsync(new MemoryStream(saved.ToArray()), null, null, Cancellation);
        Assert.Equal(Describe(temporary), Describe(other));
        Assert.All(temporary.Root.Images.All.Where(image => !image.ManifestDigest.IsNone), image => Assert.Equal(image.ManifestDigest, other.Root.Images.Get(image.Id.ToString()).ManifestDigest));
        using var again = new MemoryStream();
        await other.Root.Images.SaveAsync(names, null, again, Cancellation);
        Assert.Equal(Digest.Of(saved.ToArray()), Digest.Of(again.ToArray()));

        static IEnumerable<string> Describe(TemporaryDataRoot root) => root.Root.Images.All
            .Select(image => $"{image.Id} {string.Join(',', image.RepoTags)} {string.Join(',', image.ChainIds)}").Order(StringComparer.Ordinal);
    }

    [Fact]
    public async Task Signatures_in_an_archive_stay_with_their_image()
    {
        await using var archive = Samples.Open("oci/hello-world-multiarch-cosign.tar");
        await using var temporary = await TemporaryDataRoot.CreateAsync();
        var image = (await temporary.Root.Images.LoadAsync(archive, null, null, Cancellation))[0].Image;
        using var saved = new MemoryStream();
        await temporary.Root.Images.SaveAsync([image.RepoTags[0]], null, saved, Cancellation);
        saved.Position = 0;
        var reader = new Slipway.Oci.Tar.TarReader(saved);
        var names = new List<string>();
        var index = Array.Empty<byte>();
        while (reader.Next() is { } entry)
        {
            names.Add(entry.DisplayName);
            if (entry.DisplayName == "index.json")
            {
                index = new byte[entry.Size];
                reader.Read(index);
            }
        }

        // The signature of the index, by cosign's tag.
        Assert.Contains("sha256-00e1ee7c898a2c393ea2fe7680938f8dcbe55e51fbf08032cf37326a677f92ed.sig", System.Text.Encoding.UTF8.GetString(index), StringComparison.Ordinal);
        Assert.Contains("blobs/sha256/1e4c6e59fe9ed668252140571494bb844e424bb48c2eceefed73434eb9a84dc3", names);
        await temporary.Root.Images.RemoveAsync(image.RepoTags[0], new RemoveOptions { Force = true, UsedBy = _ => [] }, Cancellation);
        foreach (var rest in temporary.Root.Images.All)
        {
            await temporary.Root.Images.RemoveAsync(rest.Id.ToString(), new RemoveOptions { Force = true, UsedBy = _ => [] }, Cancellation);
        }

        Assert.Empty(temporary.Contents());
    }

    [Theory]
    [InlineData("rootfs/alpine-minirootfs-3.20.3-x86_64.tar.gz", "bin/busybox")]
    [InlineData("rootfs/tinycore-11.0-x86_64-rootfs64.tar.gz", "bin/busybox")]
    [InlineData("rootfs/busybox-exported-container.tar", "bin/sh")]
    public async Task A_root_file_system_imports(string sample, string program)
    {
        await using var archive = Samples.Open(sample);
        await using var temporary = await TemporaryDataRoot.CreateAsync();
        var watch = Stopwatch.StartNew();
        var image = await temporary.Root.Images.ImportAsync(archive, new ImportOptions { Reference = Reference.Parse("imported") }, null, Cancellation);
        TestContext.Current.TestOutputHelper?.WriteLine($"imported in {watch.Elapsed.TotalMilliseconds:f0} ms");
        Assert.Equal(["imported:latest"], image.RepoTags);
        using var rootfs = new RootDirectory(temporary.Root.Snapshots.MountRootfs(image.ChainIds, new string('a', 64), readOnly: true));
        Assert.InRange(rootfs.Status(program).Size, 500_000, 2_000_000);
    }
}
