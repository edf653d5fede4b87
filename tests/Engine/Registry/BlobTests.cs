using System.Globalization;
using System.Net.Sockets;
using System.Security.Cryptography;
using Slipway.Oci;
using Slipway.Tests.Engine.Server;
using Xunit;

namespace Slipway.Tests.Engine.Registry;

/// <summary>distribution-spec, "Pulling blobs", "Deleting Blobs": ranges, conditions, and framing of what the kernel sends.</summary>
public sealed class BlobTests
{
    private static readonly byte[] s_large = RandomNumberGenerator.GetBytes(3_000_000);

    [Fact]
    public async Task A_blob_comes_back_as_it_was_pushed()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        foreach (byte[] content in new[] { [], "small"u8.ToArray(), s_large })
        {
            Digest digest = await registry.PushBlobAsync("team/app", content);
            Answer head = (await registry.HeadAsync($"/v2/team/app/blobs/{digest}")).Is(200);
            Assert.Equal(content.Length.ToString(CultureInfo.InvariantCulture), head.Header("Content-Length"));
            Answer get = (await registry.GetAsync($"/v2/team/app/blobs/{digest}")).Is(200);
            Assert.Equal(content, get.Body);
            Assert.Equal(digest.ToString(), get.Header("Docker-Content-Digest"));
            Assert.Equal("application/octet-stream", get.Header("Content-Type"));
            Assert.Equal("registry/2.0", get.Header("Docker-Distribution-Api-Version"));
        }
    }

    [Theory]
    [InlineData("bytes=0-0", 0, 1)]
    [InlineData("bytes=10-19", 10, 10)]
    [InlineData("bytes=2999990-", 2_999_990, 10)]
    [InlineData("bytes=2999990-9999999", 2_999_990, 10)]
    [InlineData("bytes=-7", 2_999_993, 7)]
    [InlineData("bytes=-9999999", 0, 3_000_000)]
    [InlineData("bytes=100000-2500000", 100_000, 2_400_001)]
    public async Task A_range_is_answered_with_its_bytes(string range, int offset, int length)
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        Digest digest = await registry.PushBlobAsync("app", s_large);
        Answer part = (await registry.GetAsync($"/v2/app/blobs/{digest}", ("Range", range))).Is(206);
        Assert.Equal(s_large[offset..(offset + length)], part.Body);
        Assert.Equal($"bytes {offset}-{offset + length - 1}/3000000", part.Header("Content-Range"));
    }

    [Theory]
    [InlineData("bytes=3000000-")]
    [InlineData("bytes=9999999-99999999")]
    [InlineData("bytes=-0")]
    public async Task A_range_beyond_the_blob_is_416(string range)
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        Digest digest = await registry.PushBlobAsync("app", s_large);
        Answer answer = (await registry.GetAsync($"/v2/app/blobs/{digest}", ("Range", range))).IsError(416, "RANGE_INVALID");
        Assert.Equal("bytes */3000000", answer.Header("Content-Range"));
    }

    [Theory]
    [InlineData("bytes=0-1,5-6")]
    [InlineData("lines=1-2")]
    [InlineData("bytes=5-2")]
    [InlineData("nonsense")]
    public async Task A_range_that_is_not_understood_is_ignored(string range)
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        Digest digest = await registry.PushBlobAsync("app", "content"u8.ToArray());
        Assert.Equal("content", (await registry.GetAsync($"/v2/app/blobs/{digest}", ("Range", range))).Is(200).Text);
    }

    [Fact]
    public async Task Conditions_are_looked_at()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        Digest digest = await registry.PushBlobAsync("app", "content"u8.ToArray());
        string path = $"/v2/app/blobs/{digest}";
        string etag = (await registry.GetAsync(path)).Header("ETag");
        Assert.Equal($"\"{digest}\"", etag);
        foreach (string matching in new[] { etag, $"W/{etag}", $"\"other\", {etag}", "*" })
        {
            Assert.Empty((await registry.GetAsync(path, ("If-None-Match", matching))).Is(304).Body);
        }

        (await registry.GetAsync(path, ("If-None-Match", "\"other\""))).Is(200);
        (await registry.GetAsync(path, ("Range", "bytes=0-1"), ("If-Range", etag))).Is(206);
        Assert.Equal("content", (await registry.GetAsync(path, ("Range", "bytes=0-1"), ("If-Range", "\"other\""))).Is(200).Text);
    }

    [Fact]
    public async Task What_is_not_there_is_404_and_what_is_no_digest_400()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        Digest digest = Digest.Of("nothing"u8);
        (await registry.GetAsync($"/v2/app/blobs/{digest}")).IsError(404, "BLOB_UNKNOWN");
        (await registry.HeadAsync($"/v2/app/blobs/{digest}")).Is(404);
        (await registry.DeleteAsync($"/v2/app/blobs/{digest}")).IsError(404, "BLOB_UNKNOWN");
        (await registry.GetAsync("/v2/app/blobs/sha256:abc")).IsError(400, "DIGEST_INVALID");
        (await registry.GetAsync($"/v2/app/blobs/md5:{new string('a', 32)}")).IsError(400, "DIGEST_INVALID");
    }

    /// <summary>Requests follow each other on one connection: the bytes that the kernel sent were counted right by the HTTP server.</summary>
    [Fact]
    public async Task One_connection_carries_blob_after_blob()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        Digest digest = await registry.PushBlobAsync("app", s_large);
        using Socket socket = await registry.ConnectAsync();
        string one = $"GET /v2/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n";
        await socket.SayAsync(one + $"GET /v2/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\nRange: bytes=1-200000\r\n\r\n" + one + "GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        foreach (ReadOnlyMemory<byte> expected in new ReadOnlyMemory<byte>[] { s_large, s_large.AsMemory(1, 200_000), s_large })
        {
            string head = await socket.ReadHeadAsync();
            Assert.Contains($"Content-Length: {expected.Length}\r\n", head, StringComparison.Ordinal);
            byte[] body = new byte[expected.Length];
            for (int got = 0; got < body.Length;)
            {
                int count = await socket.ReceiveAsync(body.AsMemory(got), TestContext.Current.CancellationToken);
                Assert.NotEqual(0, count);
                got += count;
            }

            Assert.True(expected.Span.SequenceEqual(body));
        }

        Assert.StartsWith("HTTP/1.1 200 OK", await socket.ReadHeadAsync(), StringComparison.Ordinal);
    }

    /// <summary>A client that reads slowly fills the socket: the rest waits for it, and is right in the end.</summary>
    [Fact]
    public async Task A_slow_reader_gets_every_byte()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        byte[] content = RandomNumberGenerator.GetBytes(12_000_000);
        Digest digest = await registry.PushBlobAsync("app", content);
        using Socket socket = await registry.ConnectAsync();
        socket.ReceiveBufferSize = 64 * 1024;
        await socket.SayAsync($"GET /v2/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        await socket.ReadHeadAsync();
        await Task.Delay(200, TestContext.Current.CancellationToken);
        byte[] received = await socket.ReadToEndAsync();
        Assert.True(content.AsSpan().SequenceEqual(received));
    }

    [Fact]
    public async Task A_client_that_leaves_in_the_middle_harms_nobody()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        Digest digest = await registry.PushBlobAsync("app", RandomNumberGenerator.GetBytes(20_000_000));
        for (int i = 0; i < 10; i++)
        {
            using Socket socket = await registry.ConnectAsync();
            await socket.SayAsync($"GET /v2/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n");
            await socket.ReadHeadAsync();
        }

        (await registry.GetAsync($"/v2/app/blobs/{digest}", ("Range", "bytes=0-9"))).Is(206);
        Assert.Empty(registry.Log.Entries);
    }

    [Fact]
    public async Task A_deleted_blob_is_gone()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        Digest digest = await registry.PushBlobAsync("app", "content"u8.ToArray());
        (await registry.DeleteAsync($"/v2/app/blobs/{digest}")).Is(202);
        (await registry.GetAsync($"/v2/app/blobs/{digest}")).IsError(404, "BLOB_UNKNOWN");
    }

    /// <summary>What a repository does not have is not there, whoever else has it.</summary>
    [Fact]
    public async Task CVE_2026_35172_a_blob_deleted_here_and_held_elsewhere_cannot_be_read_here()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        byte[] secret = "secret"u8.ToArray();
        Digest digest = await registry.PushBlobAsync("a", secret);
        await registry.PushBlobAsync("b", secret);
        (await registry.DeleteAsync($"/v2/a/blobs/{digest}")).Is(202);
        Assert.Equal(secret, (await registry.GetAsync($"/v2/b/blobs/{digest}")).Is(200).Body);
        (await registry.GetAsync($"/v2/a/blobs/{digest}")).IsError(404, "BLOB_UNKNOWN");
        (await registry.HeadAsync($"/v2/a/blobs/{digest}")).Is(404);
        (await registry.GetAsync($"/v2/never/blobs/{digest}")).IsError(404, "BLOB_UNKNOWN");

        // Nor does a manifest give access to what its author could not read.
        (await registry.PutManifestAsync("a", "1", RegistryUnderTest.Manifest("{}"u8.ToArray(), [secret]))).IsError(404, "MANIFEST_BLOB_UNKNOWN");
    }
}
