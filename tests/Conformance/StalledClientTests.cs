using System.Net.Sockets;
using System.Text;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>A client that stops sending or receiving in the middle keeps nobody else from the container.</summary>
public sealed class StalledClientTests(SharedEngine engine) : EngineTest(engine)
{
    private EngineHttp Http()
    {
        var http = new EngineHttp(Docker.Socket);
        Cleanup(() =>
        {
            http.Dispose();
            return Task.CompletedTask;
        });
        return http;
    }

    /// <summary>A connection on which so much was sent and nothing else happens, until the test is over.</summary>
    private async Task<NetworkStream> Stalled(string head, byte[]? body = null)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(Docker.Socket), Cancellation);
        var stream = new NetworkStream(socket, ownsSocket: true);
        Cleanup(async () => await stream.DisposeAsync());
        await stream.WriteAsync(Encoding.ASCII.GetBytes(head + "\r\nHost: engine\r\n"), Cancellation);
        await stream.WriteAsync("\r\n"u8.ToArray(), Cancellation);
        await stream.WriteAsync(body ?? [], Cancellation);
        return stream;
    }

    /// <summary>The head of a tar's entry, whose content does not follow.</summary>
    private static async Task<byte[]> HalfATar()
    {
        var tar = (await Programs.Run("sh", ["-c", "d=$(mktemp -d); head -c 100000 /dev/zero > $d/late; tar -C $d -cf - late | head -c 2048 | base64 -w0; rm -r $d"])).Ok().Line;
        return Convert.FromBase64String(tar);
    }

    private async Task<NetworkStream> HalfACopyTo(string name, bool chunked)
    {
        var half = await HalfATar();
        byte[] body = chunked ? [.. Encoding.ASCII.GetBytes($"{half.Length:x}\r\n"), .. half, .. "\r\n"u8] : half;
        var stream = await Stalled($"PUT /v1.44/containers/{name}/archive?path=/ HTTP/1.1\r\n{(chunked ? "Transfer-Encoding: chunked" : "Content-Length: 200000")}", body);

        // Its entry is there: the copy is under way.
        for (var left = 200; !File.Exists(await UpperFile(name, "late")); left--)
        {
            Assert.True(left > 0, "the copy did not begin");
            await Task.Delay(50, Cancellation);
        }

        return stream;
    }

    private async Task<string> UpperFile(string name, string file) =>
        Directory.GetDirectories($"{DataRoot}/containers/{await Docker.Inspect(name, "{{.Id}}")}").Select(folder => Path.Combine(folder, file)).FirstOrDefault(File.Exists)
            ?? "/nonexistent";

    private async Task<string> Stopped(string script = "true")
    {
        var name = Container();
        await Docker.Ok("run", "--name", name, "alpine", "sh", "-c", script);
        return name;
    }

    /// <summary>All that needs no files, and the plan, which is made over others.</summary>
    private async Task Answers(string name)
    {
        var http = Http();
        (await http.Get($"/v1.44/slipway/containers/{name}/explain")).Is(200);
        (await http.Get($"/v1.44/containers/{name}/json")).Is(200);
        (await http.Get($"/v1.44/containers/{name}/logs?stdout=1")).Is(200);
        (await http.Get($"/v1.44/containers/{name}/changes")).Is(200);
        (await http.Post($"/v1.44/containers/{name}/update", """{"CpuShares":100}""")).Is(200);
    }

    /// <summary>A body of chunks is read from the socket, another one by the HTTP server.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_copy_into_a_stopped_container_that_stands_still_is_ended_by_its_start(bool chunked)
    {
        Requirement.Check(IsSlipway, "dockerd waits for ever");
        var name = await Stopped();
        var stream = await HalfACopyTo(name, chunked);
        await Answers(name);
        var folder = Folder();
        await Docker.Ok("cp", $"{name}:/etc/passwd", folder);
        (await Http().Post($"/v1.44/containers/{name}/start")).Is(204);
        var buffer = new byte[4096];
        var answer = Encoding.UTF8.GetString(buffer, 0, await stream.ReadAsync(buffer, Cancellation));
        Assert.StartsWith("HTTP/1.1 409 ", answer, StringComparison.Ordinal);
        Assert.Equal("0", await Docker.Ok("wait", name));
        await Docker.Ok("rm", name);
    }

    [Fact]
    public async Task A_copy_out_of_a_stopped_container_that_nobody_reads_is_ended_by_its_start()
    {
        Requirement.Check(IsSlipway, "dockerd waits for ever");
        var name = await Stopped("head -c 30000000 /dev/zero > /big");
        var stream = await Stalled($"GET /v1.44/containers/{name}/archive?path=/big HTTP/1.1");
        Assert.NotEqual(0, await stream.ReadAsync(new byte[16], Cancellation));
        await Answers(name);
        (await Http().Post($"/v1.44/containers/{name}/start")).Is(204);

        // Cut, so that nobody takes it for whole.
        var read = 0L;
        var buffer = new byte[1 << 16];
        try
        {
            for (int count; (count = await stream.ReadAsync(buffer, Cancellation)) > 0; read += count)
            {
            }
        }
        catch (IOException)
        {
            // Reset.
        }

        Assert.True(read < 30_000_000);
        await Docker.Ok("wait", name);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Forced_removal_does_not_wait_for_a_copy(bool into)
    {
        Requirement.Check(IsSlipway, "dockerd waits for ever");
        var name = await Stopped("head -c 30000000 /dev/zero > /big");
        var stream = into ? await HalfACopyTo(name, chunked: true) : await Stalled($"GET /v1.44/containers/{name}/archive?path=/big HTTP/1.1");
        if (!into)
        {
            Assert.NotEqual(0, await stream.ReadAsync(new byte[16], Cancellation));
        }

        var id = await Docker.Inspect(name, "{{.Id}}");
        await Docker.Ok("rm", "-f", name);
        Assert.False(Directory.Exists($"{DataRoot}/containers/{id}"));
    }

    /// <summary>What is slow and moves is waited for.</summary>
    [Fact]
    public async Task A_start_waits_for_a_copy_that_goes_on()
    {
        var name = await Stopped("cat /late 2>/dev/null | wc -c");
        var half = await HalfATar();
        var stream = await HalfACopyTo(name, chunked: true);
        var start = Http().Post($"/v1.44/containers/{name}/start");
        var rest = new byte[512 + 100_352 + 1024 - half.Length];
        foreach (var part in rest.Chunk(rest.Length / 3 + 1))
        {
            await Task.Delay(TimeSpan.FromSeconds(1), Cancellation);
            await stream.WriteAsync((byte[])[.. Encoding.ASCII.GetBytes($"{part.Length:x}\r\n"), .. part, .. "\r\n"u8], Cancellation);
        }

        Assert.False(start.IsCompleted);
        await stream.WriteAsync("0\r\n\r\n"u8.ToArray(), Cancellation);
        (await start).Is(204);
        await Docker.Ok("wait", name);
        Assert.EndsWith("100000", (await Docker.Ok("logs", name)).Trim(), StringComparison.Ordinal);
    }

    /// <summary>All at once, at one container: who reads what is large, what goes on and what never comes, and who does not send the body that was announced.</summary>
    [Fact]
    public async Task Clients_of_a_running_container_that_stand_still_hold_nobody_up()
    {
        var name = Container();
        await Docker.Ok("run", "-d", "--name", name, "alpine", "sh", "-c", "head -c 30000000 /dev/zero > /big; yes $(head -c 2000 /dev/zero | tr '\\0' x) | head -c 6000000; echo; exec sleep 1000");
        await Docker.Until(text => text.Trim() == "sleep", ["exec", name, "cat", "/proc/1/comm"]);
        foreach (var head in (string[])
            [
                "GET /v1.44/containers/{0}/export HTTP/1.1", "GET /v1.44/containers/{0}/archive?path=/big HTTP/1.1", "GET /v1.44/containers/{0}/logs?stdout=1&follow=1 HTTP/1.1",
                "GET /v1.44/containers/{0}/stats HTTP/1.1", "POST /v1.44/containers/{0}/wait HTTP/1.1\r\nContent-Length: 0",
                "POST /v1.44/containers/{0}/attach?stream=1&logs=1&stdout=1&stdin=1 HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0",
                "POST /v1.44/commit?container={0} HTTP/1.1\r\nContent-Length: 1000", "POST /v1.44/containers/{0}/update HTTP/1.1\r\nContent-Length: 1000",
                "POST /v1.44/containers/{0}/exec HTTP/1.1\r\nContent-Length: 1000",
            ])
        {
            var stream = await Stalled(head.Replace("{0}", name, StringComparison.Ordinal));
            if (!head.Contains("Content-Length: 1000", StringComparison.Ordinal))
            {
                Assert.NotEqual(0, await stream.ReadAsync(new byte[16], Cancellation));
            }
        }

        await Answers(name);
        Assert.Equal("x", await Docker.Ok("exec", name, "echo", "x"));
        await Docker.Ok("restart", "-t", "0", name);
        await Docker.Ok("rm", "-f", name);
    }

    /// <summary>
    /// A copy of a volume kept others from mounting it while it waited for the locks of the containers it pauses; who explains, starts or updates one holds its
    /// lock and waited for the volume. Neither ended.
    /// </summary>
    [Fact]
    public async Task Copies_of_a_volume_and_those_who_mount_it_do_not_wait_for_each_other()
    {
        Requirement.Check(IsSlipway, "dockerd copies no volumes");
        var volume = Container("volume");
        Cleanup(() => Docker.Run("volume", "rm", "-f", volume));
        var name = await Sleeper("-v", $"{volume}:/data");
        var other = await Sleeper("-v", $"{volume}:/data");
        var http = Http();
        await Task.WhenAll(
            Repeat(async round =>
            {
                (await http.Post($"/v1.44/slipway/volumes/{volume}/copy", $$"""{"Name":"{{volume}}-{{round}}"}""")).Is(201);
                (await http.Send(HttpMethod.Delete, $"/v1.44/volumes/{volume}-{round}")).Is(204);
            }),
            Repeat(async _ => (await http.Get($"/v1.44/slipway/containers/{name}/explain")).Is(200)),
            Repeat(async _ => (await http.Get($"/v1.44/slipway/containers/{other}/explain")).Is(200)),
            Repeat(async _ => (await http.Post($"/v1.44/containers/{name}/update", "{}")).Is(200)));
        Assert.Equal("running running", $"{await Docker.Inspect(name, "{{.State.Status}}")} {await Docker.Inspect(other, "{{.State.Status}}")}");

        static async Task Repeat(Func<int, Task> work)
        {
            for (var round = 0; round < 25; round++)
            {
                await work(round);
            }
        }
    }
}
