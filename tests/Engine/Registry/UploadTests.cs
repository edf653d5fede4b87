using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Oci;
using Slipway.Tests.Engine.Server;
using Xunit;

namespace Slipway.Tests.Engine.Registry;

/// <summary>distribution-spec, "Pushing blobs", "Pushing a blob in chunks", "Cancel a blob upload", "Mounting a blob from another repository".</summary>
public sealed class UploadTests
{
    private static readonly byte[] s_content = RandomNumberGenerator.GetBytes(500_000);
    private static readonly Digest s_digest = Digest.Of(s_content);

    private static Task<Answer> PatchAsync(RegistryUnderTest registry, string upload, byte[] chunk, string? range = null) =>
        registry.SendAsync(HttpMethod.Patch, upload, chunk, request =>
        {
            if (range is not null)
            {
                request.Content!.Headers.TryAddWithoutValidation("Content-Range", range);
            }
        });

    private static async Task<string> BeginAsync(RegistryUnderTest registry, string repository = "app") =>
        (await registry.SendAsync(HttpMethod.Post, $"/v2/{repository}/blobs/uploads/")).Is(202).Header("Location");

    [Fact]
    public async Task One_post_pushes_a_whole_blob()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        Answer answer = (await registry.SendAsync(HttpMethod.Post, $"/v2/app/blobs/uploads/?digest={s_digest}", s_content)).Is(201);
        Assert.Equal(s_content, (await registry.GetAsync(answer.Header("Location"))).Is(200).Body);
    }

    [Fact]
    public async Task Chunks_are_put_together_in_order()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        string upload = await BeginAsync(registry);
        Assert.Matches("^/v2/app/blobs/uploads/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", upload);
        Answer first = (await PatchAsync(registry, upload, s_content[..200_000], "0-199999")).Is(202);
        Assert.Equal("0-199999", first.Header("Range"));
        Assert.Equal("0-399999", (await PatchAsync(registry, first.Header("Location"), s_content[200_000..400_000])).Is(202).Header("Range"));
        Answer status = (await registry.GetAsync(upload)).Is(204);
        Assert.Equal("0-399999", status.Header("Range"));
        Assert.Equal(upload, status.Header("Location"));
        Answer done = (await registry.SendAsync(HttpMethod.Put, $"{upload}?digest={s_digest}", s_content[400_000..])).Is(201);
        Assert.Equal($"/v2/app/blobs/{s_digest}", done.Header("Location"));
        Assert.Equal(s_content, (await registry.GetAsync(done.Header("Location"))).Is(200).Body);
        (await registry.GetAsync(upload)).IsError(404, "BLOB_UPLOAD_UNKNOWN");
    }

    [Theory]
    [InlineData("100-199")]
    [InlineData("0-99")]
    [InlineData("51-150")]
    public async Task A_chunk_out_of_order_is_416_and_changes_nothing(string range)
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        string upload = await BeginAsync(registry);
        (await PatchAsync(registry, upload, s_content[..50], "0-49")).Is(202);
        Answer refused = (await PatchAsync(registry, upload, s_content[..100], range)).IsError(416, "BLOB_UPLOAD_INVALID");
        Assert.Equal("0-49", refused.Header("Range"));
        Assert.Equal("0-49", (await registry.GetAsync(upload)).Is(204).Header("Range"));
    }

    [Theory]
    [InlineData("bytes 0-49/50", "BLOB_UPLOAD_INVALID")]
    [InlineData("x-y", "BLOB_UPLOAD_INVALID")]
    [InlineData("0-98", "SIZE_INVALID")]
    public async Task A_content_range_that_makes_no_sense_is_refused(string range, string code)
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        (await PatchAsync(registry, await BeginAsync(registry), s_content[..50], range)).IsError(400, code);
    }

    [Fact]
    public async Task A_wrong_digest_is_refused_and_leaves_nothing()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        string upload = await BeginAsync(registry);
        (await registry.SendAsync(HttpMethod.Put, $"{upload}?digest={Digest.Of("other"u8)}", s_content)).IsError(400, "DIGEST_INVALID");
        (await registry.SendAsync(HttpMethod.Put, $"{await BeginAsync(registry)}?digest=sha256:zz", s_content)).IsError(400, "DIGEST_INVALID");
        (await registry.SendAsync(HttpMethod.Put, await BeginAsync(registry), s_content)).IsError(400, "DIGEST_INVALID");
        (await registry.SendAsync(HttpMethod.Post, $"/v2/app/blobs/uploads/?digest={Digest.Of("other"u8)}", s_content)).IsError(400, "DIGEST_INVALID");
        (await registry.GetAsync($"/v2/app/blobs/{s_digest}")).Is(404);
        Assert.Empty(Directory.GetFiles(Path.Combine(registry.Root, "blobs")));
        Assert.All(Directory.GetFiles(Path.Combine(registry.Root, "uploads"), "*", SearchOption.AllDirectories), file => Assert.Equal(0, new FileInfo(file).Length));
    }

    [Fact]
    public async Task Blobs_of_sha512_are_taken()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        Digest digest = Digest.FromHash(SHA512.HashData(s_content));
        string upload = (await registry.SendAsync(HttpMethod.Post, "/v2/app/blobs/uploads/?digest-algorithm=sha512")).Is(202).Header("Location");
        (await PatchAsync(registry, upload, s_content)).Is(202);
        (await registry.SendAsync(HttpMethod.Put, $"{upload}?digest={digest}")).Is(201);
        Assert.Equal(s_content, (await registry.GetAsync($"/v2/app/blobs/{digest}")).Is(200).Body);
        (await registry.SendAsync(HttpMethod.Post, "/v2/app/blobs/uploads/?digest-algorithm=md5")).IsError(400, "DIGEST_INVALID");
    }

    [Fact]
    public async Task A_cancelled_upload_is_gone()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        string upload = await BeginAsync(registry);
        (await PatchAsync(registry, upload, s_content)).Is(202);
        (await registry.DeleteAsync(upload)).Is(204);
        (await PatchAsync(registry, upload, s_content)).IsError(404, "BLOB_UPLOAD_UNKNOWN");
        (await registry.DeleteAsync(upload)).IsError(404, "BLOB_UPLOAD_UNKNOWN");
        Assert.Empty(Directory.GetFiles(Path.Combine(registry.Root, "uploads"), "*", SearchOption.AllDirectories));
    }

    [Theory]
    [InlineData("/v2/app/blobs/uploads/5e2f3c4a-0000-4000-8000-000000000000")]
    [InlineData("/v2/app/blobs/uploads/not-a-uuid")]
    [InlineData("/v2/app/blobs/uploads/..%2f..%2flock")]
    public async Task An_upload_that_does_not_exist_is_404(string path)
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        Assert.Equal(404, (await PatchAsync(registry, path, s_content)).Status);
    }

    [Fact]
    public async Task An_upload_belongs_to_its_repository()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        string upload = await BeginAsync(registry, "a");
        await BeginAsync(registry, "b");
        (await PatchAsync(registry, upload.Replace("/v2/a/", "/v2/b/", StringComparison.Ordinal), s_content)).IsError(404, "BLOB_UPLOAD_UNKNOWN");
    }

    [Fact]
    public async Task An_upload_goes_on_after_a_restart()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        string upload = await BeginAsync(registry);
        (await PatchAsync(registry, upload, s_content[..300_000])).Is(202);
        await registry.RestartAsync();
        Assert.Equal("0-299999", (await registry.GetAsync(upload)).Is(204).Header("Range"));
        (await PatchAsync(registry, upload, s_content[300_000..], "300000-499999")).Is(202);
        (await registry.SendAsync(HttpMethod.Put, $"{upload}?digest={s_digest}")).Is(201);
        Assert.Equal(s_content, (await registry.GetAsync($"/v2/app/blobs/{s_digest}")).Body);
    }

    /// <summary>The connection is cut within a chunk: what came in is kept, and the client goes on behind it.</summary>
    [Fact]
    public async Task An_upload_that_was_cut_is_resumed_where_it_was_cut()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        string upload = await BeginAsync(registry);
        using (System.Net.Sockets.Socket socket = await registry.ConnectAsync())
        {
            await socket.SayAsync($"PATCH {upload} HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n");
            await socket.SendAsync(s_content.AsMemory(0, 123_456), TestContext.Current.CancellationToken);
            await UntilAsync(() => Directory.GetFiles(Path.Combine(registry.Root, "uploads"), "*", SearchOption.AllDirectories).Any(file => new FileInfo(file).Length == 123_456));
        }

        Assert.Equal("0-123455", (await registry.GetAsync(upload)).Is(204).Header("Range"));
        (await registry.SendAsync(HttpMethod.Put, $"{upload}?digest={s_digest}", s_content[123_456..])).Is(201);
    }

    [Fact]
    public async Task Uploads_that_nobody_continues_expire()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync(configuration => configuration with { Uploads = new() { Expiry = "2h" } });
        string old = await BeginAsync(registry);
        (await PatchAsync(registry, old, s_content)).Is(202);
        registry.Time.Ahead = TimeSpan.FromHours(1);
        await registry.SendAsync(HttpMethod.Post, "/-/gc");
        (await registry.GetAsync(old)).Is(204);
        registry.Time.Ahead = TimeSpan.FromHours(3);
        Assert.Equal(1, (int)(await registry.SendAsync(HttpMethod.Post, "/-/gc")).Is(200).Json["uploads"]!);
        (await registry.GetAsync(old)).IsError(404, "BLOB_UPLOAD_UNKNOWN");
    }

    [Fact]
    public async Task A_blob_is_mounted_from_another_repository()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        await registry.PushBlobAsync("source", s_content);
        Answer mounted = (await registry.SendAsync(HttpMethod.Post, $"/v2/target/blobs/uploads/?mount={s_digest}&from=source")).Is(201);
        Assert.Equal($"/v2/target/blobs/{s_digest}", mounted.Header("Location"));
        Assert.Equal(s_content, (await registry.GetAsync(mounted.Header("Location"))).Is(200).Body);
        (await registry.DeleteAsync($"/v2/source/blobs/{s_digest}")).Is(202);
        Assert.Equal(s_content, (await registry.GetAsync(mounted.Header("Location"))).Is(200).Body);
    }

    [Theory]
    [InlineData("from=other")]
    [InlineData("from=..%2f..")]
    [InlineData("x=y")]
    public async Task A_mount_that_cannot_be_begins_an_upload(string from)
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        await registry.PushBlobAsync("source", s_content);
        (await registry.SendAsync(HttpMethod.Post, $"/v2/target/blobs/uploads/?mount={s_digest}&{from}")).Is(202).Header("Location");
        (await registry.GetAsync($"/v2/target/blobs/{s_digest}")).Is(404);
    }

    [Fact]
    public async Task The_same_content_is_stored_once()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        await Task.WhenAll(Enumerable.Range(0, 8).Select(i => registry.PushBlobAsync($"r{i % 4}", s_content)));
        Assert.Single(Directory.GetFiles(Path.Combine(registry.Root, "blobs")));
        for (int i = 0; i < 4; i++)
        {
            Assert.Equal(s_content, (await registry.GetAsync($"/v2/r{i}/blobs/{s_digest}")).Is(200).Body);
        }
    }

    /// <summary>ext4 gives a file at most 65,000 names: the repositories after them share a second file.</summary>
    [Fact]
    public async Task A_blob_may_have_more_repositories_than_a_file_has_links()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        await registry.PushBlobAsync("first", s_content);
        string links = Path.Combine(registry.Root, "links");
        Directory.CreateDirectory(links);
        using SafeFileHandle source = new HostPath(Path.Combine(registry.Root, "blobs")).Open(OpenFlags.Directory);
        using SafeFileHandle target = new HostPath(links).Open(OpenFlags.Directory);
        KernelException? full = null;
        for (int i = 0; i < 70_000 && full is null; i++)
        {
            try
            {
                DirectoryEntry.CreateHardLink(source, s_digest.ToString(), target, $"{i}");
            }
            catch (KernelException e) when (e.Errno == Errno.EMLINK)
            {
                full = e;
            }
        }

        Assert.SkipWhen(full is null, "this file system has no such limit");
        (await registry.SendAsync(HttpMethod.Post, $"/v2/mounted/blobs/uploads/?mount={s_digest}&from=first")).Is(201);
        await registry.PushBlobAsync("pushed", s_content);
        foreach (string repository in new[] { "first", "mounted", "pushed" })
        {
            Assert.Equal(s_content, (await registry.GetAsync($"/v2/{repository}/blobs/{s_digest}")).Is(200).Body);
        }

        Assert.Single(Directory.GetFiles(Path.Combine(registry.Root, "blobs")));
    }

    private static async Task UntilAsync(Func<bool> condition)
    {
        for (int i = 0; !condition(); i++)
        {
            Assert.True(i < 200, "the condition was not reached within ten seconds");
            await Task.Delay(50, TestContext.Current.CancellationToken);
        }
    }
}
