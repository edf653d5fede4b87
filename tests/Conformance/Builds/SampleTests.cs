using System.Net.Sockets;
using System.Text;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance.Builds;

/// <summary>The samples of this repository, built from one base, two at a time (a machine has few processors), while the first of their tests wait.</summary>
public sealed class BuiltSamples(SharedEngine engine) : IAsyncLifetime
{
    private readonly Dictionary<string, Task<CliResult>> _builds = [];
    private Task _base = Task.CompletedTask;

    private Docker Docker => engine.Docker;

    /// <summary>Begun here and without a test's context: what a test begins ends with it.</summary>
    public ValueTask InitializeAsync()
    {
        using (ExecutionContext.SuppressFlow())
        {
            _base = Task.Run(() => DebianImage.Import(Docker));
            Line("postgres", "nginx", "static", "static:alpine");
            Line("redis", "node", "dotnet", "redis:alpine");
        }

        return ValueTask.CompletedTask;

        void Line(params string[] samples)
        {
            var before = _base;
            foreach (var sample in samples)
            {
                var previous = before;
                _builds.Add(sample, Task.Run(() => After(previous, sample)));
                before = _builds[sample];
            }
        }
    }

    /// <summary>The image of a sample, by folder, and by stage where it is not the last: <c>static:alpine</c>.</summary>
    public async Task<string> Built(string sample)
    {
        (await _builds[sample]).Ok();
        return Name(sample);
    }

    public async ValueTask DisposeAsync()
    {
        await ((Task)Task.WhenAll(_builds.Values)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        string[] images = [.. _builds.Keys.Select(Name), DebianImage.Name, "dotnet:local"];
        await Docker.Run(["rmi", "-f", .. images]);
    }

    private async Task<CliResult> After(Task before, string sample)
    {
        await before.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _base;
        return await Build(sample);
    }

    private async Task<CliResult> Build(string sample)
    {
        var parts = sample.Split(':');
        if (parts[0] == "dotnet")
        {
            await ImportDotnet();
        }

        return await Programs.Run(
            Docker.Path,
            ["build", "-t", Name(sample), .. parts.Length > 1 ? (string[])["--target", parts[1]] : [], Path.Combine(Repository.Root, "samples", parts[0])],
            limit: Programs.Limit(300),
            environment: new Dictionary<string, string>(Docker.Variables) { ["DOCKER_BUILDKIT"] = "0" });
    }

    /// <summary>The SDK that these tests were built with, as an image. Left out is what no build of C# reads.</summary>
    private async Task ImportDotnet()
    {
        var folder = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(typeof(object).Assembly.Location)!, "../../.."));
        Requirement.Check(Directory.Exists(Path.Combine(folder, "sdk")), $"needs the .NET SDK in {folder}");
        var archive = Path.Combine(Path.GetTempPath(), $"slipway-dotnet-{Environment.ProcessId}.tar");
        try
        {
            (await Programs.Run(
                "tar",
                ["-C", Path.GetDirectoryName(folder)!, "--exclude=FSharp", "--exclude=sdk-manifests", "--exclude=templates", "--transform", $"s,^{Path.GetFileName(folder)},dotnet,", "-cf", archive, Path.GetFileName(folder)],
                limit: Programs.Limit(120))).Ok();
            (await Docker.RunFor(Programs.Limit(120), "import", archive, "dotnet:local")).Ok();
        }
        finally
        {
            File.Delete(archive);
        }
    }

    private static string Name(string sample) => $"sample-{sample.Replace(':', '-')}:1";
}

/// <summary>Images of real programs, from Debian's packages and from sources: built, run without root, and asked over their ports.</summary>
[Trait("needs", "packages")]
public sealed class SampleTests(SharedEngine engine, BuiltSamples samples) : EngineTest(engine), IClassFixture<BuiltSamples>
{
    /// <summary>Starts a sample; returns the container and where its port is published.</summary>
    private async Task<(string Container, int Port)> Run(string sample, int port, params string[] options)
    {
        var image = await samples.Built(sample);
        var name = Container();
        await Docker.Ok(["run", "-d", "--name", name, "-p", $"127.0.0.1:0:{port}", .. options, image]);
        return (name, int.Parse((await Docker.Ok("port", name, $"{port}/tcp")).Split(':')[^1], System.Globalization.CultureInfo.InvariantCulture));
    }

    /// <summary>Asks until somebody answers: the program has to come up first.</summary>
    private static async Task<string> Answer(int port, string request, string contains)
    {
        var last = "";
        for (var clock = System.Diagnostics.Stopwatch.StartNew(); clock.Elapsed < Programs.Limit(60); await Task.Delay(100, Cancellation))
        {
            try
            {
                using var client = new TcpClient();
                await client.ConnectAsync("127.0.0.1", port, Cancellation);
                await using var stream = client.GetStream();
                await stream.WriteAsync(Encoding.Latin1.GetBytes(request), Cancellation);
                client.Client.Shutdown(SocketShutdown.Send);
                using var reader = new StreamReader(stream);
                last = await reader.ReadToEndAsync(Cancellation);
                if (last.Contains(contains, StringComparison.Ordinal))
                {
                    return last;
                }
            }
            catch (Exception error) when (error is SocketException or IOException)
            {
                last = error.Message;
            }
        }

        throw new TimeoutException($"no answer with \"{contains}\" on port {port}; the last was: {last}");
    }

    private static string Get(string path) => $"GET {path} HTTP/1.1\r\nHost: sample\r\nConnection: close\r\n\r\n";

    /// <summary>Ends by the signal that the image names, and with the code of a program that was asked to.</summary>
    private async Task StopsWell(string container)
    {
        await Docker.Ok("stop", "-t", "20", container);
        Assert.Equal("0", await Docker.Inspect(container, "{{.State.ExitCode}}"));
    }

    private async Task<string> Users(string container) =>
        string.Join(' ', (await Docker.Run("top", container, "-eo", "user,pid")).Ok().Lines.Skip(1).Select(line => line.Split(' ')[0]).Distinct());

    [Fact]
    public async Task Nginx_serves_pages_without_root_and_on_a_read_only_root()
    {
        var (container, port) = await Run("nginx", 8080, "--read-only", "--tmpfs", "/tmp", "--tmpfs", "/var/cache/nginx:mode=1777");
        Assert.Contains("served by nginx", await Answer(port, Get("/"), "200 OK"), StringComparison.Ordinal);
        await Docker.Until(health => health == "healthy\n", ["inspect", "-f", "{{.State.Health.Status}}", container]);
        Assert.Equal("www-data", await Users(container));
        Assert.Contains("GET / HTTP/1.1", (await Docker.Run("logs", container)).Ok().Output, StringComparison.Ordinal);
        await StopsWell(container);
    }

    [Theory]
    [InlineData("redis")]
    [InlineData("redis:alpine")]
    public async Task Redis_gives_up_root_and_keeps_what_it_was_told(string sample)
    {
        if (sample.EndsWith(":alpine", StringComparison.Ordinal))
        {
            // Debian's busybox makes no users.
            Requirement.Shared();
        }

        var (container, port) = await Run(sample, 6379);
        await Answer(port, "SET name slipway\r\nGET name\r\nQUIT\r\n", "slipway");
        Assert.Equal("999", await Docker.Ok("exec", container, "stat", "-c", "%u", "/proc/1"));
        await StopsWell(container);
        await Docker.Ok("start", container);
        port = int.Parse((await Docker.Ok("port", container, "6379/tcp")).Split(':')[^1], System.Globalization.CultureInfo.InvariantCulture);
        await Answer(port, "GET name\r\nQUIT\r\n", "slipway");
    }

    [Fact]
    public async Task Postgres_makes_its_cluster_and_answers_queries()
    {
        var password = $"{Folder()}/password";
        await File.WriteAllTextAsync(password, "a secret", Cancellation);
        File.SetUnixFileMode(Path.GetDirectoryName(password)!, (UnixFileMode)0x1ED);
        var (container, port) = await Run("postgres", 5432, "-v", $"{password}:/run/password:ro", "-e", "POSTGRES_PASSWORD_FILE=/run/password", "--shm-size", "128m");

        // A client that asks for TLS (protocol documentation, "SSLRequest") gets one letter: this server has none.
        await Answer(port, "\0\0\0\x08\x04\xd2\x16\x2f", "N");
        string[] query = ["exec", "-e", "PGPASSWORD=a secret", container, "psql", "-h", "127.0.0.1", "-U", "postgres", "-Atc"];
        await Docker.Ok([.. query, "CREATE TABLE t AS SELECT g FROM generate_series(1, 42) g"]);
        Assert.Equal("42", await Docker.Ok([.. query, "SELECT count(*) FROM t"]));
        (await Docker.Run("exec", "-e", "PGPASSWORD=wrong", container, "psql", "-h", "127.0.0.1", "-U", "postgres", "-c", "SELECT 1")).Exited(2);
        await StopsWell(container);
    }

    [Fact]
    public async Task Node_answers_and_its_tests_were_a_stage_of_the_build()
    {
        var (container, port) = await Run("node", 3000, "--init");
        Assert.Contains("hello Ada from node", await Answer(port, Get("/?name=Ada"), "200 OK"), StringComparison.Ordinal);
        Assert.Contains("user 65534", (await Docker.Run("logs", container)).Ok().Output, StringComparison.Ordinal);
        (await Docker.Run("exec", container, "ls", "/app/greeting.test.mjs")).Exited(2);
        await StopsWell(container);
    }

    [Fact]
    public async Task Dotnet_is_restored_and_published_without_a_network()
    {
        var (container, port) = await Run("dotnet", 8080, "--cap-drop", "ALL");
        Assert.Contains("hello Ada from .NET, user app", await Answer(port, Get("/?name=Ada"), "200 OK"), StringComparison.Ordinal);
        await StopsWell(container);
    }

    [Theory]
    [InlineData("static", "65534")]
    [InlineData("static:alpine", "65534")]
    public async Task A_static_program_is_compiled_in_one_stage_and_alone_in_the_next(string sample, string user)
    {
        var (container, port) = await Run(sample, 8080, "--cap-drop", "ALL", "--security-opt", "no-new-privileges");
        Assert.Contains($"compiled in a stage, user {user}", await Answer(port, Get("/"), "200 OK"), StringComparison.Ordinal);
        if (sample == "static")
        {
            Assert.Equal("1", await Docker.Inspect($"sample-{sample}:1", "{{len .RootFS.Layers}}"));
        }

        await StopsWell(container);
    }
}
