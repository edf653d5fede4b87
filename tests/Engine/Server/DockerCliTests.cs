using System.Diagnostics;
using System.Net.Sockets;
using Slipway.Api.Containers;
using Slipway.Api.Images;
using Slipway.Api.Registries;
using Slipway.Engine;
using Slipway.Engine.Images.Registries;
using Slipway.Registry.Distribution;
using Xunit;

namespace Slipway.Tests.Engine.Server;

/// <summary>The unmodified docker CLI against the server; needs <c>docker</c> in the path (Debian: docker-cli).</summary>
public sealed class DockerCliTests
{
    [Fact]
    public async Task Lists_are_printed()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.OnList = _ => [new ContainerSummary { Id = FakeEngine.Id, Names = ["/web"], Image = "alpine", Command = "sh", State = "running", Status = "Up 5 minutes" }];
        server.Engine.OnImages = (_, _) => [new ImageSummary { Id = "sha256:" + FakeEngine.Id, RepoTags = ["alpine:3.20"], Size = 7_800_000 }];

        Assert.Equal((0, "0123456789ab web Up 5 minutes\n", ""), await DockerAsync(server, "ps", "--format", "{{.ID}} {{.Names}} {{.Status}}"));
        Assert.Equal((0, "alpine 3.20 7.8MB\n", ""), await DockerAsync(server, "images", "--format", "{{.Repository}} {{.Tag}} {{.Size}}"));
        Assert.Equal((0, "1.50 1.24\n", ""), await DockerAsync(server, "version", "--format", "{{.Server.APIVersion}} {{.Server.MinAPIVersion}}"));
        Assert.Equal((0, FakeEngine.Id + "\n", ""), await DockerAsync(server, "info", "--format", "{{.ID}}"));
    }

    [Fact]
    public async Task An_exec_carries_stdin_stdout_stderr_and_the_exit_code()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.OnInspect = _ => Inspect();
        server.Engine.OnExecCreate = (_, _) => "e1";
        server.Engine.OnExecStart = (_, _) => FakeEngine.Session(terminal: false, async far =>
        {
            byte[] input = await far.ReadToEndAsync();
            await far.SendAsync((byte[])[2, 0, 0, 0, 0, 0, 0, 4, .. "err\n"u8, 1, 0, 0, 0, 0, 0, 0, (byte)input.Length, .. input]);
        });

        Assert.Equal((0, "typed\n", "err\n"), await DockerAsync(server, ["exec", "-i", "c", "cat"], "typed\n"));
    }

    [Fact]
    public async Task An_image_that_is_not_there_is_pulled_and_then_run()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        List<ImagePullRequest> pulls = [];
        server.Engine.OnCreate = _ => pulls.Count == 0 ? throw new EngineException(ErrorKind.NotFound, "No such image: some:9") : new ContainerCreateResponse(FakeEngine.Id, []);
        server.Engine.OnPull = async (pull, progress, _) =>
        {
            pulls.Add(pull);
            await progress(new ProgressMessage { Status = "Pulling from library/some", Id = "9" });
        };
        (int exit, string output, string error) = await DockerAsync(server, "create", "--platform", "linux/amd64", "some:9", "true");

        Assert.Equal((0, FakeEngine.Id + "\n"), (exit, output));
        Assert.Equal("Unable to find image 'some:9' locally\n9: Pulling from library/some\n", error);
        ImagePullRequest pull = Assert.Single(pulls);
        Assert.Equal(("docker.io/library/some", "9", "linux/amd64", null), (pull.Image, pull.Tag, pull.Platform, pull.Credentials));
    }

    [Fact]
    public async Task An_image_that_cannot_be_pulled_says_why()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.OnCreate = _ => throw new EngineException(ErrorKind.NotFound, "No such image: nosuch:9");
        server.Engine.OnPull = (_, _, _) => throw new EngineException(ErrorKind.NotFound, "manifest for nosuch:9 not found: manifest unknown");
        (int exit, string output, string error) = await DockerAsync(server, "run", "--rm", "nosuch:9", "true");

        Assert.Equal((125, ""), (exit, output));
        Assert.Contains("Unable to find image 'nosuch:9' locally", error, StringComparison.Ordinal);
        Assert.Contains("Error response from daemon: manifest for nosuch:9 not found: manifest unknown", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Credentials_of_the_user_come_with_a_push_and_an_error_in_the_stream_ends_it()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        List<RegistryCredentials?> seen = [];
        server.Engine.OnLogin = credentials =>
        {
            seen.Add(credentials);
            return new LoginAnswer { Status = "Login Succeeded" };
        };
        server.Engine.OnPush = async (push, progress, _) =>
        {
            seen.Add(push.Credentials);
            await progress(new ProgressMessage { Status = $"The push refers to repository [{push.Image}]" });
            throw new EngineException(ErrorKind.Forbidden, "denied: requested access to the resource is denied");
        };
        string folder = Directory.CreateTempSubdirectory("slipway-docker-config-").FullName;
        try
        {
            (int exit, string output, _) = await DockerAsync(server, ["--config", folder, "login", "-u", "me", "--password-stdin", "reg.example.com"], "secret");
            Assert.Equal((0, "Login Succeeded\n"), (exit, output));
            (exit, output, string error) = await DockerAsync(server, "--config", folder, "push", "reg.example.com/x:1");

            Assert.Equal((1, "The push refers to repository [reg.example.com/x]\n", "denied: requested access to the resource is denied\n"), (exit, output, error));
            Assert.All(seen, credentials => Assert.Equal(("me", "secret", "reg.example.com"), (credentials!.Username, credentials.Password, credentials.ServerAddress)));
            Assert.Equal(2, seen.Count);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task A_search_lists_what_was_found()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.OnSearch = (term, limit, filters) => [new SearchResult { Name = term, Description = $"{limit} {filters["stars"][0]}", StarCount = 7, IsOfficial = true }];
        (int exit, string output, _) = await DockerAsync(server, "search", "--limit", "5", "--filter", "stars=3", "--format", "{{.Name}} {{.Description}} {{.StarCount}} {{.IsOfficial}}", "word");

        Assert.Equal((0, "word 5 3 7 [OK]\n"), (exit, output));
    }

    [Fact]
    public async Task What_a_swarm_would_answer_names_itself()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        (int exit, _, string error) = await DockerAsync(server, "node", "ls");

        Assert.Equal(1, exit);
        Assert.StartsWith("Error response from daemon: This node is not a swarm manager.", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_load_prints_what_was_loaded_and_an_error_ends_it()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.OnLoad = (_, _, progress, _) => progress(new ProgressMessage { Stream = "Loaded image: x:1\n" }).AsTask();
        Assert.Equal((0, "Loaded image: x:1\n", ""), await DockerAsync(server, ["load"], "some archive"));

        server.Engine.OnLoad = (_, _, _, _) => throw new EngineException(ErrorKind.InvalidParameter, "unexpected EOF");
        Assert.Equal((1, "", "Error response from daemon: unexpected EOF\n"), await DockerAsync(server, ["load"], "no archive"));
    }

    private static ContainerInspect Inspect() => new()
    {
        Id = FakeEngine.Id,
        Created = "2026-01-01T00:00:00Z",
        State = new ContainerState { Status = "running", Running = true },
        Image = "sha256:" + FakeEngine.Id,
        Name = "/c",
        HostConfig = new HostConfig(),
        GraphDriver = new GraphDriverData(),
        Config = new ContainerConfig(),
        NetworkSettings = new NetworkSettings(),
    };

    private static Task<(int Exit, string Output, string Error)> DockerAsync(ServerUnderTest server, params string[] arguments) => DockerAsync(server, arguments, "");

    private static async Task<(int Exit, string Output, string Error)> DockerAsync(ServerUnderTest server, string[] arguments, string input)
    {
        ProcessStartInfo start = new("docker", arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["DOCKER_HOST"] = "unix://" + server.SocketPath;
        start.Environment["DOCKER_CONFIG"] = Path.GetDirectoryName(server.SocketPath);
        using Process docker = Process.Start(start)!;
        Task<string> output = docker.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        Task<string> error = docker.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await docker.StandardInput.WriteAsync(input);
        docker.StandardInput.Close();
        await docker.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (docker.ExitCode, await output, await error);
    }
}
