using System.IO.Compression;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>Log drivers beside json-file, each against a receiver of the test's own.</summary>
public sealed class LogDriverTests(SharedEngine engine) : EngineTest(engine)
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    private async Task<string> Ran(string script, params string[] options)
    {
        var name = Container();
        (await Docker.Run(["run", "--name", name, .. options, "alpine", "sh", "-c", script])).Ok();
        return name;
    }

    private static Socket Datagrams(out int port)
    {
        Socket socket = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        port = ((IPEndPoint)socket.LocalEndPoint!).Port;
        return socket;
    }

    private static async Task<byte[]> Receive(Socket socket)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        limit.CancelAfter(s_limit);
        byte[] buffer = new byte[65536];
        return buffer[..await socket.ReceiveAsync(buffer, limit.Token)];
    }

    private static async Task<string> Text(Socket socket) => Encoding.UTF8.GetString(await Receive(socket));

    private static TcpListener Listen(out int port)
    {
        TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        port = ((IPEndPoint)listener.LocalEndpoint).Port;
        return listener;
    }

    private static async Task<byte[]> Exactly(Stream stream, int count)
    {
        byte[] buffer = new byte[count];
        await stream.ReadExactlyAsync(buffer, Cancellation).AsTask().WaitAsync(s_limit, Cancellation);
        return buffer;
    }

    [Fact]
    public async Task Local_is_read_back_and_has_no_path()
    {
        var name = await Ran("echo out; echo err >&2", "--log-driver", "local", "--log-opt", "max-size=1m", "--log-opt", "max-file=3", "--log-opt", "compress=true");
        var logs = (await Docker.Run("logs", name)).Ok();
        Assert.Equal("out\n", logs.Output);
        Assert.Equal("err\n", logs.Error);
        Assert.Equal("local ", await Docker.Inspect(name, "{{.HostConfig.LogConfig.Type}} {{.LogPath}}"));
    }

    [Fact]
    public async Task Local_is_bounded()
    {
        var name = await Ran("seq 100000", "--log-driver", "local", "--log-opt", "max-size=100k", "--log-opt", "max-file=2");
        var lines = (await Docker.Run("logs", name)).Ok().Lines;
        Assert.Equal("100000", lines[^1]);
        Assert.InRange(lines.Length, 100, 99_999);
    }

    [Fact]
    [RunOption("--log-driver", "--log-opt")]
    public async Task Syslog_by_udp_with_facility_tag_and_both_streams()
    {
        using var receiver = Datagrams(out var port);
        var name = await Ran(
            "echo out; sleep 0.3; echo err >&2", "--log-driver", "syslog", "--log-opt", $"syslog-address=udp://127.0.0.1:{port}", "--log-opt", "syslog-facility=local3",
            "--log-opt", "tag={{.Name}}/{{.ID}}");
        var id = (await Docker.Inspect(name, "{{.Id}}"))[..12];
        var tag = Regex.Escape($"{name}/{id}");

        // local3 is 19: 19 * 8 + 6 (informational) and + 3 (error).
        Assert.Matches($@"^<158>[A-Z][a-z]{{2}} [ \d]\d \d\d:\d\d:\d\d {tag}\[\d+\]: out\n$", await Text(receiver));
        Assert.Matches($@"^<155>[A-Z][a-z]{{2}} [ \d]\d \d\d:\d\d:\d\d {tag}\[\d+\]: err\n$", await Text(receiver));

        // What was sent away can be read here too.
        Assert.Equal("out\n", (await Docker.Run("logs", name)).Ok().Output);
    }

    [Theory]
    [InlineData("rfc3164", @"^<30>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ [0-9a-f]{12}\[\d+\]: hello$")]
    [InlineData("rfc5424", @"^<30>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d) \S+ ([0-9a-f]{12}) \d+ \2 - hello$")]
    [InlineData("rfc5424micro", @"^<30>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d) \S+ ([0-9a-f]{12}) \d+ \2 - hello$")]
    public async Task Syslog_by_tcp_in_each_format(string format, string pattern)
    {
        using var listener = Listen(out var port);
        await Ran("echo hello", "--log-driver", "syslog", "--log-opt", $"syslog-address=tcp://127.0.0.1:{port}", "--log-opt", $"syslog-format={format}");
        using var client = await listener.AcceptTcpClientAsync(Cancellation).AsTask().WaitAsync(s_limit, Cancellation);
        using StreamReader reader = new(client.GetStream());
        Assert.Matches(pattern, await reader.ReadLineAsync(Cancellation).AsTask().WaitAsync(s_limit, Cancellation));
    }

    [Theory]
    [InlineData("unix")]
    [InlineData("unixgram")]
    public async Task Syslog_by_a_unix_socket(string scheme)
    {
        var path = Path.Combine(Folder(), "log");
        using Socket socket = new(AddressFamily.Unix, scheme == "unix" ? SocketType.Stream : SocketType.Dgram, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(path));
        if (scheme == "unix")
        {
            socket.Listen();
        }
        await Ran("echo hello", "--log-driver", "syslog", "--log-opt", $"syslog-address={scheme}://{path}");
        using var client = scheme == "unix" ? await socket.AcceptAsync(Cancellation).AsTask().WaitAsync(s_limit, Cancellation) : null;
        Assert.EndsWith("]: hello\n", await Text(client ?? socket), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("zlib")]
    [InlineData("none")]
    public async Task Gelf_by_udp_compressed_with_its_fields(string compression)
    {
        using var receiver = Datagrams(out var port);
        var name = await Ran(
            "echo hello >&2", "--label", "team=blue", "-e", "STAGE=prod", "--log-driver", "gelf", "--log-opt", $"gelf-address=udp://127.0.0.1:{port}",
            "--log-opt", $"gelf-compression-type={compression}", "--log-opt", "labels=team", "--log-opt", "env-regex=^STA", "--log-opt", "tag=it");
        using var message = JsonDocument.Parse(Decompress(await Receive(receiver), compression));
        var root = message.RootElement;
        Assert.Equal("1.1", root.GetProperty("version").GetString());
        Assert.Equal("hello", root.GetProperty("short_message").GetString());
        Assert.Equal(3, root.GetProperty("level").GetInt32());
        Assert.Equal(name, root.GetProperty("_container_name").GetString());
        Assert.Equal(await Docker.Inspect(name, "{{.Id}}"), root.GetProperty("_container_id").GetString());
        Assert.Equal("it", root.GetProperty("_tag").GetString());
        Assert.Equal("blue", root.GetProperty("_team").GetString());
        Assert.Equal("prod", root.GetProperty("_STAGE").GetString());
        Assert.Equal("sh -c echo hello >&2", root.GetProperty("_command").GetString());
        Assert.Equal("alpine", root.GetProperty("_image_name").GetString());
        Assert.Equal(DateTimeOffset.UtcNow.ToUnixTimeSeconds(), root.GetProperty("timestamp").GetDouble(), 300.0);
    }

    [Fact]
    public async Task Gelf_by_udp_cuts_what_is_long_into_chunks()
    {
        using var receiver = Datagrams(out var port);
        await Ran("head -c 8000 /dev/zero | tr '\\0' x; echo", "--log-driver", "gelf", "--log-opt", $"gelf-address=udp://127.0.0.1:{port}", "--log-opt", "gelf-compression-type=none");
        Dictionary<int, byte[]> parts = [];
        var count = 0;
        do
        {
            var chunk = await Receive(receiver);
            Assert.Equal([0x1E, 0x0F], chunk[..2]);
            Assert.InRange(chunk.Length, 13, 1420);
            count = chunk[11];
            parts.Add(chunk[10], chunk[12..]);
        }
        while (parts.Count < count);
        using var message = JsonDocument.Parse(parts.OrderBy(part => part.Key).SelectMany(part => part.Value).ToArray());
        Assert.Equal(new string('x', 8000), message.RootElement.GetProperty("short_message").GetString());
    }

    [Fact]
    public async Task Gelf_by_tcp_ends_each_message_with_a_zero_byte()
    {
        using var listener = Listen(out var port);
        await Ran("echo one; echo two", "--log-driver", "gelf", "--log-opt", $"gelf-address=tcp://127.0.0.1:{port}");
        using var client = await listener.AcceptTcpClientAsync(Cancellation).AsTask().WaitAsync(s_limit, Cancellation);
        using StreamReader reader = new(client.GetStream());
        var messages = (await reader.ReadToEndAsync(Cancellation).WaitAsync(s_limit, Cancellation)).Split('\0', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(["one", "two"], messages.Select(text => JsonDocument.Parse(text).RootElement.GetProperty("short_message").GetString()));
    }

    [Fact]
    public async Task Fluentd_by_its_forward_protocol()
    {
        using var listener = Listen(out var port);
        var name = await Ran("echo hello", "--log-driver", "fluentd", "--log-opt", $"fluentd-address=127.0.0.1:{port}", "--log-opt", "tag=app.{{.Name}}", "--log-opt", "env=STAGE", "-e", "STAGE=prod");
        using var client = await listener.AcceptTcpClientAsync(Cancellation).AsTask().WaitAsync(s_limit, Cancellation);
        var message = Assert.IsType<object[]>(await new MessagePackReader(client.GetStream()).Read(Cancellation).WaitAsync(s_limit, Cancellation));
        Assert.Equal($"app.{name}", message[0]);
        Assert.Equal(DateTimeOffset.UtcNow.ToUnixTimeSeconds(), Assert.IsType<long>(message[1]), 300.0);
        var record = Assert.IsType<Dictionary<string, object>>(message[2]);
        Assert.Equal("hello", record["log"]);
        Assert.Equal("stdout", record["source"]);
        Assert.Equal("/" + name, record["container_name"]);
        Assert.Equal(await Docker.Inspect(name, "{{.Id}}"), record["container_id"]);
        Assert.Equal("prod", record["STAGE"]);
    }

    [Fact]
    public async Task Fluentd_with_sub_second_times_and_acknowledgements_to_a_receiver_that_comes_late()
    {
        var listener = Listen(out var port);
        listener.Stop();
        var name = await Ran(
            "echo hello", "--log-driver", "fluentd", "--log-opt", $"fluentd-address=127.0.0.1:{port}", "--log-opt", "fluentd-async=true", "--log-opt", "fluentd-retry-wait=100ms",
            "--log-opt", "fluentd-sub-second-precision=true", "--log-opt", "fluentd-request-ack=true");
        listener = new TcpListener(IPAddress.Loopback, port);
        listener.Start();
        try
        {
            using var client = await listener.AcceptTcpClientAsync(Cancellation).AsTask().WaitAsync(s_limit, Cancellation);
            var message = Assert.IsType<object[]>(await new MessagePackReader(client.GetStream()).Read(Cancellation).WaitAsync(s_limit, Cancellation));
            Assert.Equal(8, Assert.IsType<byte[]>(message[1]).Length);
            Assert.Equal("hello", Assert.IsType<Dictionary<string, object>>(message[2])["log"]);
            var chunk = (string)Assert.IsType<Dictionary<string, object>>(message[3])["chunk"];
            await client.GetStream().WriteAsync((byte[])[0x81, 0xA3, .. "ack"u8, (byte)(0xA0 | chunk.Length), .. Encoding.ASCII.GetBytes(chunk)], Cancellation);
            Assert.Equal("hello\n", (await Docker.Run("logs", name)).Ok().Output);

            // The end of the delivery is the end of the connection.
            Assert.Equal(0, await client.GetStream().ReadAsync(new byte[1], Cancellation).AsTask().WaitAsync(s_limit, Cancellation));
        }
        finally
        {
            listener.Stop();
        }
    }

    [Fact]
    public async Task Fluentd_tells_the_parts_of_a_long_line()
    {
        using var listener = Listen(out var port);
        await Ran("head -c 20000 /dev/zero | tr '\\0' x; echo", "--log-driver", "fluentd", "--log-opt", $"fluentd-address=tcp://127.0.0.1:{port}");
        using var client = await listener.AcceptTcpClientAsync(Cancellation).AsTask().WaitAsync(s_limit, Cancellation);
        MessagePackReader reader = new(client.GetStream());
        var first = (Dictionary<string, object>)((object[])await reader.Read(Cancellation).WaitAsync(s_limit, Cancellation))[2];
        var last = (Dictionary<string, object>)((object[])await reader.Read(Cancellation).WaitAsync(s_limit, Cancellation))[2];
        Assert.Equal(("true", "1", "false"), (first["partial_message"], first["partial_ordinal"], first["partial_last"]));
        Assert.Equal(("true", "2", "true", first["partial_id"]), (last["partial_message"], last["partial_ordinal"], last["partial_last"], last["partial_id"]));
        Assert.Equal(new string('x', 20000), (string)first["log"] + (string)last["log"]);
    }

    [Fact]
    public async Task The_container_runs_on_while_its_receiver_is_away_and_nothing_is_lost()
    {
        using var listener = Listen(out var port);
        var name = Container();
        await Docker.Ok(
            "run", "-d", "--name", name, "--log-driver", "syslog", "--log-opt", $"syslog-address=tcp://127.0.0.1:{port}", "alpine",
            "sh", "-c", "echo first; while [ ! -e /go ]; do sleep 0.05; done; seq 100000; echo last; touch /done; sleep 1000");
        using (var first = await listener.AcceptTcpClientAsync(Cancellation).AsTask().WaitAsync(s_limit, Cancellation))
        {
            using StreamReader before = new(first.GetStream());
            Assert.EndsWith(": first", await before.ReadLineAsync(Cancellation), StringComparison.Ordinal);
        }
        listener.Stop();
        await Docker.Ok("exec", name, "touch", "/go");
        await Docker.Until(output => output.Contains("yes", StringComparison.Ordinal), ["exec", name, "sh", "-c", "[ -e /done ] && echo yes"]);
        using TcpListener again = new(IPAddress.Loopback, port);
        again.Start();
        using var second = await again.AcceptTcpClientAsync(Cancellation).AsTask().WaitAsync(s_limit, Cancellation);
        using StreamReader reader = new(second.GetStream());
        for (var i = 1; i <= 100_000; i++)
        {
            Assert.EndsWith($": {i}", await reader.ReadLineAsync(Cancellation).AsTask().WaitAsync(s_limit, Cancellation), StringComparison.Ordinal);
        }
        Assert.EndsWith(": last", await reader.ReadLineAsync(Cancellation).AsTask().WaitAsync(s_limit, Cancellation), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_written_while_no_engine_runs_is_delivered_by_the_next_one_once()
    {
        Assert.SkipUnless(IsSlipway, "ends its own engine");
        await using var engine = new Engine("logd");
        await engine.Start();
        await AlpineImage.Import(engine.Docker);
        using var receiver = Datagrams(out var port);
        await engine.Docker.Ok(
            "run", "-d", "--name", "lasting", "-v", $"{Folder()}:/signal", "--log-driver", "syslog", "--log-opt", $"syslog-address=udp://127.0.0.1:{port}", "alpine",
            "sh", "-c", "echo one; echo two; i=0; while [ $i -lt 40 ]; do sleep 0.1; i=$((i+1)); done; echo three; sleep 1000");
        Assert.EndsWith(": one\n", await Text(receiver), StringComparison.Ordinal);
        Assert.EndsWith(": two\n", await Text(receiver), StringComparison.Ordinal);
        await engine.Stop();
        await engine.Start();
        Assert.EndsWith(": three\n", await Text(receiver), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_last_records_of_a_container_that_removes_itself_arrive()
    {
        using var receiver = Datagrams(out var port);
        (await Docker.Run("run", "--rm", "--log-driver", "gelf", "--log-opt", $"gelf-address=udp://127.0.0.1:{port}", "--log-opt", "gelf-compression-type=none", "alpine", "echo", "hello")).Ok();
        Assert.Contains("\"hello\"", await Text(receiver), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_the_cache_the_log_cannot_be_read()
    {
        using var receiver = Datagrams(out var port);
        var name = await Ran("echo x", "--log-driver", "syslog", "--log-opt", $"syslog-address=udp://127.0.0.1:{port}", "--log-opt", "cache-disabled=true");
        Assert.Contains("configured logging driver does not support reading", (await Docker.Run("logs", name)).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_receiver_that_does_not_answer_fails_the_start_and_leaves_nothing()
    {
        var listener = Listen(out var port);
        listener.Stop();
        var name = Container();
        var result = await Docker.Run("run", "--name", name, "--log-driver", "syslog", "--log-opt", $"syslog-address=tcp://127.0.0.1:{port}", "alpine", "true");
        Assert.Equal(125, result.ExitCode);
        Assert.Contains($"failed to initialize logging driver: dial tcp 127.0.0.1:{port}: connect: connection refused", result.Error, StringComparison.Ordinal);
        Assert.Equal("created", await Docker.Inspect(name, "{{.State.Status}}"));
    }

    [Fact]
    public async Task Journald_is_refused_where_there_is_no_journal()
    {
        Assert.SkipWhen(File.Exists("/run/systemd/journal/socket"), "this host has a journal");
        Assert.Contains(
            "failed to initialize logging driver: journald is not enabled on this host",
            (await Docker.Run("run", "--name", Container(), "--log-driver", "journald", "alpine", "true")).Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("unknown log opt 'x' for json-file log driver", "json-file", "x=1")]
    [InlineData("unknown log opt 'x' for log driver local", "local", "x=1")]
    [InlineData("unknown log opt 'x' for syslog log driver", "syslog", "x=1")]
    [InlineData("unknown log opt 'max-size' for syslog log driver", "syslog", "max-size=1m")]
    [InlineData("unknown log opt 'x' for fluentd log driver", "fluentd", "x=1")]
    [InlineData("unknown log opt 'x' for journald log driver", "journald", "x=1")]
    [InlineData("unknown log opt \"x\" for gelf log driver", "gelf", "gelf-address=udp://127.0.0.1:1,x=1")]
    [InlineData("gelf-address is a required parameter", "gelf", "tag=x")]
    [InlineData("gelf: endpoint needs to be TCP or UDP", "gelf", "gelf-address=http://127.0.0.1:1")]
    [InlineData("gelf: please provide gelf-address as proto://host:port", "gelf", "gelf-address=udp://127.0.0.1")]
    [InlineData("compression is only supported on UDP", "gelf", "gelf-address=tcp://127.0.0.1:1,gelf-compression-type=gzip")]
    [InlineData("unknown value \"lz4\" for log opt \"gelf-compression-type\" for gelf log driver", "gelf", "gelf-address=udp://127.0.0.1:1,gelf-compression-type=lz4")]
    [InlineData("\"gelf-tcp-max-reconnect\" is only valid for TCP", "gelf", "gelf-address=udp://127.0.0.1:1,gelf-tcp-max-reconnect=1")]
    [InlineData("unsupported scheme: 'http'", "syslog", "syslog-address=http://127.0.0.1")]
    [InlineData("stat /nosuch: no such file or directory", "syslog", "syslog-address=unix:///nosuch")]
    [InlineData("invalid syslog facility", "syslog", "syslog-facility=nosuch")]
    [InlineData("Invalid syslog format", "syslog", "syslog-format=nosuch")]
    [InlineData("invalid fluentd-address (tcp://h/path): should not contain a path element", "fluentd", "fluentd-address=tcp://h/path")]
    [InlineData("invalid fluentd-address (http://h): unsupported scheme: 'http'", "fluentd", "fluentd-address=http://h")]
    [InlineData("logger: logging mode not supported: x", "json-file", "mode=x")]
    [InlineData("logger: max-buffer-size option is only supported with 'mode=non-blocking'", "json-file", "max-buffer-size=1m")]
    public async Task Bad_options_are_refused_in_Docker_s_words(string expected, string driver, string options)
    {
        var result = await Docker.Run(["create", "--log-driver", driver, .. options.Split(',').SelectMany(option => new[] { "--log-opt", option }), "alpine"]);
        Assert.Equal(1, result.ExitCode);
        Assert.Contains(expected, result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Labels_variables_and_tag_are_details_of_the_log()
    {
        var name = await Ran("echo x", "--label", "team=blue", "-e", "STAGE=a b", "--log-opt", "labels=team", "--log-opt", "env=STAGE", "--log-opt", "tag={{upper .ImageName}}");
        Assert.Equal("STAGE=a+b,tag=ALPINE,team=blue x\n", (await Docker.Run("logs", "--details", name)).Ok().Output);
        Assert.Contains("can't evaluate field Nosuch", (await Docker.Run("create", "--log-opt", "tag={{.Nosuch}}", "alpine")).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Info_lists_the_drivers() =>
        Assert.Equal("json-file [fluentd gelf journald json-file local syslog]", await Docker.Ok("info", "-f", "{{.LoggingDriver}} {{.Plugins.Log}}"));

    private static byte[] Decompress(byte[] data, string compression)
    {
        using MemoryStream packed = new(data);
        using Stream stream = compression switch
        {
            "gzip" => new GZipStream(packed, CompressionMode.Decompress),
            "zlib" => new ZLibStream(packed, CompressionMode.Decompress),
            _ => packed,
        };
        using MemoryStream plain = new();
        stream.CopyTo(plain);
        return plain.ToArray();
    }

    /// <summary>Reads what the tests need of MessagePack.</summary>
    private sealed class MessagePackReader(Stream stream)
    {
        public async Task<object> Read(CancellationToken cancellation)
        {
            int first = (await Exactly(stream, 1))[0];
            switch (first)
            {
                case < 0x80:
                    return (long)first;
                case < 0x90:
                    return await Map(first & 15, cancellation);
                case < 0xA0:
                    var items = new object[first & 15];
                    for (var i = 0; i < items.Length; i++)
                    {
                        items[i] = await Read(cancellation);
                    }
                    return items;
                case < 0xC0:
                    return Encoding.UTF8.GetString(await Exactly(stream, first & 31));
                case 0xCE:
                    return (long)await Number(4);
                case 0xD7:
                    Assert.Equal(0, (await Exactly(stream, 1))[0]);
                    return await Exactly(stream, 8);
                case 0xDA:
                    return Encoding.UTF8.GetString(await Exactly(stream, (int)await Number(2)));
                case 0xDE:
                    return await Map((int)await Number(2), cancellation);
                default:
                    throw new InvalidDataException($"unexpected type {first:x2}");
            }
        }

        private async Task<Dictionary<string, object>> Map(int count, CancellationToken cancellation)
        {
            Dictionary<string, object> map = [];
            for (var i = 0; i < count; i++)
            {
                map.Add((string)await Read(cancellation), await Read(cancellation));
            }
            return map;
        }

        private async Task<uint> Number(int bytes) => (await Exactly(stream, bytes)).Aggregate(0u, (value, next) => (value << 8) | next);
    }
}
