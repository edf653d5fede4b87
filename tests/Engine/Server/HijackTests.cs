using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Slipway.Engine;
using Slipway.Engine.Containers;
using Xunit;

namespace Slipway.Tests.Engine.Server;

/// <summary>Attach and exec: connections that were HTTP.</summary>
public sealed class HijackTests
{
    private const string Attach = "POST /v1.50/containers/c/attach?stdin=1&stdout=1&stream=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n";

    [Fact]
    public async Task The_start_of_an_exec_is_upgraded_although_it_has_a_body()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.OnExecStart = (_, _) => FakeEngine.Session(terminal: false, EchoAsync);
        using Socket client = await server.ConnectAsync();
        await client.SayAsync("POST /v1.50/exec/e1/start HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: 28\r\n\r\n{\"Detach\":false,\"Tty\":false}");

        string head = await client.ReadHeadAsync();
        await client.SayAsync("hello");
        client.Shutdown(SocketShutdown.Send);

        Assert.Equal("HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n", head);
        Assert.Equal("hello", await client.ReadTextAsync());
    }

    [Fact]
    public async Task What_was_typed_before_the_upgrade_was_answered_is_not_lost()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.OnExecStart = (_, _) => FakeEngine.Session(terminal: false, EchoAsync);
        using Socket client = await server.ConnectAsync();
        await client.SayAsync("POST /exec/e1/start HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}early");
        await client.ReadHeadAsync();
        client.Shutdown(SocketShutdown.Send);

        Assert.Equal("early", await client.ReadTextAsync());
    }

    /// <summary>dockerode sends the options of an attach a second time, as the body: they are not input.</summary>
    [Fact]
    public async Task The_body_of_an_attach_is_not_input()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.OnAttach = (_, _) => FakeEngine.Session(terminal: false, EchoAsync);
        using Socket client = await server.ConnectAsync();
        await client.SayAsync("POST /containers/c/attach?stdin=1&stdout=1&stream=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"stream\":true}typed");
        await client.ReadHeadAsync();
        client.Shutdown(SocketShutdown.Send);

        Assert.Equal("typed", await client.ReadTextAsync());
    }

    [Theory]
    [InlineData("v1.50", true, "application/vnd.docker.raw-stream")]
    [InlineData("v1.50", false, "application/vnd.docker.multiplexed-stream")]
    [InlineData("v1.41", false, "application/vnd.docker.raw-stream")]
    public async Task The_media_type_says_whether_output_is_framed(string version, bool terminal, string expected)
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.OnAttach = (_, _) => FakeEngine.Session(terminal, _ => Task.CompletedTask);
        using Socket client = await server.ConnectAsync();
        await client.SayAsync(Attach.Replace("v1.50", version, StringComparison.Ordinal));

        Assert.Contains($"Content-Type: {expected}\r\n", await client.ReadHeadAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_an_upgrade_the_answer_is_200_and_the_stream_follows()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.OnAttach = (_, _) => FakeEngine.Session(terminal: false, async far => await far.SendAsync("out"u8.ToArray()));
        using Socket client = await server.ConnectAsync();
        await client.SayAsync("POST /containers/c/attach?stdout=1&stream=1 HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n");

        Assert.Equal("HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\nout", await client.ReadTextAsync());
    }

    [Fact]
    public async Task Output_after_the_end_of_input_still_arrives()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.OnAttach = (_, _) => FakeEngine.Session(terminal: false, async far =>
        {
            byte[] input = await far.ReadToEndAsync();
            await Task.Delay(1500); // longer than the server's probe of half-closed clients
            await far.SendAsync(Encoding.ASCII.GetBytes($"{input.Length} bytes"));
        });
        using Socket client = await server.ConnectAsync();
        await client.SayAsync(Attach);
        await client.ReadHeadAsync();
        await client.SayAsync("abc");
        client.Shutdown(SocketShutdown.Send);

        Assert.Equal("3 bytes", await client.ReadTextAsync());
    }

    [Fact]
    public async Task Three_hundred_megabytes_go_both_ways_without_loss()
    {
        const int Megabytes = 300;
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.OnAttach = (_, _) => FakeEngine.Session(terminal: false, EchoAsync);
        using Socket client = await server.ConnectAsync();
        await client.SayAsync(Attach);
        await client.ReadHeadAsync();

        byte[] block = RandomNumberGenerator.GetBytes(1024 * 1024);
        using IncrementalHash sent = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Task sending = Task.Run(async () =>
        {
            for (int i = 0; i < Megabytes; i++)
            {
                block[0] = (byte)i;
                sent.AppendData(block);
                for (ReadOnlyMemory<byte> rest = block; !rest.IsEmpty;)
                {
                    rest = rest[await client.SendAsync(rest, SocketFlags.None)..];
                }
            }

            client.Shutdown(SocketShutdown.Send);
        }, TestContext.Current.CancellationToken);

        using IncrementalHash received = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] buffer = new byte[256 * 1024];
        long total = 0;
        int count;
        while ((count = await client.ReceiveAsync(buffer, TestContext.Current.CancellationToken)) > 0)
        {
            received.AppendData(buffer, 0, count);
            total += count;
        }

        await sending;
        Assert.Equal((long)Megabytes * 1024 * 1024, total);
        Assert.Equal(sent.GetHashAndReset(), received.GetHashAndReset());
    }

    [Fact]
    public async Task A_slow_client_gets_all_of_a_process_that_has_ended()
    {
        const int Size = 8 * 1024 * 1024;
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.OnAttach = (_, _) => FakeEngine.Session(terminal: false, async far =>
        {
            for (ReadOnlyMemory<byte> rest = new byte[Size]; !rest.IsEmpty;)
            {
                rest = rest[await far.SendAsync(rest, SocketFlags.None)..];
            }
        });
        using Socket client = await server.ConnectAsync();
        await client.SayAsync(Attach);
        await client.ReadHeadAsync();
        await Task.Delay(1500, TestContext.Current.CancellationToken);

        Assert.Equal(Size, (await client.ReadToEndAsync()).Length);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_client_that_vanishes_ends_the_session_of_a_silent_process(bool halfCloseFirst)
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        TaskCompletionSource detached = new(TaskCreationOptions.RunContinuationsAsynchronously);
        server.Engine.OnAttach = (_, _) =>
        {
            StreamSession session = FakeEngine.Session(terminal: false, _ => detached.Task);
            return session with { Stream = new DisposalStream(session.Stream, detached), CloseStdin = () => ValueTask.CompletedTask };
        };
        Socket client = await server.ConnectAsync();
        await client.SayAsync(Attach);
        await client.ReadHeadAsync();
        if (halfCloseFirst)
        {
            client.Shutdown(SocketShutdown.Send);
            await Task.Delay(100, TestContext.Current.CancellationToken);
        }

        client.Dispose();

        await detached.Task.WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Typing_the_detach_keys_ends_the_connection_and_not_the_process()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        TaskCompletionSource<string> typed = new();
        server.Engine.OnAttach = (_, _) => FakeEngine.Session(terminal: true, async far => typed.SetResult(await far.ReadTextAsync()));
        using Socket client = await server.ConnectAsync();
        await client.SayAsync(Attach.Replace("stdin=1", "stdin=1&detachKeys=ctrl-a,x", StringComparison.Ordinal));
        await client.ReadHeadAsync();
        await client.SayAsync("ls\x01y\x01x");

        Assert.Equal("", await client.ReadTextAsync());
        Assert.Equal("ls\x01y", await typed.Task);
    }

    [Fact]
    public async Task Detach_keys_mean_nothing_without_a_terminal()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.OnAttach = (_, _) => FakeEngine.Session(terminal: false, EchoAsync);
        using Socket client = await server.ConnectAsync();
        await client.SayAsync(Attach);
        await client.ReadHeadAsync();
        await client.SayAsync("\x10\x11more");
        client.Shutdown(SocketShutdown.Send);

        Assert.Equal("\x10\x11more", await client.ReadTextAsync());
    }

    [Fact]
    public async Task A_body_of_an_attach_request_is_not_input_of_the_process()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.OnAttach = (_, _) => FakeEngine.Session(terminal: false, EchoAsync);
        using Socket client = await server.ConnectAsync();
        await client.SayAsync("POST /containers/c1/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"stream\":true}");
        await client.ReadHeadAsync();
        await client.SayAsync("typed");
        client.Shutdown(SocketShutdown.Send);

        Assert.Equal("typed", await client.ReadTextAsync());
    }

    [Fact]
    public async Task An_exec_that_cannot_start_tells_so_on_the_stream()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.OnExecStart = (_, _) => throw new EngineException(ErrorKind.InvalidParameter, "executable file not found in $PATH");
        using Socket client = await server.ConnectAsync();
        await client.SayAsync("POST /exec/e1/start HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");

        Assert.StartsWith("HTTP/1.1 101 UPGRADED\r\n", await client.ReadHeadAsync(), StringComparison.Ordinal);
        Assert.Equal("\x01\0\0\0\0\0\0\x24" + "executable file not found in $PATH\r\n", await client.ReadTextAsync());
    }

    [Fact]
    public async Task An_exec_that_is_unknown_or_already_ran_is_an_error_and_on_the_stream_once_it_is_promised()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        Assert.Equal((404, "{\"message\":\"No such exec instance: e1\"}\n"), await server.SendAsync("POST", "/exec/e1/start", "{}"));

        server.Engine.OnExecStart = (_, _) => throw new EngineException(ErrorKind.Conflict, "has already run");
        Assert.Equal((409, "{\"message\":\"has already run\"}\n"), await server.SendAsync("POST", "/exec/e1/start", "{\"Detach\":true}"));
        Assert.Equal((200, "\x01\0\0\0\0\0\0\x11has already run\r\n"), await server.SendAsync("POST", "/exec/e1/start", "{}"));
    }

    [Fact]
    public async Task A_detached_exec_is_answered_at_once()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.OnExecStart = (_, start) => start.Detach ? null : throw new InvalidOperationException();

        Assert.Equal((200, ""), await server.SendAsync("POST", "/exec/e1/start", "{\"Detach\":true}"));
    }

    [Fact]
    public async Task Stopping_the_server_ends_streams()
    {
        ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.OnAttach = (_, _) => FakeEngine.Session(terminal: false, async far => await far.ReadToEndAsync());
        using Socket client = await server.ConnectAsync();
        await client.SayAsync(Attach);
        await client.ReadHeadAsync();
        Task stopped = server.DisposeAsync().AsTask();

        Assert.Equal("", await client.ReadTextAsync());
        client.Dispose();
        await stopped.WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
    }

    private static async Task EchoAsync(Socket far)
    {
        byte[] buffer = new byte[64 * 1024];
        int count;
        while ((count = await far.ReceiveAsync(buffer)) > 0)
        {
            for (ReadOnlyMemory<byte> rest = buffer.AsMemory(0, count); !rest.IsEmpty;)
            {
                rest = rest[await far.SendAsync(rest, SocketFlags.None)..];
            }
        }
    }

    /// <summary>Tells when the session was disposed.</summary>
    private sealed class DisposalStream(Stream inner, TaskCompletionSource disposed) : Stream
    {
        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => inner.ReadAsync(buffer, cancellationToken);

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => inner.WriteAsync(buffer, cancellationToken);

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            inner.Dispose();
            disposed.TrySetResult();
            base.Dispose(disposing);
        }
    }
}
