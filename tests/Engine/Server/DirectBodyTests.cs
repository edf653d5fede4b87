using System.Net.Sockets;
using System.Text;
using Slipway.Api.Containers;
using Slipway.Engine;
using Slipway.Engine.Containers;
using Slipway.Kernel.Files;
using Slipway.Kernel.Streams;
using Xunit;

namespace Slipway.Tests.Engine.Server;

/// <summary>Bodies of archives, which are read from the socket and written to it beside the HTTP server: the connection is as if they were not.</summary>
public sealed class DirectBodyTests
{
    private const string Put = "PUT /v1.44/containers/c/archive?path=/ HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n";
    private const string Ping = "GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n";

    private static readonly ContainerPathStat s_stat = new("f", 1, 0, "2026-01-01T00:00:00Z", "");

    [Theory]
    [InlineData("4\r\nwxyz\r\n0\r\n\r\n", "wxyz")]
    [InlineData("1\r\nw\r\n3;quoted=\"a;b\"\r\nxyz\r\n0\r\n\r\n", "wxyz")]
    [InlineData("A\r\n0123456789\r\n0a\r\n0123456789\r\n0\r\nTrailer: of-no-meaning\r\nX: y\r\n\r\n", "01234567890123456789")]
    [InlineData("0\r\n\r\n", "")]
    public async Task A_chunked_body_is_read_and_the_connection_serves_the_next_request(string body, string expected)
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        string? read = null;
        server.Engine.OnCopyTo = (_, tar) =>
        {
            read = Encoding.ASCII.GetString(ReadBlocking(tar));
            return Task.CompletedTask;
        };
        using Socket client = await server.ConnectAsync();

        // In one piece: the next request is received before the first one is handled.
        await client.SayAsync(Put + body + Ping);
        string answers = await client.ReadTextAsync();

        Assert.Equal(expected, read);
        Assert.StartsWith("HTTP/1.1 200 OK\r\n", answers, StringComparison.Ordinal);
        Assert.EndsWith("\r\n\r\nOK", answers, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_body_that_comes_byte_by_byte_is_the_same_and_so_is_the_next_one()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        List<string> read = [];
        server.Engine.OnCopyTo = async (_, tar) => read.Add(Encoding.ASCII.GetString(await Task.Run(() => ReadBlocking(tar))));
        using Socket client = await server.ConnectAsync();
        foreach (string text in (string[])["first", "second"])
        {
            foreach (char letter in Put + $"{text.Length:x}\r\n{text}\r\n0\r\n\r\n")
            {
                await client.SayAsync(letter.ToString());
            }

            Assert.StartsWith("HTTP/1.1 200 OK\r\n", await client.ReadHeadAsync(), StringComparison.Ordinal);
        }

        await client.SayAsync(Ping);
        Assert.EndsWith("OK", await client.ReadTextAsync(), StringComparison.Ordinal);
        Assert.Equal(["first", "second"], read);
    }

    [Fact]
    public async Task A_large_body_of_many_chunks_comes_whole()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        byte[] sent = new byte[20_000_001];
        new Random(7).NextBytes(sent);
        byte[]? read = null;
        server.Engine.OnCopyTo = async (_, tar) => read = await Task.Run(() => ReadBlocking(tar));

        using HttpRequestMessage request = new(HttpMethod.Put, "/v1.44/containers/c/archive?path=/") { Content = new StreamContent(new MemoryStream(sent)) };
        request.Headers.TransferEncodingChunked = true;
        using HttpResponseMessage answer = await server.Http.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.True(answer.IsSuccessStatusCode);
        Assert.True(read.AsSpan().SequenceEqual(sent));
    }

    [Theory]
    [InlineData("4\r\nwxyz0\r\n\r\n")]
    [InlineData("-1\r\nw\r\n0\r\n\r\n")]
    [InlineData(" 1\r\nw\r\n0\r\n\r\n")]
    [InlineData("\r\n\r\n")]
    [InlineData("1\nw\n0\n\n")]
    [InlineData("1 \r\nw\r\n0\r\n\r\n")]
    [InlineData("fffffffffffffffff\r\nw\r\n0\r\n\r\n")]
    [InlineData("8000000000000000\r\nw\r\n0\r\n\r\n")]
    public async Task A_malformed_body_is_refused_and_nothing_behind_it_is_taken_for_a_request(string body)
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.OnCopyTo = async (_, tar) => await Task.Run(() => ReadBlocking(tar));
        using Socket client = await server.ConnectAsync();

        await client.SayAsync(Put + body + Ping);
        string answers = await client.ReadTextAsync();

        Assert.StartsWith("HTTP/1.1 400 ", answers, StringComparison.Ordinal);
        Assert.Contains("Connection: close\r\n", answers, StringComparison.Ordinal);
        Assert.Equal(1, answers.Split("HTTP/1.1 ").Length - 1);
    }

    [Fact]
    public async Task Lines_without_end_are_refused()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.OnCopyTo = async (_, tar) => await Task.Run(() => ReadBlocking(tar));
        using Socket client = await server.ConnectAsync();

        await client.SayAsync(Put + "1;" + new string('x', 10_000));

        Assert.StartsWith("HTTP/1.1 400 ", await client.ReadTextAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_error_is_answered_while_the_client_still_sends_and_the_rest_is_thrown_away()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.OnCopyTo = (extraction, tar) =>
        {
            _ = tar.ReadByte();
            throw new EngineException(ErrorKind.InvalidParameter, "no such thing");
        };
        using Socket client = await server.ConnectAsync();
        await client.SayAsync(Put);

        Task<string> answer = client.ReadTextAsync();
        try
        {
            for (int i = 0; i < 1000 && !answer.IsCompleted; i++)
            {
                await client.SayAsync("1000\r\n" + new string('x', 0x1000) + "\r\n");
            }
        }
        catch (SocketException)
        {
            // The server has closed; what it said before is read below.
        }

        string text = await answer;
        Assert.StartsWith("HTTP/1.1 400 Bad Request\r\n", text, StringComparison.Ordinal);
        Assert.Contains("no such thing", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_that_leaves_in_the_middle_ends_the_reading_and_the_server_goes_on()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        TaskCompletionSource<Exception?> ended = new();
        server.Engine.OnCopyTo = async (_, tar) => ended.SetResult(await Record.ExceptionAsync(() => Task.Run(() => ReadBlocking(tar))));
        using (Socket client = await server.ConnectAsync())
        {
            await client.SayAsync(Put + "10\r\nhalf");
        }

        Assert.NotNull(await ended.Task);
        Assert.Equal(200, (await server.SendAsync("GET", "/_ping")).Status);
    }

    [Fact]
    public async Task A_body_with_a_length_is_read_too()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        string? read = null;
        server.Engine.OnCopyTo = async (_, tar) => read = await new StreamReader(tar).ReadToEndAsync(TestContext.Current.CancellationToken);

        Assert.Equal(200, (await server.SendAsync("PUT", "/v1.44/containers/c/archive?path=/", "plain")).Status);
        Assert.Equal("plain", read);
    }

    [Fact]
    public async Task What_is_written_and_files_come_in_order_and_the_connection_serves_the_next_request()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        string path = Path.GetTempFileName();
        byte[] content = new byte[3_000_000];
        new Random(8).NextBytes(content);
        await File.WriteAllBytesAsync(path, content, TestContext.Current.CancellationToken);
        byte[] small = Encoding.ASCII.GetBytes(new string('s', 300_000));
        server.Engine.OnCopyFrom = _ => new ContainerArchive(
            s_stat,
            (output, token) => Task.Run(
                () =>
            {
                output.Write(small);
                using (Microsoft.Win32.SafeHandles.SafeFileHandle file = new HostPath(path).Open(OpenFlags.ReadOnly))
                {
                    ((IFileSink)output).WriteFile(file, content.Length);

                    // Longer than the file: the rest is zeros.
                    ((IFileSink)output).WriteFile(file, content.Length + 100_000);
                }

                output.Write("end"u8);
                output.Flush();
            },
                token),
            () => ValueTask.CompletedTask);

        for (int round = 0; round < 2; round++)
        {
            byte[] answer = await server.Http.GetByteArrayAsync("/v1.44/containers/c/archive?path=/f", TestContext.Current.CancellationToken);
            Assert.True(answer.AsSpan().SequenceEqual((byte[])[.. small, .. content, .. content, .. new byte[100_000], .. "end"u8]));
        }

        File.Delete(path);
    }

    [Fact]
    public async Task An_answer_that_fails_in_the_middle_is_cut()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.ExpectWarnings();
        server.Engine.OnCopyFrom = _ => new ContainerArchive(
            s_stat,
            (output, token) => Task.Run(
                () =>
            {
                output.Write(new byte[300_000]);
                throw new IOException("a disk that fails");
            },
                token),
            () => ValueTask.CompletedTask);

        await Assert.ThrowsAsync<HttpRequestException>(() => server.Http.GetByteArrayAsync("/v1.44/containers/c/archive?path=/f", TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_client_that_leaves_ends_the_writing()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        TaskCompletionSource<Exception?> ended = new();
        server.Engine.OnCopyFrom = _ => new ContainerArchive(
            s_stat,
            async (output, _) => ended.SetResult(await Record.ExceptionAsync(() => Task.Run(() => WriteForEver(output), CancellationToken.None))),
            () => ValueTask.CompletedTask);
        using (Socket client = await server.ConnectAsync())
        {
            await client.SayAsync("GET /v1.44/containers/c/archive?path=/f HTTP/1.1\r\nHost: d\r\n\r\n");
            await client.ReadHeadAsync();
        }

        Assert.IsAssignableFrom<IOException>(await ended.Task);
        Assert.Equal(200, (await server.SendAsync("GET", "/_ping")).Status);
    }

    [Fact]
    public async Task A_client_of_http_1_0_gets_its_archive()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.OnCopyFrom = _ => new ContainerArchive(s_stat, async (output, token) => await output.WriteAsync("tar"u8.ToArray(), token), () => ValueTask.CompletedTask);
        using Socket client = await server.ConnectAsync();

        await client.SayAsync("GET /v1.44/containers/c/archive?path=/f HTTP/1.0\r\n\r\n");

        Assert.EndsWith("\r\n\r\ntar", await client.ReadTextAsync(), StringComparison.Ordinal);
    }

    private static void WriteForEver(Stream output)
    {
        while (true)
        {
            output.Write(new byte[100_000]);
        }
    }

    private static byte[] ReadBlocking(Stream tar)
    {
        Assert.IsAssignableFrom<IBlockingStream>(tar);
        using MemoryStream all = new();
        tar.CopyTo(all);
        return all.ToArray();
    }
}
