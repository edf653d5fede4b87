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
    [InlineData("mode=fast")]
    [InlineData("max-buffer-size=1m")]
    [InlineData("compress=perhaps")]
    [InlineData("labels-regex=(")]
    [InlineData("tag={{.Nosuch}}")]
    public async Task Bad_log_option_is_an_error(string option) =>
        (await Docker.Run("run", "--rm", "--log-opt", option, "alpine", "true")).Exited(125);

    [Theory]
    [InlineData("json-file", "unknown log opt 'nosuch' for json-file log driver")]
    [InlineData("local", "unknown log opt 'nosuch' for log driver local")]
    [InlineData("syslog", "unknown log opt 'nosuch' for syslog log driver")]
    [InlineData("fluentd", "unknown log opt 'nosuch' for fluentd log driver")]
    [InlineData("journald", "unknown log opt 'nosuch' for journald log driver")]
    public async Task An_unknown_log_option_is_named(string driver, string text) =>
        (await Docker.Run("run", "--rm", "--log-driver", driver, "--log-opt", "nosuch=1", "alpine", "true")).Says(text).Exited(125);

    [Fact]
    public async Task Labels_variables_and_tag_are_recorded_with_each_line_and_told_with_details()
    {
        var name = Container();
        await Docker.Ok(
            "run", "--name", name, "--label", "team=blue & green", "--label", "tier.web=1", "--label", "other=x", "-e", "STAGE=prod", "-e", "STAMP=9", "-e", "HIDDEN=h",
            "--log-opt", "labels=team,none", "--log-opt", "labels-regex=^tier", "--log-opt", "env=STAGE", "--log-opt", "env-regex=^STAM", "--log-opt", "tag={{.Name}}",
            "alpine", "sh", "-c", "echo one; echo two >&2");
        Assert.Equal(
            $"STAGE=prod,STAMP=9,tag={name},team=blue+%26+green,tier.web=1 one\n",
            (await Docker.Run("logs", "--details", name)).Ok().Output);
        Assert.Equal("one\n", (await Docker.Run("logs", name)).Ok().Output);
        if (IsSlipway)
        {
            var lines = await File.ReadAllLinesAsync(await Docker.Inspect(name, "{{.LogPath}}"), Cancellation);
            Assert.Equal(2, lines.Length);
            Assert.All(lines, line => Assert.Contains($$""","attrs":{"STAGE":"prod","STAMP":"9","tag":"{{name}}","team":"blue \u0026 green","tier.web":"1"},"time":""", line, StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task Attributes_that_are_too_long_for_every_line_are_refused()
    {
        Assert.SkipUnless(IsSlipway, "dockerd writes them whatever their length");
        var result = await Docker.Run("run", "--name", Container(), "-e", "LONG=" + new string('x', 9000), "--log-opt", "env=LONG", "alpine", "true");
        result.Says("more than 8192: name fewer in log-opts").Exited(125);
    }

    [Theory]
    [InlineData("json-file")]
    [InlineData("local")]
    public async Task Rotated_files_are_compressed_and_read(string driver)
    {
        var name = Container();
        await Docker.Ok(
            "run", "--name", name, "--log-driver", driver, "--log-opt", "max-size=200k", "--log-opt", "max-file=40", "--log-opt", "compress=true", "alpine", "sh", "-c", "seq 30000");
        var id = await Docker.Inspect(name, "{{.Id}}");
        var folder = DataRoot is null ? null : $"{DataRoot}/containers/{id}";
        await Docker.Until(output => output == "30000\n", ["logs", "-n", "1", name]);
        Assert.Equal(Enumerable.Range(1, 30000).Select(i => i.ToString(System.Globalization.CultureInfo.InvariantCulture)), (await Docker.Run("logs", name)).Ok().Lines);
        Assert.Equal("25001", (await Docker.Run("logs", "-n", "5000", name)).Ok().Lines[0]);
        if (folder is not null)
        {
            var limit = DateTimeOffset.UtcNow + Programs.Limit(30);
            while (Rotated().Any(file => !file.EndsWith(".gz", StringComparison.Ordinal)))
            {
                Assert.True(DateTimeOffset.UtcNow < limit, string.Join(' ', Rotated()));
                await Task.Delay(50, Cancellation);
            }

            Assert.True(Rotated().Count() > 5);
            Assert.Equal(30000, (await Docker.Run("logs", name)).Ok().Lines.Length);
        }

        IEnumerable<string> Rotated() => Directory.GetFiles(folder!).Where(file => file.Contains(".log.", StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_cannot_be_compressed_is_refused() => (await Docker.Run(
        "run", "--name", Container(), "--log-opt", "compress=true", "--log-opt", "max-file=1", "--log-opt", "max-size=1m", "alpine", "true"))
        .Says("compress cannot be true when max-file is less than 2 or max-size is not set").Exited(125);

    [Fact]
    public async Task Output_is_logged_in_both_modes()
    {
        foreach (string[] mode in (string[][])[["--log-opt", "mode=blocking"], ["--log-opt", "mode=non-blocking", "--log-opt", "max-buffer-size=4m"]])
        {
            var name = Container(mode[1][5..8]);
            await Docker.Ok(["run", "--name", name, .. mode, "alpine", "seq", "20000"]);
            Assert.Equal(20000, (await Docker.Run("logs", name)).Ok().Lines.Length);
        }
    }

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
