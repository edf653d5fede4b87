using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Slipway.Oci;
using Slipway.Registry.Distribution;
using Xunit;

namespace Slipway.Tests.Unit.Registry.Distribution;

/// <summary>Blobs over connections that break, from registries that lie about them.</summary>
public sealed class BlobTests : DistributionTest
{
    private const int Size = 1_000_000;

    [Fact]
    public async Task A_blob_comes_whole_or_from_an_offset()
    {
        var content = RandomBytes(Size);
        var blob = Registry.AddBlob(content);
        await using var repository = Pull();

        Assert.Equal(content, await ReadAsync(await repository.OpenBlobAsync(blob, 0, Cancellation)));
        Assert.Equal(content[999_000..], await ReadAsync(await repository.OpenBlobAsync(blob, 999_000, Cancellation)));
        Assert.Empty(await ReadAsync(await repository.OpenBlobAsync(blob, Size, Cancellation)));
        Assert.Equal([null, "bytes=999000-"], Registry.Requests.Select(request => request.Range));
        Assert.True(await repository.HasBlobAsync(blob.Digest, Cancellation));
        Assert.False(await repository.HasBlobAsync(Digest.Of("none"u8), Cancellation));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_blob_cut_at_20_random_places_is_resumed_where_it_broke(bool hasRanges)
    {
        var content = RandomBytes(Size);
        var blob = Registry.AddBlob(content);
        Registry.HasRanges = hasRanges;
        var cuts = new Queue<int>(Enumerable.Range(0, 20).Select(_ => Random.Shared.Next(Size)).Order());
        Registry.Answer = context => cuts.TryDequeue(out var cut) ? CutAsync(context, content, cut, hasRanges) : Task.FromResult(false);
        await using var repository = Pull(configuration: new() { Retry = Patience with { Attempts = 22 } });

        Assert.Equal(content, await ReadAsync(await repository.OpenBlobAsync(blob, 0, Cancellation)));
        Assert.Equal(21, Registry.Requests.Count);
        Assert.Equal(20, Time.Waits.Count);
    }

    [Fact]
    public async Task A_resumed_blob_must_still_be_the_same()
    {
        var content = RandomBytes(Size);
        var blob = Registry.AddBlob(content);
        var isFirst = true;
        Registry.Answer = async context =>
        {
            context.Response.Headers.ETag = "\"first\"";
            return isFirst && !(isFirst = false) && await CutAsync(context, content, 500_000, hasRanges: true);
        };
        await using var repository = Pull();

        Assert.Equal(content, await ReadAsync(await repository.OpenBlobAsync(blob, 0, Cancellation)));
        Assert.Equal([null, "\"first\""], Registry.Requests.Select(request => request.IfRange));
    }

    [Fact]
    public async Task A_blob_that_gets_nowhere_is_given_up()
    {
        var blob = Registry.AddBlob(RandomBytes(Size));
        Registry.Answer = context => CutAsync(context, Registry.Blobs[blob.Digest.ToString()], 1000, hasRanges: true);
        await using var repository = Pull();

        var error = await RefusedAsync(RegistryErrorKind.Unavailable, async () => await ReadAsync(await repository.OpenBlobAsync(blob, 0, Cancellation)));
        Assert.Contains("of 1000000 bytes", error.Message, StringComparison.Ordinal);
        Assert.Equal(5, Registry.Requests.Count);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(-1)]
    public async Task A_blob_of_another_length_is_refused_at_once(int difference)
    {
        var blob = Registry.AddBlob(RandomBytes(Size));
        await using var repository = Pull();

        var error = await RefusedAsync(
            RegistryErrorKind.Invalid, async () => await ReadAsync(await repository.OpenBlobAsync(blob with { Size = Size + difference }, 0, Cancellation)));
        Assert.Contains($"should have {Size + difference} bytes, but the registry sends {Size}", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_endless_body_is_refused_after_the_bytes_that_were_promised()
    {
        var blob = new Descriptor { MediaType = MediaTypes.OciLayerGzip, Digest = Digest.Of("endless"u8), Size = Size };
        var written = 0L;
        Registry.Answer = context => SendEndlessAsync(context, 0, sent => written = sent);
        await using var repository = Pull();
        var stream = await repository.OpenBlobAsync(blob, 0, Cancellation);
        using var read = new MemoryStream();

        var error = await RefusedAsync(RegistryErrorKind.Invalid, () => stream.CopyToAsync(read, Cancellation));
        await stream.DisposeAsync();
        Assert.Contains($"should have {Size} bytes, but {Registry.Host} sends more", error.Message, StringComparison.Ordinal);
        Assert.InRange(read.Length, 0, Size);
        Assert.InRange(written, 0, Size + (32 << 20));
    }

    [Fact]
    public async Task A_body_that_ends_early_without_a_length_is_refused()
    {
        var blob = new Descriptor { MediaType = MediaTypes.OciLayerGzip, Digest = Digest.Of("short"u8), Size = Size };
        Registry.Answer = async context =>
        {
            await context.Response.Body.WriteAsync(new byte[1000]);
            return true;
        };
        await using var repository = Pull();

        var error = await RefusedAsync(RegistryErrorKind.Invalid, async () => await ReadAsync(await repository.OpenBlobAsync(blob, 0, Cancellation)));
        Assert.Contains($"should have {Size} bytes, but {Registry.Host} ends after 1000", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("bytes 0-999999/1000000")]
    [InlineData("bytes 10-999999/2000000")]
    [InlineData("bytes 11-999999/1000000")]
    [InlineData("")]
    public async Task Another_range_than_the_one_asked_for_is_refused(string range)
    {
        var blob = Registry.AddBlob(RandomBytes(Size));
        Registry.Answer = context =>
        {
            (context.Response.StatusCode, context.Response.Headers.ContentRange) = (206, range);
            return Task.FromResult(true);
        };
        await using var repository = Pull();
        await RefusedAsync(RegistryErrorKind.Invalid, () => repository.OpenBlobAsync(blob, 10, Cancellation));
    }

    [Fact]
    public async Task A_body_that_stands_still_is_asked_for_again()
    {
        var content = RandomBytes(Size);
        var blob = Registry.AddBlob(content);
        var isFirst = true;
        Registry.Answer = async context =>
        {
            if (!isFirst)
            {
                return false;
            }

            isFirst = false;
            context.Response.ContentLength = Size;
            await context.Response.Body.WriteAsync(content.AsMemory(0, 10));
            await context.Response.Body.FlushAsync();
            await Task.Delay(Timeout.Infinite, context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
            return true;
        };
        await using var repository = new DistributionClient(
            new RegistryConfiguration { Retry = new RetrySettings { IdleTimeout = TimeSpan.FromMilliseconds(200), FirstDelay = TimeSpan.FromMilliseconds(1) } })
            .Open(Registry.Name(), RegistryAccess.Pull, null);

        Assert.Equal(content, await ReadAsync(await repository.OpenBlobAsync(blob, 0, Cancellation)));
        Assert.Equal([null, "bytes=10-"], Registry.Requests.Select(request => request.Range));
    }

    [Fact]
    public async Task A_cancelled_read_ends_at_once()
    {
        var blob = Registry.AddBlob(RandomBytes(Size));
        Registry.Answer = async context =>
        {
            await context.Response.Body.WriteAsync(new byte[10]);
            await context.Response.Body.FlushAsync();
            await Task.Delay(Timeout.Infinite, context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
            return true;
        };
        await using var repository = Pull();
        await using var stream = await repository.OpenBlobAsync(blob, 0, Cancellation);
        using var cancel = new CancellationTokenSource(TimeSpan.FromMilliseconds(100));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => stream.CopyToAsync(Stream.Null, cancel.Token));
    }

    [Fact]
    public async Task Failures_that_may_pass_are_waited_for_as_the_registry_asks()
    {
        var content = RandomBytes(1000);
        var blob = Registry.AddBlob(content);
        var answers = new Queue<(int Status, string? RetryAfter)>([(503, null), (429, "7"), (502, null), (500, TimeProvider.System.GetUtcNow().AddSeconds(30).ToString("R"))]);
        Registry.Answer = context =>
        {
            if (!answers.TryDequeue(out var answer))
            {
                return Task.FromResult(false);
            }

            context.Response.Headers.RetryAfter = answer.RetryAfter;
            return FakeRegistry.RefuseAsync(context, answer.Status);
        };
        await using var repository = Pull();

        Assert.Equal(content, await ReadAsync(await repository.OpenBlobAsync(blob, 0, Cancellation)));
        var waits = Time.Waits.ToArray();
        Assert.Equal(4, waits.Length);
        Assert.InRange(waits[0].TotalMilliseconds, 125, 250);
        Assert.Equal(TimeSpan.FromSeconds(7), waits[1]);
        Assert.InRange(waits[2].TotalMilliseconds, 500, 1000);
        Assert.InRange(waits[3].TotalSeconds, 25, 30);
    }

    [Fact]
    public async Task A_registry_that_wants_too_long_a_wait_is_not_waited_for()
    {
        Registry.Answer = context =>
        {
            context.Response.Headers.RetryAfter = "3600";
            return FakeRegistry.RefuseAsync(context, 429, "TOOMANYREQUESTS", "You have reached your pull rate limit.");
        };
        await using var repository = Pull();

        var error = await RefusedAsync(RegistryErrorKind.Unavailable, () => repository.GetManifestAsync("v1", Cancellation));
        Assert.Equal("toomanyrequests: You have reached your pull rate limit.", error.Message);
        Assert.Empty(Time.Waits);
    }

    [Fact]
    public async Task A_registry_that_stays_broken_is_given_up_after_five_attempts()
    {
        Registry.Answer = context => FakeRegistry.RefuseAsync(context, 500);
        await using var repository = Pull();

        var error = await RefusedAsync(RegistryErrorKind.Unavailable, () => repository.GetManifestAsync("v1", Cancellation));
        Assert.Equal("received unexpected HTTP status: 500 Internal Server Error", error.Message);
        Assert.Equal(5, Registry.Requests.Count);
    }

    [Fact]
    public async Task CVE_2020_15157_the_URLs_of_a_foreign_layer_are_never_fetched()
    {
        await using var elsewhere = await FakeRegistry.StartAsync();
        elsewhere.Answer = context => FakeRegistry.RefuseAsync(context, 401);
        var blob = new Descriptor
        {
            MediaType = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            Digest = Digest.Of("foreign"u8),
            Size = 7,
            Urls = [$"http://{elsewhere.Host}/layer", $"http://{elsewhere.Host}/v2/app/one/blobs/x"],
        };
        await using var repository = Pull(Credentials);

        await RefusedAsync(RegistryErrorKind.NotFound, () => repository.OpenBlobAsync(blob, 0, Cancellation));
        Assert.Empty(elsewhere.Requests);
    }

    [Fact]
    public async Task A_mirror_that_does_not_answer_is_tried_for_one_request_only()
    {
        Registry.AddManifest("app/one", "v1", ManifestJson());
        var blob = Registry.AddBlob(RandomBytes(10));
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        var accepted = 0;
        var accepting = Task.Run(
            async () =>
            {
                while (true)
                {
                    using var connection = await silent.AcceptSocketAsync(Cancellation);
                    accepted++;
                }
            },
            Cancellation);
        await using var repository = Pull(configuration: new()
        {
            Retry = Patience,
            Registries = new Dictionary<string, RegistrySettings> { [Registry.Host] = new() { Mirrors = [$"http://{silent.LocalEndpoint}"] } },
        });

        await repository.GetManifestAsync("v1", Cancellation);
        await repository.GetManifestAsync("v1", Cancellation);
        await ReadAsync(await repository.OpenBlobAsync(blob, 0, Cancellation));
        silent.Stop();
        await accepting.ContinueWith(_ => { }, TaskScheduler.Default);

        // Five attempts, each with the connections that the HTTP client tries by itself: three times as many if all requests had asked.
        Assert.InRange(accepted, 5, 20);
        Assert.Equal(3, Registry.Requests.Count);
    }

    [Fact]
    public async Task A_blob_on_a_mirror_that_dies_is_finished_by_the_registry()
    {
        var content = RandomBytes(Size);
        var blob = Registry.AddBlob(content);
        await using var mirror = await FakeRegistry.StartAsync();
        mirror.Answer = context => mirror.Requests.Count == 1 ? CutAsync(context, content, 600_000, hasRanges: true) : FakeRegistry.RefuseAsync(context, 404);
        await using var repository = Pull(configuration: new()
        {
            Retry = Patience,
            Registries = new Dictionary<string, RegistrySettings> { [Registry.Host] = new() { Mirrors = [$"http://{mirror.Host}"] } },
        });

        Assert.Equal(content, await ReadAsync(await repository.OpenBlobAsync(blob, 0, Cancellation)));
        Assert.Equal(["bytes=600000-"], Registry.Requests.Select(request => request.Range));
    }

    /// <summary>Sends what was asked for as far as <paramref name="end"/>, and resets the connection.</summary>
    private static async Task<bool> CutAsync(HttpContext context, byte[] content, int end, bool hasRanges)
    {
        var start = hasRanges && context.Request.GetTypedHeaders().Range is { } range ? (int)range.Ranges.First().From!.Value : 0;
        if (start > 0)
        {
            context.Response.StatusCode = (int)HttpStatusCode.PartialContent;
            context.Response.Headers.ContentRange = $"bytes {start}-{content.Length - 1}/{content.Length}";
        }

        context.Response.ContentLength = content.Length - start;
        var socket = context.Features.Get<IConnectionSocketFeature>()!.Socket;
        var sent = Acknowledged(socket) + Math.Max(0, end - start);
        await context.Response.Body.WriteAsync(content.AsMemory(start, Math.Max(0, end - start)));
        await context.Response.Body.FlushAsync();

        // What is on its way arrives first: a reset discards what was not read yet.
        do
        {
            await Task.Delay(20, Cancellation);
        }
        while (!context.RequestAborted.IsCancellationRequested && (Acknowledged(socket) < sent || await UnreadAsync(socket) > 0));

        context.Features.Get<IHttpRequestLifetimeFeature>()!.Abort();
        return true;
    }

    /// <summary>Bytes that the other side's kernel has: <c>tcpi_bytes_acked</c> (struct tcp_info, linux/tcp.h).</summary>
    private static long Acknowledged(Socket socket)
    {
        const int TcpInfo = 11;
        const int BytesAcked = 120;
        var info = new byte[256];
        socket.GetRawSocketOption((int)SocketOptionLevel.Tcp, TcpInfo, info);
        return BinaryPrimitives.ReadInt64LittleEndian(info.AsSpan(BytesAcked));
    }

    /// <summary>Bytes that the program at the other end of this loopback connection has not read: <c>rx_queue</c> (proc_net(5)).</summary>
    private static async Task<long> UnreadAsync(Socket socket)
    {
        var (here, there) = ((IPEndPoint)socket.LocalEndPoint!, (IPEndPoint)socket.RemoteEndPoint!);
        var connection = $" 0100007F:{there.Port:X4} 0100007F:{here.Port:X4} ";
        var line = (await File.ReadAllLinesAsync("/proc/net/tcp", Cancellation)).FirstOrDefault(line => line.Contains(connection, StringComparison.Ordinal));
        return line is null ? 0 : Convert.ToInt64(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[4].Split(':')[1], 16);
    }
}
