using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Text;
using Slipway.Api;
using Slipway.Api.Containers;
using Slipway.Api.Events;
using Slipway.Api.Images;
using Slipway.Engine;
using Slipway.Engine.Containers;
using Xunit;

namespace Slipway.Tests.Engine.Server;

/// <summary>Answers that take their time.</summary>
public sealed class StreamingTests
{
    [Fact]
    public async Task Wait_sends_its_headers_before_the_container_ends()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        TaskCompletionSource<ContainerWaitResponse> exit = new();
        server.Engine.OnWait = (_, condition, _) => condition == WaitCondition.Removed ? exit.Task : throw new InvalidOperationException();
        using HttpRequestMessage request = new(HttpMethod.Post, "/v1.50/containers/c/wait?condition=removed");
        using HttpResponseMessage response = await server.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        Assert.Equal(200, (int)response.StatusCode);

        exit.SetResult(new ContainerWaitResponse(42));

        Assert.Equal("{\"StatusCode\":42}\n", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_client_that_stops_waiting_ends_the_wait()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        TaskCompletionSource cancelled = new();
        server.Engine.OnWait = (_, _, token) =>
        {
            token.Register(() => cancelled.TrySetResult());
            return new TaskCompletionSource<ContainerWaitResponse>().Task;
        };
        using (Socket client = await server.ConnectAsync())
        {
            await client.SayAsync("POST /containers/c/wait HTTP/1.1\r\nHost: d\r\n\r\n");
            await client.ReadHeadAsync();
        }

        await cancelled.Task.WaitAsync(TimeSpan.FromSeconds(5), TestContext.Current.CancellationToken);
    }

    [Theory]
    [InlineData(false, "application/vnd.docker.multiplexed-stream", "\x01\0\0\0\0\0\0\x04one\n\x02\0\0\0\0\0\0\x04two\n")]
    [InlineData(true, "application/vnd.docker.raw-stream", "one\ntwo\n")]
    public async Task Logs_are_framed_but_for_terminals(bool terminal, string type, string expected)
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.OnLogs = (_, _) => new LogSession(terminal, Lines(("one\n", false), ("two\n", true)));
        using HttpResponseMessage response = await server.Http.GetAsync(new Uri("/v1.50/containers/c/logs?stdout=1&stderr=1", UriKind.Relative), TestContext.Current.CancellationToken);

        Assert.Equal(type, response.Content.Headers.ContentType!.MediaType);
        Assert.Equal(expected, Encoding.Latin1.GetString(await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken)));
    }

    [Fact]
    public async Task Log_lines_arrive_as_they_come_and_a_reader_that_leaves_ends_the_follow()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        TaskCompletionSource ended = new();
        server.Engine.OnLogs = (options, token) => new LogSession(true, Follow(options, ended, token));
        using (Socket client = await server.ConnectAsync())
        {
            await client.SayAsync("GET /containers/c/logs?stdout=1&follow=1&tail=5&since=1700000000.5 HTTP/1.1\r\nHost: d\r\n\r\n");
            await client.ReadHeadAsync();
            byte[] buffer = new byte[100];
            string text = "";
            while (!text.Contains("5 1700000000500", StringComparison.Ordinal))
            {
                int count = await client.ReceiveAsync(buffer, TestContext.Current.CancellationToken);
                Assert.NotEqual(0, count);
                text += Encoding.ASCII.GetString(buffer, 0, count);
            }
        }

        await ended.Task.WaitAsync(TimeSpan.FromSeconds(5), TestContext.Current.CancellationToken);

        static async IAsyncEnumerable<LogLine> Follow(LogsOptions options, TaskCompletionSource ended, [EnumeratorCancellation] CancellationToken token)
        {
            try
            {
                yield return new LogLine(false, Encoding.ASCII.GetBytes($"{options.Tail} {options.Since!.Value.ToUnixTimeMilliseconds()}\n"));
                await Task.Delay(Timeout.Infinite, token);
            }
            finally
            {
                ended.SetResult();
            }
        }
    }

    [Fact]
    public async Task Events_are_lines_sent_at_once()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        TaskCompletionSource goOn = new();
        server.Engine.OnEvents = (since, _, filters, _) => Events(since, filters, goOn.Task);
        using HttpResponseMessage response = await server.Http.GetAsync(
            new Uri("/events?since=10&filters=" + Uri.EscapeDataString("{\"type\":{\"image\":true}}"), UriKind.Relative), HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        using StreamReader lines = new(await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));

        Assert.Equal(
            "{\"Type\":\"image\",\"Action\":\"pull\",\"Actor\":{\"ID\":\"10\",\"Attributes\":{}},\"scope\":\"local\",\"time\":0,\"timeNano\":0}",
            await lines.ReadLineAsync(TestContext.Current.CancellationToken));
        goOn.SetResult();
        Assert.Null(await lines.ReadLineAsync(TestContext.Current.CancellationToken));

        static async IAsyncEnumerable<EventMessage> Events(DateTimeOffset? since, Filters filters, Task goOn)
        {
            yield return new EventMessage { Type = filters["type"].Single(), Action = "pull", Actor = new EventActor { ID = since!.Value.ToUnixTimeSeconds().ToString() } };
            await goOn;
        }
    }

    [Fact]
    public async Task Loading_streams_the_archive_in_and_the_progress_out()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.OnLoad = async (archive, quiet, progress, token) =>
        {
            long length = 0;
            byte[] buffer = new byte[64 * 1024];
            int count;
            while ((count = await archive.ReadAsync(buffer, token)) > 0)
            {
                length += count;
            }

            await progress(new ProgressMessage { Stream = $"{length} {quiet}\n" });
        };
        using ByteArrayContent content = new(new byte[64 * 1024 * 1024]);
        using HttpResponseMessage response = await server.Http.PostAsync(new Uri("/images/load?quiet=1", UriKind.Relative), content, TestContext.Current.CancellationToken);

        Assert.Equal("application/json", response.Content.Headers.ContentType!.MediaType);
        Assert.Equal("{\"stream\":\"67108864 True\\n\"}\r\n", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Errors_of_a_load_are_a_status_at_first_and_a_line_later()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.OnLoad = async (_, _, progress, _) =>
        {
            await progress(new ProgressMessage { Status = "Loading layer" });
            throw new EngineException(ErrorKind.InvalidParameter, "unexpected EOF");
        };
        Assert.Equal((400, "{\"message\":\"unexpected EOF\"}\n"), await server.SendAsync("POST", "/images/load", "x", "application/x-tar"));

        server.Engine.OnLoad = async (_, _, progress, _) =>
        {
            await Task.Delay(1000, TestContext.Current.CancellationToken);
            await progress(new ProgressMessage { Status = "Loading layer" });
            throw new EngineException(ErrorKind.InvalidParameter, "unexpected EOF");
        };
        Assert.Equal(
            (200, "{\"status\":\"Loading layer\"}\r\n{\"errorDetail\":{\"message\":\"unexpected EOF\"},\"error\":\"unexpected EOF\"}\r\n"),
            await server.SendAsync("POST", "/images/load", "x", "application/x-tar"));
    }

    [Fact]
    public async Task Imports_take_their_names_and_changes_from_the_query()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.OnImport = async (import, archive, progress) =>
        {
            using StreamReader reader = new(archive);
            await progress(new ProgressMessage { Status = $"{import.Source} {import.Repository}:{import.Tag} {import.Message} {string.Join('|', import.Changes)} {await reader.ReadToEndAsync()}" });
        };

        Assert.Equal(
            (200, "{\"status\":\"- r:t m CMD a|ENV b=c tar\"}\r\n"),
            await server.SendAsync("POST", "/images/create?fromSrc=-&repo=r&tag=t&message=m&changes=CMD%20a&changes=ENV%20b%3Dc", "tar", "application/x-tar"));
    }

    [Fact]
    public async Task Saving_streams_a_tar()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.OnSave = names => async (output, token) => await output.WriteAsync(Encoding.UTF8.GetBytes(string.Join(' ', names)), token);
        using HttpResponseMessage response = await server.Http.GetAsync(new Uri("/images/get?names=a:1&names=b", UriKind.Relative), TestContext.Current.CancellationToken);

        Assert.Equal("application/x-tar", response.Content.Headers.ContentType!.MediaType);
        Assert.Equal("a:1 b", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        Assert.Equal((200, "reg:5000/a/b:1"), await server.SendAsync("GET", "/images/reg:5000/a/b:1/get"));
    }

    private static async IAsyncEnumerable<LogLine> Lines(params (string Text, bool Stderr)[] lines)
    {
        foreach ((string text, bool stderr) in lines)
        {
            await Task.Yield();
            yield return new LogLine(stderr, Encoding.ASCII.GetBytes(text));
        }
    }
}
