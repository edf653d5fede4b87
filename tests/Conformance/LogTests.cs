using System.Globalization;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>`docker logs`: follow, since, until, tail, timestamps; the json-file driver and its rotation.</summary>
public sealed class LogTests(SharedEngine engine) : EngineTest(engine)
{
    private async Task<string> Ran(string script, params string[] options)
    {
        var name = Container();
        await Docker.Run(["run", "--name", name, .. options, "alpine", "sh", "-c", script]);
        return name;
    }

    [Fact]
    public async Task Both_streams_are_kept_apart_and_complete()
    {
        var name = await Ran("echo out; echo err >&2; printf unterminated");
        var logs = (await Docker.Run("logs", name)).Ok();
        Assert.Equal("out\nunterminated", logs.Output);
        Assert.Equal("err\n", logs.Error);
    }

    [Fact]
    public async Task Tail()
    {
        var name = await Ran("seq 1000");
        Assert.Equal("998\n999\n1000\n", (await Docker.Run("logs", "-n", "3", name)).Ok().Output);
        Assert.Equal("", (await Docker.Run("logs", "--tail", "0", name)).Ok().Output);
        Assert.Equal(1000, (await Docker.Run("logs", "--tail", "5000", name)).Ok().Lines.Length);
        Assert.Equal(1000, (await Docker.Run("logs", "--tail", "all", name)).Ok().Lines.Length);
    }

    [Fact]
    public async Task Timestamps_since_and_until()
    {
        var name = await Ran("echo one; sleep 1.2; echo two");
        var lines = (await Docker.Run("logs", "-t", name)).Ok().Lines.Select(line => line.Split(' ', 2)).ToArray();
        Assert.Equal(["one", "two"], lines.Select(line => line[1]));
        Assert.All(lines, line => Assert.Matches(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$", line[0]));
        var second = DateTimeOffset.Parse(lines[1][0], CultureInfo.InvariantCulture);
        Assert.Equal("two\n", (await Docker.Run("logs", "--since", lines[1][0], name)).Ok().Output);
        Assert.Equal("one\n", (await Docker.Run("logs", "--until", second.AddMilliseconds(-500).ToString("O", CultureInfo.InvariantCulture), name)).Ok().Output);
        Assert.Equal("", (await Docker.Run("logs", "--since", second.AddMinutes(1).ToString("O", CultureInfo.InvariantCulture), name)).Ok().Output);
        Assert.Equal("one\ntwo\n", (await Docker.Run("logs", "--since", "10m", name)).Ok().Output);
    }

    [Fact]
    public async Task Follow_shows_what_was_and_what_comes_and_ends_with_the_container()
    {
        var name = Container();
        await Docker.Ok("run", "-d", "--name", name, "alpine", "sh", "-c", "seq 5; while [ ! -e /go ]; do sleep 0.05; done; seq 6 10");
        using var follower = Docker.Start("logs", "-f", name);
        for (var i = 1; i <= 5; i++)
        {
            Assert.Equal($"{i}", await follower.StandardOutput.ReadLineAsync(Cancellation));
        }
        await Docker.Ok("exec", name, "touch", "/go");
        Assert.Equal("6\n7\n8\n9\n10\n", await follower.StandardOutput.ReadToEndAsync(Cancellation));
        await follower.WaitForExitAsync(Cancellation);
        Assert.Equal(0, follower.ExitCode);
    }

    [Fact]
    public async Task Several_followers_and_a_fast_writer_lose_nothing()
    {
        var name = Container();
        await Docker.Ok("run", "-d", "--name", name, "alpine", "sh", "-c", "seq 200000");
        var results = await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => Docker.Run("logs", "-f", name)));
        var expected = Enumerable.Range(1, 200000).Select(i => i.ToString(CultureInfo.InvariantCulture));
        Assert.All(results, result => Assert.Equal(expected, result.Ok().Lines));
    }

    [Fact]
    public async Task Long_lines_and_bytes_that_are_no_utf8_come_back_unchanged()
    {
        var name = await Ran("head -c 100000 /dev/zero | tr '\\0' x; echo; printf '\\377\\376\\000bin\\n'");
        var bytes = Path.Combine(Folder(), "bytes");
        (await Programs.Run("sh", ["-c", $"\"$0\" logs {name} > {bytes}", Docker.Path], environment: Docker.Variables)).Ok();
        var content = await File.ReadAllBytesAsync(bytes, Cancellation);
        Assert.Equal(100001, Array.IndexOf(content, (byte)'\n') + 1);
        Assert.Contains("bin\n", System.Text.Encoding.Latin1.GetString(content[100001..]), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Terminal_output_is_one_raw_stream()
    {
        var name = Container();
        await Docker.Ok("run", "-dt", "--name", name, "alpine", "sh", "-c", "echo out; echo err >&2");
        await Docker.Ok("wait", name);
        Assert.Equal("out\r\nerr\r\n", (await Docker.Run("logs", name)).Ok().Output);
    }

    [Fact]
    public async Task Rotation_keeps_the_newest()
    {
        var name = await Ran("seq 100000", "--log-opt", "max-size=100k", "--log-opt", "max-file=2");
        var lines = (await Docker.Run("logs", name)).Ok().Lines;
        Assert.Equal("100000", lines[^1]);
        Assert.InRange(lines.Length, 500, 5000);
        Assert.Equal(Enumerable.Range(100001 - lines.Length, lines.Length).Select(i => i.ToString(CultureInfo.InvariantCulture)), lines);
    }

    [Fact]
    public async Task Log_driver_none_refuses_logs()
    {
        var name = await Ran("echo x", "--log-driver", "none");
        Assert.NotEqual(0, (await Docker.Run("logs", name)).Says("configured logging driver does not support reading").ExitCode);
    }

    [Theory]
    [InlineData("max-size=x")]
    [InlineData("nosuch=1")]
    public async Task Bad_log_option_is_an_error(string option) =>
        (await Docker.Run("run", "--rm", "--log-opt", option, "alpine", "true")).Exited(125);

    [Fact]
    public async Task Reader_that_stops_reading_holds_up_nobody_else()
    {
        var name = Container();
        await Docker.Ok("run", "-d", "--name", name, "alpine", "sh", "-c", "seq 300000; touch /done; sleep 1000");
        // Its pipe fills up and stays full, since nothing here reads it.
        using var stuck = Docker.Start("logs", "-f", name);
        await Docker.Until(output => output.Contains("/done", StringComparison.Ordinal), ["exec", name, "sh", "-c", "ls /done 2>/dev/null; true"]);
        await Docker.Until(output => output == "300000\n", ["logs", "-n", "1", name]);
        Assert.Contains(name, await Docker.Ok("ps"), StringComparison.Ordinal);
        stuck.Kill();
    }
}
