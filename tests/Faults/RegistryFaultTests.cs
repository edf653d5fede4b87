using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Faults;

/// <summary>A registry server that is killed, and one whose disk is full.</summary>
public sealed class RegistryFaultTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static string Digest(byte[] content) => "sha256:" + Convert.ToHexStringLower(SHA256.HashData(content));

    private static HttpClient Client(RegistryProcess registry) => new() { BaseAddress = new Uri($"http://{registry.Host}"), Timeout = TimeSpan.FromSeconds(60) };

    private static async Task<string> Begin(HttpClient http, string repository)
    {
        using var answer = await http.PostAsync($"/v2/{repository}/blobs/uploads/", null, Cancellation);
        Assert.Equal(HttpStatusCode.Accepted, answer.StatusCode);
        return answer.Headers.Location!.ToString();
    }

    private static async Task<HttpStatusCode> Push(HttpClient http, string repository, byte[] content)
    {
        using var answer = await http.PutAsync($"{await Begin(http, repository)}?digest={Digest(content)}", new ByteArrayContent(content), Cancellation);
        return answer.StatusCode;
    }

    /// <summary>kill -9 at random places of a push: what was there stays, and the client goes on where the server says.</summary>
    [Fact]
    public async Task A_push_goes_on_after_the_server_was_killed()
    {
        var random = new Random(7);
        var content = new byte[8_000_000];
        random.NextBytes(content);
        await using var registry = await RegistryProcess.Start();
        using (var http = Client(registry))
        {
            Assert.Equal(HttpStatusCode.Created, await Push(http, "app", "kept"u8.ToArray()));
        }
        string upload;
        using (var http = Client(registry))
        {
            upload = await Begin(http, "app");
        }

        long offset = 0;
        for (var round = 0; round < 5; round++)
        {
            var until = random.Next((int)offset, content.Length);
            using (var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
            {
                await socket.ConnectAsync(IPAddress.Loopback, registry.Port, Cancellation);
                await socket.SendAsync(Encoding.ASCII.GetBytes($"PATCH {upload} HTTP/1.1\r\nHost: x\r\nContent-Length: {content.Length - offset}\r\n\r\n"), Cancellation);
                await socket.SendAsync(content.AsMemory((int)offset, until - (int)offset), Cancellation);
                await registry.Kill();
            }
            await registry.Start();
            using var http = Client(registry);
            using var status = await http.GetAsync(upload, Cancellation);
            Assert.Equal(HttpStatusCode.NoContent, status.StatusCode);
            var last = long.Parse(status.Headers.GetValues("Range").Single().Split('-')[1], CultureInfo.InvariantCulture);
            var received = last == 0 ? 0 : last + 1;
            Assert.InRange(received, offset, until);
            offset = received;
        }

        using (var http = Client(registry))
        {
            using var done = await http.PutAsync($"{upload}?digest={Digest(content)}", new ByteArrayContent(content, (int)offset, content.Length - (int)offset), Cancellation);
            Assert.Equal(HttpStatusCode.Created, done.StatusCode);
            Assert.Equal(content, await http.GetByteArrayAsync($"/v2/app/blobs/{Digest(content)}", Cancellation));
            Assert.Equal("kept", await http.GetStringAsync($"/v2/app/blobs/{Digest("kept"u8.ToArray())}", Cancellation));
        }
    }

    /// <summary>A tag moves while the server is killed: it is the old or the new one, and its manifest is whole.</summary>
    [Fact]
    public async Task A_tag_is_never_half_moved()
    {
        await using var registry = await RegistryProcess.Start();
        for (var round = 0; round < 6; round++)
        {
            using (var http = Client(registry))
            {
                Assert.Equal(HttpStatusCode.Created, await Push(http, "app", "{}"u8.ToArray()));
                var pushing = Enumerable.Range(0, 50).Select(i => Tag(http, $"{round}-{i}")).ToArray();
                await Task.WhenAny(pushing);
                await registry.Kill();
                await Task.WhenAll(pushing);
            }
            await registry.Start();
            using var after = Client(registry);
            using var answer = await after.GetAsync("/v2/app/manifests/latest", Cancellation);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            Assert.Equal(answer.Headers.GetValues("Docker-Content-Digest").Single(), Digest(await answer.Content.ReadAsByteArrayAsync(Cancellation)));
        }
    }

    private static async Task Tag(HttpClient http, string note)
    {
        var manifest = $$$"""{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{{{Digest("{}"u8.ToArray())}}}","size":2},"layers":[],"annotations":{"note":"{{{note}}}"}}""";
        try
        {
            using var content = new StringContent(manifest, Encoding.UTF8, "application/vnd.oci.image.manifest.v1+json");
            using var answer = await http.PutAsync("/v2/app/manifests/latest", content, Cancellation);
        }
        catch (HttpRequestException)
        {
            // The server is killed meanwhile: that is what the test does.
        }
    }

    [Fact]
    public async Task A_full_disk_is_told_and_the_space_given_back()
    {
        Requirement.Root();
        var folder = Directory.CreateTempSubdirectory("slipway-registry-full-").FullName;
        (await Programs.Run("mount", ["-t", "tmpfs", "-o", "size=24m", "slipway-registry", folder])).Ok();
        try
        {
            await using var registry = await RegistryProcess.Start(folder);
            using var http = Client(registry);
            var kept = RandomNumberGenerator.GetBytes(2_000_000);
            Assert.Equal(HttpStatusCode.Created, await Push(http, "app", kept));
            var free = new DriveInfo(folder).AvailableFreeSpace;

            // Announced or not, in one piece or in chunks.
            var large = RandomNumberGenerator.GetBytes(40_000_000);
            using (var answer = await http.PutAsync($"{await Begin(http, "app")}?digest={Digest(large)}", new ByteArrayContent(large), Cancellation))
            {
                Assert.Equal(507, (int)answer.StatusCode);
                Assert.Contains("no space left", await answer.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
            }
            var upload = await Begin(http, "app");
            using (var answer = await http.PatchAsync(upload, new StreamContent(new MemoryStream(large)), Cancellation))
            {
                Assert.Equal(507, (int)answer.StatusCode);
            }
            using (var gone = await http.GetAsync(upload, Cancellation))
            {
                Assert.Equal(HttpStatusCode.NotFound, gone.StatusCode);
            }

            Assert.InRange(new DriveInfo(folder).AvailableFreeSpace, free - 100_000, free + 100_000);
            Assert.Equal(kept, await http.GetByteArrayAsync($"/v2/app/blobs/{Digest(kept)}", Cancellation));
            Assert.Equal(HttpStatusCode.Created, await Push(http, "app", RandomNumberGenerator.GetBytes(4_000_000)));
        }
        finally
        {
            (await Programs.Run("umount", [folder])).Ok();
            Directory.Delete(folder);
        }
    }
}
