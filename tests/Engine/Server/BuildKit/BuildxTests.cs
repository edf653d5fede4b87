using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using Slipway.Engine.Builds;
using Slipway.Oci;
using Xunit;

namespace Slipway.Tests.Engine.Server.BuildKit;

/// <summary>The unmodified docker-buildx against the server, which translates what it asks for; what is built is a fake's business.</summary>
public sealed class BuildxTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("slipway-buildx-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task The_engine_is_listed_as_a_builder()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();

        (int exit, string output, string error) = await Buildx.RunAsync(server, _folder, ["buildx", "inspect"]);

        Assert.Equal((0, ""), (exit, error));
        Assert.Contains("Status:           running", output, StringComparison.Ordinal);
        Assert.Contains("host-gateway-ip: 10.1.2.3", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_build_reads_Dockerfile_context_and_secrets_and_tells_of_its_steps()
    {
        Write("Dockerfile", "FROM scratch\nCOPY . /\n");
        Write("a.txt", "hello\n");
        Write("sub/b.txt", "b\n");
        Write("skip/x", "no");
        Write("sec.txt", "hush");
        Directory.CreateDirectory(Path.Combine(_folder, "empty"));
        File.CreateSymbolicLink(Path.Combine(_folder, "link"), "a.txt");
        File.SetUnixFileMode(Path.Combine(_folder, "a.txt"), UnixFileMode.UserRead | UnixFileMode.UserExecute | UnixFileMode.OtherRead);
        File.SetLastWriteTimeUtc(Path.Combine(_folder, "a.txt"), new DateTime(2020, 2, 3, 4, 5, 6, 789, DateTimeKind.Utc));
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        List<string> seen = [];
        FakeBuilds builds = new(async (request, progress, token) =>
        {
            seen.Add(await FakeBuilds.DockerfileAsync(request, token));
            await using (IBuildDirectory context = await FakeBuilds.ContextAsync(request, [], ["skip", "sec.txt"], token))
            {
                seen.AddRange(Directory.GetFileSystemEntries(context.Path, "*", SearchOption.AllDirectories).Select(path => path[(context.Path.Length + 1)..]).Order(StringComparer.Ordinal));
                FileInfo file = new(Path.Combine(context.Path, "a.txt"));
                seen.Add($"{await File.ReadAllTextAsync(file.FullName, token)} {file.UnixFileMode} {file.LastWriteTimeUtc:yyyy-MM-dd HH:mm:ss.fff}");
                seen.Add(new FileInfo(Path.Combine(context.Path, "link")).LinkTarget!);
            }

            seen.Add(Encoding.UTF8.GetString((await request.Secrets!.GetAsync("s", token))!.Value.Span));
            seen.Add($"{await request.Secrets.GetAsync("other", token) is null}");
            await FakeBuilds.StepAsync(progress, "[1/1] COPY . /", "one line\n");
            return FakeBuilds.Result;
        });
        server.Engine.Builds = builds;

        (int exit, string output, string error) = await Buildx.RunAsync(
            server, _folder,
            [
                "buildx", "build", "--progress=plain", "--secret", "id=s,src=sec.txt", "-t", "x", "-t", "reg.example/y:2", "--build-arg", "A=1", "--label", "l=v", "--target", "t", "--no-cache",
                "--network", "none", "--add-host", "h:1.2.3.4", "--shm-size", "2m", "--ulimit", "nofile=10:20", "--pull", "--iidfile", Path.Combine(_folder, "iid"), ".",
            ]);

        Assert.True(exit == 0, error);
        Assert.Equal("", output);
        Assert.Equal(
            ["FROM scratch\nCOPY . /\n", "Dockerfile", "a.txt", "empty", "link", "sub", "sub/b.txt", "hello\n UserRead, UserExecute, OtherRead 2020-02-03 04:05:06.789", "a.txt", "hush", "True"],
            seen.Select(line => line.Replace("OtherRead, UserExecute, UserRead", "UserRead, UserExecute, OtherRead", StringComparison.Ordinal)));
        BuildRequest request = Assert.Single(builds.Requests);
        Assert.Equal(("1", "v", "t", true, "none", true), (request.Arguments["A"], request.Labels["l"], request.Target, request.NoCache, request.NetworkMode, request.Pull));
        Assert.Equal(["h:1.2.3.4"], request.ExtraHosts);
        Assert.Equal((2L << 20, 10L, 20L), (request.Limits.ShmSize, request.Limits.Ulimits[0].Soft, request.Limits.Ulimits[0].Hard));
        ImageOutput image = Assert.IsType<ImageOutput>(Assert.Single(request.Outputs));
        Assert.Equal(["docker.io/library/x:latest", "reg.example/y:2"], image.Names.Select(name => name.ToString()));
        Assert.Contains("[1/1] COPY . /", error, StringComparison.Ordinal);
        Assert.Contains("one line", error, StringComparison.Ordinal);
        Assert.Equal(FakeBuilds.Image.ToString(), await File.ReadAllTextAsync(Path.Combine(_folder, "iid"), TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Only_what_changed_is_sent_again()
    {
        Write("Dockerfile", "FROM scratch\n");
        Write("big", new string('x', 5_000_000));
        Write("small", "1");
        Write("gone", "1");
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        List<(long Current, string Small, bool Gone, string Big)> builds = [];
        server.Engine.Builds = new FakeBuilds(async (request, progress, token) =>
        {
            BuildVertex vertex = new(Digest.Of("v"u8), "[internal] load build context", []) { Started = DateTimeOffset.UtcNow };
            await progress.VertexAsync(vertex);
            await using IBuildDirectory context = await FakeBuilds.ContextAsync(request, [], [], token, vertex.Digest);
            await progress.VertexAsync(vertex with { Completed = DateTimeOffset.UtcNow });
            builds.Add((0, await File.ReadAllTextAsync(Path.Combine(context.Path, "small"), token), File.Exists(Path.Combine(context.Path, "gone")), await File.ReadAllTextAsync(Path.Combine(context.Path, "big"), token)));
            return FakeBuilds.Result;
        });

        (int exit, _, string first) = await Buildx.RunAsync(server, _folder, ["buildx", "build", "--progress=plain", "."]);
        Assert.True(exit == 0, first);
        Write("small", "22");
        File.Delete(Path.Combine(_folder, "gone"));
        (exit, _, string second) = await Buildx.RunAsync(server, _folder, ["buildx", "build", "--progress=plain", "."]);
        Assert.True(exit == 0, second);

        Assert.Contains("transferring context: 5.0", first, StringComparison.Ordinal);
        Assert.Matches(@"transferring context: \d+B", second);
        Assert.Equal([("1", true), ("22", false)], builds.Select(build => (build.Small, build.Gone)));
        Assert.All(builds, build => Assert.Equal(new string('x', 5_000_000), build.Big));
    }

    [Fact]
    public async Task A_step_that_fails_is_shown_with_its_lines()
    {
        Write("Dockerfile", "FROM scratch\nRUN \\\n  false\n# end\n");
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.Builds = new FakeBuilds(async (request, _, token) =>
        {
            await FakeBuilds.DockerfileAsync(request, token);
            throw new BuildException("process \"/bin/sh -c false\" did not complete successfully: exit code: 1") { ExitCode = 1, Lines = (2, 3) };
        });

        (int exit, _, string error) = await Buildx.RunAsync(server, _folder, ["buildx", "build", "--progress=plain", "."]);

        Assert.Equal(1, exit);
        Assert.Contains("Dockerfile:2\n", error, StringComparison.Ordinal);
        Assert.Contains("   2 | >>> RUN \\\n   3 | >>>   false\n   4 |     # end\n", error, StringComparison.Ordinal);
        Assert.Contains("ERROR: failed to solve: process \"/bin/sh -c false\" did not complete successfully: exit code: 1", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("tar")]
    [InlineData("oci")]
    [InlineData("docker")]
    [InlineData("local")]
    public async Task Results_come_as_archives_and_directories(string type)
    {
        Write("Dockerfile", "FROM scratch\n");
        string root = Path.Combine(_folder, "root");
        Write("root/etc/conf", "value\n");
        Write("root/big", new string('y', 3_000_000));
        File.CreateSymbolicLink(Path.Combine(root, "lnk"), "/etc/conf");
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        byte[] archive = [.. Enumerable.Range(0, 1_000_000).Select(i => (byte)i)];
        server.Engine.Builds = new FakeBuilds(async (request, _, token) =>
        {
            foreach (BuildOutput output in request.Outputs)
            {
                if (output is ArchiveOutput target)
                {
                    await using Stream stream = await target.Open(token);
                    await stream.WriteAsync(archive, token);
                }
                else if (output is FilesOutput files)
                {
                    using var handle = new Slipway.Kernel.Files.HostPath(root).Open(Slipway.Kernel.Files.OpenFlags.Directory);
                    await files.Target.WriteAsync(handle, "", token);
                }
            }

            return FakeBuilds.Result;
        });

        if (type != "local")
        {
            (int exit, _, string error) = await Buildx.RunAsync(server, _folder, ["buildx", "build", "-o", $"type={type},dest={type}.out", "."]);
            Assert.True(exit == 0, error);
            Assert.Equal(archive, await File.ReadAllBytesAsync(Path.Combine(_folder, $"{type}.out"), TestContext.Current.CancellationToken));
            return;
        }

        (int end, _, string said) = await Buildx.RunAsync(server, _folder, ["buildx", "build", "-o", "out", "."]);
        Assert.True(end == 0, said);
        Assert.Equal("value\n", await File.ReadAllTextAsync(Path.Combine(_folder, "out/etc/conf"), TestContext.Current.CancellationToken));
        Assert.Equal(3_000_000, new FileInfo(Path.Combine(_folder, "out/big")).Length);
        Assert.Equal("/etc/conf", new FileInfo(Path.Combine(_folder, "out/lnk")).LinkTarget);
    }

    [Fact]
    public async Task A_target_of_bake_is_made_from_the_image_of_another()
    {
        Write("a/Dockerfile", "FROM scratch\n");
        Write("b/Dockerfile", "FROM base\n");
        Write("bake.json", """{"target":{"a":{"context":"a"},"b":{"context":"b","contexts":{"base":"target:a"},"tags":["b:1"]}}}""");
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        FakeBuilds builds = new((_, _, _) => Task.FromResult(FakeBuilds.Result));
        server.Engine.Builds = builds;

        (int exit, _, string error) = await Buildx.RunAsync(server, _folder, ["buildx", "bake", "-f", "bake.json", "b"]);

        Assert.True(exit == 0, error);
        Assert.Equal(2, builds.Requests.Count);
        Assert.Equal(new ImageContext(FakeBuilds.Image.ToString()), Assert.Single(builds.Requests, request => request.NamedContexts.Count > 0).NamedContexts["base"]);
    }

    [Fact]
    public async Task An_agent_of_the_client_answers_a_step()
    {
        Write("Dockerfile", "FROM scratch\n");
        string path = Path.Combine(_folder, "agent.sock");
        using Socket agent = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        agent.Bind(new UnixDomainSocketEndPoint(path));
        agent.Listen();
        Task serving = ServeAgentAsync(agent);
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        List<string> seen = [];
        server.Engine.Builds = new FakeBuilds(async (request, _, token) =>
        {
            seen.Add($"{await request.SshAgents!.HasAsync("default", token)} {await request.SshAgents.HasAsync("other", token)}");
            await using Stream connection = await request.SshAgents.ConnectAsync("default", token);

            // SSH_AGENTC_REQUEST_IDENTITIES, and the answer that there are none (draft-ietf-sshm-ssh-agent, 3).
            await connection.WriteAsync((byte[])[0, 0, 0, 1, 11], token);
            byte[] answer = new byte[9];
            await connection.ReadExactlyAsync(answer, token);
            seen.Add(Convert.ToHexString(answer));
            return FakeBuilds.Result;
        });

        (int exit, _, string error) = await Buildx.RunAsync(server, _folder, ["buildx", "build", "--ssh", "default=" + path, "."]);

        Assert.True(exit == 0, error);
        Assert.Equal(["True False", "000000050C00000000"], seen);
        agent.Close();
        await serving;
    }

    [Fact]
    public async Task A_context_on_standard_input_is_a_stream()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        byte[] tar = TestTar.Of(("Dockerfile", "FROM scratch\n"));
        List<byte[]> seen = [];
        server.Engine.Builds = new FakeBuilds(async (request, _, token) =>
        {
            using MemoryStream all = new();
            await ((TarContext)request.Context!).Archive.CopyToAsync(all, token);
            seen.Add(all.ToArray());
            Assert.Equal(new DockerfileFile("Dockerfile"), request.Dockerfile);
            return FakeBuilds.Result;
        });

        (int exit, _, string error) = await Buildx.RunAsync(server, _folder, ["buildx", "build", "-"], tar);

        Assert.True(exit == 0, error);
        Assert.Equal(tar, Assert.Single(seen));
    }

    [Fact]
    public async Task A_client_that_is_interrupted_ends_its_build()
    {
        Write("Dockerfile", "FROM scratch\n");
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        TaskCompletionSource building = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
        server.Engine.Builds = new FakeBuilds(async (_, _, token) =>
        {
            building.SetResult();
            await Task.Delay(Timeout.Infinite, token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            ended.SetResult();
            throw new OperationCanceledException(token);
        });

        TaskCompletionSource<int> pid = new();
        Task<(int Exit, string, string)> client = Buildx.RunAsync(server, _folder, ["buildx", "build", "."], started: process => pid.SetResult(process.Id));
        await building.Task.WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
        using (Process kill = Process.Start("kill", ["-INT", $"{await pid.Task}"]))
        {
            await kill.WaitForExitAsync(TestContext.Current.CancellationToken);
        }

        await ended.Task.WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
        Assert.NotEqual(0, (await client).Exit);
    }

    [Fact]
    public async Task The_cache_is_listed_and_pruned()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        FakeBuilds builds = new((_, _, _) => Task.FromResult(FakeBuilds.Result))
        {
            Cache = { new BuildCacheRecord { Id = "abc123", Type = "regular", Description = "RUN make", Size = 12_000_000, CreatedAt = DateTimeOffset.UnixEpoch } },
        };
        server.Engine.Builds = builds;

        (int exit, string output, string error) = await Buildx.RunAsync(server, _folder, ["buildx", "du"]);
        Assert.True(exit == 0, error);
        Assert.Matches(@"abc123\s+true\s+12MB", output);

        (exit, output, error) = await Buildx.RunAsync(server, _folder, ["buildx", "prune", "-f", "--all", "--filter", "until=1h"]);
        Assert.True(exit == 0, error);
        Assert.Contains("abc123", output, StringComparison.Ordinal);
        BuildCachePrune prune = Assert.Single(builds.Prunes);
        Assert.True(prune.All);
        Assert.Equal(["3600s"], prune.Filters["until"]);
    }

    private void Write(string path, string text)
    {
        string full = Path.Combine(_folder, path);
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        File.WriteAllText(full, text);
    }

    private static async Task ServeAgentAsync(Socket agent)
    {
        try
        {
            while (true)
            {
                using Socket client = await agent.AcceptAsync();
                byte[] request = new byte[5];
                if (await client.ReceiveAsync(request) == 5)
                {
                    await client.SendAsync((byte[])[0, 0, 0, 5, 12, 0, 0, 0, 0]);
                    await client.ReceiveAsync(request);
                }
            }
        }
        catch (SocketException)
        {
            // The test is over.
        }
        catch (ObjectDisposedException)
        {
            // As above.
        }
    }
}
