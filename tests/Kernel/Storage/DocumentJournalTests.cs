using Microsoft.Data.Sqlite;
using Slipway.Oci;
using Slipway.Storage.Images;
using Xunit;

namespace Slipway.Tests.Kernel.Storage;

/// <summary>An image that is visible is there after a power failure, although its documents were not flushed one by one.</summary>
public sealed class DocumentJournalTests : IAsyncLifetime
{
    private TemporaryDataRoot _temporary = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private IImageStore Images => _temporary.Root.Images;

    private string Blobs => Path.Combine(_temporary.Path, "blobs", "sha256");

    public async ValueTask InitializeAsync() => _temporary = await TemporaryDataRoot.CreateAsync();

    public async ValueTask DisposeAsync() => await _temporary.DisposeAsync();

    [Theory]
    [InlineData("empty")]
    [InlineData("zeros")]
    [InlineData("missing")]
    public async Task What_a_power_failure_takes_from_documents_is_written_again_at_start(string left)
    {
        var made = RemoteImage.Create(Tar("a"));
        await CommitAsync(made, "one:1");
        await _temporary.CloseAsync();
        foreach (var path in new[] { made.Id, made.ManifestDigest }.Select(digest => Path.Combine(Blobs, digest.Hex)))
        {
            // What ext4 and others may leave of a file that was renamed before it was flushed (delayed allocation).
            var length = (int)new FileInfo(path).Length;
            File.Delete(path);
            if (left != "missing")
            {
                await File.WriteAllBytesAsync(path, new byte[left == "zeros" ? length : 0], Cancellation);
            }
        }

        await _temporary.OpenAsync();
        Assert.Empty(_temporary.Root.Repair.LostImages);
        Assert.Empty(_temporary.Root.Repair.DamagedImages);
        await using (var publication = await Images.PublishAsync("one:1", null, Cancellation))
        {
            Assert.Equal(made.Manifest, Assert.Single(publication.Documents).Content.ToArray());
        }

        await _temporary.CloseAsync();
        Assert.Equal(made.Config, await File.ReadAllBytesAsync(Path.Combine(Blobs, made.Id.Hex), Cancellation));
        Assert.Equal(0, await JournalAsync());
    }

    [Fact]
    public async Task The_journal_does_not_grow_with_the_images()
    {
        for (var i = 0; i < 40; i++)
        {
            await CommitAsync(RemoteImage.Create(Tar($"file-{i}")), $"many:{i}");
        }

        await _temporary.CloseAsync();
        Assert.InRange(await JournalAsync(), 1, 32);
        Assert.Equal(80, Directory.GetFiles(Blobs).Length);
        await _temporary.OpenAsync();
        Assert.Equal(40, Images.All.Count);
    }

    [Fact]
    public async Task A_large_document_is_flushed_instead()
    {
        await CommitAsync(RemoteImage.Create(new string('a', 100_000), Tar("a")), "large:1");
        await _temporary.CloseAsync();
        Assert.Equal(1, await JournalAsync());
    }

    [Fact]
    public async Task A_removed_image_leaves_nothing_in_the_journal()
    {
        var made = RemoteImage.Create(Tar("a"));
        await CommitAsync(made, "one:1");
        await Images.RemoveAsync("one:1", new RemoveOptions { UsedBy = _ => [] }, Cancellation);
        await _temporary.CloseAsync();
        Assert.Equal(0, await JournalAsync());
        await _temporary.OpenAsync();
        Assert.Empty(_temporary.Contents());
    }

    private async Task CommitAsync(RemoteImage made, string name)
    {
        await using var ingest = Images.BeginIngest();
        await made.AddAllAsync(ingest, Cancellation);
        await ingest.CommitAsync(made.Ingested(Reference.Parse(name)), Cancellation);
    }

    private async Task<long> JournalAsync()
    {
        await using var connection = new SqliteConnection($"Data Source={Path.Combine(_temporary.Path, "state.db")};Pooling=False");
        await connection.OpenAsync(Cancellation);
        await using var command = connection.CreateCommand();
        command.CommandText = "SELECT count(*) FROM document_journal";
        return (long)(await command.ExecuteScalarAsync(Cancellation))!;
    }

    private static byte[] Tar(string name) => new TarBuilder().File(name, name).ToArray();
}
