using Slipway.BuildKit.Clients;
using Slipway.Oci;
using Xunit;

namespace Slipway.Tests.Unit.BuildKit;

public sealed class LayoutDirectoryTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("slipway-test-").FullName;
    private readonly LayoutDirectory _layout;

    public LayoutDirectoryTests() => _layout = new LayoutDirectory(_folder);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task A_blob_is_there_when_it_is_whole()
    {
        byte[] content = "content"u8.ToArray();
        Digest digest = Digest.Of(content);
        using (LayoutBlob blob = _layout.Create(digest))
        {
            await blob.WriteAsync(content.AsMemory(0, 3), Cancellation);
            Assert.Null(_layout.SizeOf(digest));
            await blob.WriteAsync(content.AsMemory(3), Cancellation);
            blob.Commit();
        }

        Assert.Equal(7, _layout.SizeOf(digest));
        Assert.Equal("content", await File.ReadAllTextAsync($"{_folder}/blobs/sha256/{digest.Hex}", Cancellation));
        Assert.Empty(Directory.GetFileSystemEntries($"{_folder}/ingest"));
    }

    [Fact]
    public async Task Content_of_another_digest_is_not_kept()
    {
        Digest digest = Digest.Of("content"u8);
        using (LayoutBlob blob = _layout.Create(digest))
        {
            await blob.WriteAsync("other"u8.ToArray(), Cancellation);
            Assert.Throws<InvalidDataException>(blob.Commit);
        }

        Assert.Null(_layout.SizeOf(digest));
        Assert.Empty(Directory.GetFileSystemEntries($"{_folder}/ingest"));
    }

    [Fact]
    public void A_name_is_that_of_the_blob_that_got_it_last()
    {
        Descriptor one = new() { MediaType = MediaTypes.OciManifest, Digest = Digest.Of("one"u8), Size = 3 };
        Descriptor two = one with { Digest = Digest.Of("two"u8) };
        Assert.Null(_layout.Find("latest"));
        _layout.Name(one, "latest");
        _layout.Name(one, "kept");
        _layout.Name(two, "latest");
        Assert.Equal((two.Digest, one.Digest), (_layout.Find("latest")!.Digest, _layout.Find("kept")!.Digest));
        Assert.Equal(["index.json", "oci-layout"], Directory.GetFileSystemEntries(_folder).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void An_entry_that_is_null_is_passed_over()
    {
        File.WriteAllText($"{_folder}/index.json", """{"manifests":[null]}""");
        Assert.Null(_layout.Find("latest"));
        _layout.Name(new Descriptor { MediaType = MediaTypes.OciManifest, Digest = Digest.Of("one"u8), Size = 3 }, "latest");
        Assert.NotNull(_layout.Find("latest"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("{\"manifests\":[{\"digest\":\"../../etc/passwd\"}]}")]
    public void What_is_no_index_is_told(string text)
    {
        File.WriteAllText($"{_folder}/index.json", text);
        Assert.Contains("is no index of an image layout", Assert.Throws<IOException>(() => _layout.Find("latest")).Message, StringComparison.Ordinal);
    }
}
