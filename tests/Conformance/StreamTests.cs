using System.Diagnostics;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>Bytes through `docker run` and `docker exec`: complete, in order, stdout apart from stderr, ends of input passed on.</summary>
public sealed class StreamTests(SharedEngine engine) : EngineTest(engine)
{
    private const int Bulk = 256 << 20;

    [Theory]
    [InlineData("run", "-i", "--rm", "--detach-keys", "ctrl-p,ctrl-q", "alpine")]
    [InlineData("exec", "-i", "--detach-keys", "ctrl-p,ctrl-q")]
    public async Task Without_a_terminal_the_detach_keys_are_input(params string[] command)
    {
        string[] target = command[0] == "exec" ? [await Sleeper()] : [];
        var result = (await Docker.RunWith("a\u0010\u0011b\u0010", [.. command, .. target, "od", "-An", "-tx1"])).Ok();
        Assert.Equal("61 10 11 62 10", result.Line.Trim());
    }

    [Fact]
    public async Task Standard_input_reaches_the_program_and_its_end_too() =>
        Assert.Equal("hi\n", (await Docker.RunWith("hi\n", "run", "-i", "--rm", "alpine", "cat")).Ok().Output);

    [Fact]
    public async Task Output_after_the_end_of_input_still_arrives() =>
        Assert.Equal("late\n", (await Docker.RunWith("x", "run", "-i", "--rm", "alpine", "sh", "-c", "cat > /dev/null; sleep 1; echo late")).Ok().Output);

    [Fact]
    public async Task Without_i_standard_input_is_empty() =>
        Assert.Equal("0\n", (await Docker.RunWith("lost", "run", "--rm", "alpine", "wc", "-c")).Ok().Output);

    [Fact]
    public async Task Streams_stay_apart()
    {
        var result = (await Docker.Run("run", "--rm", "alpine", "sh", "-c", "for i in 1 2 3; do echo out$i; echo err$i >&2; done")).Ok();
        Assert.Equal("out1\nout2\nout3\n", result.Output);
        Assert.Equal("err1\nerr2\nerr3\n", result.Error);
    }

    /// <summary>Docker's Python SDK reads the answer into a buffer and the stream from the socket behind it: what came with the answer it has lost.</summary>
    [Theory]
    [InlineData("exec")]
    [InlineData("exec of nothing")]
    [InlineData("attach")]
    public async Task Output_comes_when_a_client_of_this_host_has_read_the_answer(string what)
    {
        var container = Container("unread");
        await Docker.Ok("run", "-d", "--name", container, "alpine", "sh", "-c", "echo output; exec sleep 1000");
        await Docker.Until(output => output.StartsWith("output", StringComparison.Ordinal), ["logs", container]);
        var path = $"/containers/{container}/attach?logs=1&stream=1&stdout=1";
        var body = "";
        if (what != "attach")
        {
            using EngineHttp http = new(Docker.Socket);
            string[] command = what == "exec" ? ["echo", "output"] : ["/no/such/program"];
            var exec = (await http.Post($"/containers/{container}/exec", new JsonObject { ["AttachStdout"] = true, ["Cmd"] = new JsonArray([.. command.Select(part => JsonValue.Create(part))]) }.ToJsonString())).Body;
            path = $"/exec/{(string)JsonNode.Parse(exec)!["Id"]!}/start";
            body = "{}";
        }

        using Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(Docker.Socket), Cancellation);
        var request = $"POST {path} HTTP/1.1\r\nHost: engine\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}";
        await socket.SendAsync(Encoding.ASCII.GetBytes(request), Cancellation);

        // The output is there by now.
        await Task.Delay(500, Cancellation);
        var buffer = new byte[8192];
        var answer = Encoding.UTF8.GetString(buffer, 0, await socket.ReceiveAsync(buffer, Cancellation));
        Assert.StartsWith("HTTP/1.1 101 ", answer, StringComparison.Ordinal);
        Assert.EndsWith("\r\n\r\n", answer, StringComparison.Ordinal);
        var received = Encoding.UTF8.GetString(buffer, 0, await socket.ReceiveAsync(buffer, Cancellation));
        Assert.Contains(what == "exec of nothing" ? "no such file or directory" : "output\n", received, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Output_without_a_last_newline_is_complete() =>
        Assert.Equal("no newline", (await Docker.Run("run", "--rm", "alpine", "printf", "no newline")).Ok().Output);

    [Theory]
    [InlineData("run", "-i", "--rm", "alpine", "cat")]
    [InlineData("exec", "-i", "CONTAINER", "cat")]
    public async Task Quarter_gigabyte_of_random_data_comes_back_unchanged(params string[] arguments)
    {
        if (arguments.Contains("CONTAINER"))
        {
            var container = await Sleeper();
            arguments = [.. arguments.Select(argument => argument == "CONTAINER" ? container : argument)];
        }
        using var docker = Docker.Start(arguments);
        var sent = Send(docker);
        var received = await SHA256.HashDataAsync(docker.StandardOutput.BaseStream, Cancellation);
        Assert.Equal(Convert.ToHexString(await sent), Convert.ToHexString(received));
        await docker.WaitForExitAsync(Cancellation);
        Assert.Equal(0, docker.ExitCode);
    }

    [Fact]
    public async Task Large_output_on_both_streams_at_once_is_complete()
    {
        var result = (await Docker.Run("run", "--rm", "alpine", "sh", "-c", "(yes out | head -n 500000) & (yes err | head -n 500000) >&2; wait")).Ok();
        Assert.Equal(500000, result.Lines.Count(line => line == "out"));
        Assert.Equal(500000, result.Error.Split('\n').Count(line => line == "err"));
    }

    [Fact]
    public async Task Client_that_goes_away_does_not_end_the_container()
    {
        var name = Container();
        using (var docker = Docker.Start("run", "--name", name, "alpine", "sh", "-c", "while sleep 0.1; do echo tick; done"))
        {
            await docker.StandardOutput.ReadLineAsync(Cancellation);
            docker.Kill();
            await docker.WaitForExitAsync(Cancellation);
        }
        Assert.Equal("true", await Docker.Inspect(name, "{{.State.Running}}"));
        var before = (await Docker.Run("logs", name)).Ok().Lines.Length;
        await Docker.Until(output => output.Count(c => c == '\n') > before + 5, ["logs", name]);
    }

    [Fact]
    public async Task Program_that_closes_its_input_does_not_hang_the_client()
    {
        using var endless = new RepeatingStream(64 << 20);
        (await Docker.RunWith(endless, "run", "-i", "--rm", "alpine", "sh", "-c", "exec <&-; exit 5")).Exited(5);
    }

    private static async Task<byte[]> Send(Process docker)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var random = new Random(20261122);
        var buffer = new byte[1 << 20];
        for (var sent = 0; sent < Bulk; sent += buffer.Length)
        {
            random.NextBytes(buffer);
            hash.AppendData(buffer);
            await docker.StandardInput.BaseStream.WriteAsync(buffer, Cancellation);
        }
        docker.StandardInput.Close();
        return hash.GetHashAndReset();
    }
}
