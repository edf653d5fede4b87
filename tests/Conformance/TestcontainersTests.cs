using System.Text;
using DotNet.Testcontainers.Builders;
using DotNet.Testcontainers.Configurations;
using DotNet.Testcontainers.Containers;
using DotNet.Testcontainers.Images;
using DotNet.Testcontainers.Networks;
using DotNet.Testcontainers.Volumes;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>Testcontainers, unmodified. Only its reaper, an image of a registry, is a stand-in (clients/reaper.c).</summary>
public sealed class TestcontainersTests(SharedEngine engine) : EngineTest(engine)
{
    // Of the busyboxes that images are made of, one has a web server, the other a netcat that serves again and again.
    private const string Server =
        "echo hello > /tmp/index.html; echo starting; busybox httpd -f -p 8080 -h /tmp || exec nc -lk -p 8080 -e sh -c 'read x; printf \"HTTP/1.1 200 OK\\r\\nContent-Length: 6\\r\\nConnection: close\\r\\n\\r\\nhello\\n\"'";

    private Uri Endpoint => new($"unix://{Docker.Socket}");

    /// <summary>What is left when the program ends, the reaper removes by the engine's socket in its container.</summary>
    [Fact]
    public async Task Of_node()
    {
        const string reaper = "localhost/sdk-testcontainers:reaper";
        await NodeClients.RequireAsync(version: 20);
        var folder = Folder();
        (await Programs.Run("gcc", ["-O1", "-static", "-o", Path.Combine(folder, "reaper"), Path.Combine(NodeClients.Sources, "reaper.c")])).Ok();
        (await Programs.Run("tar", ["-C", folder, "-cf", Path.Combine(folder, "reaper.tar"), "reaper"])).Ok();
        Cleanup(() => Docker.Run("rmi", "-f", "localhost/sdk-testcontainers:built", "localhost/sdk-testcontainers:committed", reaper));
        await Docker.Ok("import", "-c", "CMD [\"/reaper\"]", Path.Combine(folder, "reaper.tar"), reaper);

        var result = await NodeClients.Run("testcontainers.mjs", [folder], new Dictionary<string, string>(Docker.Variables) { ["RYUK_CONTAINER_IMAGE"] = reaper });
        Assert.Equal("ok", result.Ok().Line);
        await Docker.Until(output => output.Length == 0, ["ps", "-aq", "--filter", "label=org.testcontainers.lang=node"]);
        await Docker.Until(output => output.Length == 0, ["network", "ls", "-q", "--filter", "label=org.testcontainers.lang=node"]);
    }

    [Fact]
    public async Task Of_dotnet()
    {
        TestcontainersSettings.ResourceReaperEnabled = false;
        await using INetwork network = new NetworkBuilder().WithDockerEndpoint(Endpoint).Build();
        await network.CreateAsync(Cancellation);
        await using IVolume volume = new VolumeBuilder().WithDockerEndpoint(Endpoint).Build();
        await volume.CreateAsync(Cancellation);
        await using IContainer web = new ContainerBuilder("alpine:latest").WithDockerEndpoint(Endpoint).WithEntrypoint("sh", "-c").WithCommand(Server)
            .WithPortBinding(8080, assignRandomHostPort: true).WithNetwork(network).WithNetworkAliases("web").WithEnvironment("STAGE", "test").WithTmpfsMount("/scratch")
            .WithVolumeMount(volume, "/data").WithResourceMapping("copied\n"u8.ToArray(), "/etc/copied").WithCreateParameterModifier(create => create.HostConfig!.Memory = 64 << 20)
            .WithWaitStrategy(Wait.ForUnixContainer().UntilHttpRequestIsSucceeded(request => request.ForPort(8080)).UntilMessageIsLogged("starting").UntilInternalTcpPortIsAvailable(8080))
            .Build();
        await web.StartAsync(Cancellation);
        Assert.Equal(TestcontainersStates.Running, web.State);
        using HttpClient http = new();
        Assert.Equal("hello\n", await http.GetStringAsync(new Uri($"http://{web.Hostname}:{web.GetMappedPublicPort(8080)}/"), Cancellation));
        ExecResult executed = await web.ExecAsync(["sh", "-c", "cat /etc/copied; cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; echo $STAGE >&2; exit 3"], Cancellation);
        Assert.Equal((3, "copied\n67108864\n", "test\n"), (executed.ExitCode, executed.Stdout, executed.Stderr));
        await web.CopyAsync("mapped"u8.ToArray(), "/data/file", ct: Cancellation);
        Assert.Equal("mapped", Encoding.UTF8.GetString(await web.ReadFileAsync("/data/file", Cancellation)));
        Assert.Contains("starting", (await web.GetLogsAsync(ct: Cancellation)).Stdout, StringComparison.Ordinal);

        using MemoryStream output = new();
        using MemoryStream errors = new();
        using IOutputConsumer consumer = Consume.RedirectStdoutAndStderrToStream(output, errors);
        await using IContainer client = new ContainerBuilder("alpine:latest").WithDockerEndpoint(Endpoint).WithEntrypoint("sh", "-c").WithCommand("wget -qO- http://web:8080/; sleep 1000")
            .WithNetwork(network).WithOutputConsumer(consumer).WithWaitStrategy(Wait.ForUnixContainer().UntilCommandIsCompleted("true").UntilMessageIsLogged("hello")).Build();
        await client.StartAsync(Cancellation);
        await web.PauseAsync(Cancellation);
        Assert.Equal(TestcontainersStates.Paused, web.State);
        await web.UnpauseAsync(Cancellation);
        await web.StopAsync(Cancellation);
        await web.StartAsync(Cancellation);
        Assert.Equal("mapped", Encoding.UTF8.GetString(await web.ReadFileAsync("/data/file", Cancellation)));
    }

    [Fact]
    public async Task Of_dotnet_with_an_image_that_it_builds()
    {
        TestcontainersSettings.ResourceReaperEnabled = false;
        var folder = Folder();
        await File.WriteAllTextAsync(
            Path.Combine(folder, "Dockerfile"), "FROM alpine:latest\nARG WORD=one\nCOPY file /file\nRUN echo $WORD > /built\nHEALTHCHECK --interval=200ms CMD test -f /built\nCMD [\"sleep\", \"1000\"]\n", Cancellation);
        await File.WriteAllTextAsync(Path.Combine(folder, "file"), "of the context", Cancellation);
        await using IFutureDockerImage image = new ImageFromDockerfileBuilder().WithDockerEndpoint(Endpoint).WithDockerfileDirectory(folder).WithBuildArgument("WORD", "two")
            .WithName("localhost/sdk-testcontainers:dotnet").WithDeleteIfExists(true).Build();
        await image.CreateAsync(Cancellation);
        await using (IContainer built = new ContainerBuilder(image).WithDockerEndpoint(Endpoint).WithWaitStrategy(Wait.ForUnixContainer().UntilContainerIsHealthy()).Build())
        {
            await built.StartAsync(Cancellation);
            Assert.Equal("two\nof the context", (await built.ExecAsync(["cat", "/built", "/file"], Cancellation)).Stdout);
        }

        await using IContainer failing = new ContainerBuilder("alpine:latest").WithDockerEndpoint(Endpoint).WithCommand("sh", "-c", "exit 7").Build();
        await failing.StartAsync(Cancellation);
        Assert.Equal(7, await failing.GetExitCodeAsync(Cancellation));
        await using IContainer missing = new ContainerBuilder("localhost:1/no/such:image").WithDockerEndpoint(Endpoint).Build();
        var e = await Assert.ThrowsAnyAsync<Exception>(() => missing.StartAsync(Cancellation));
        Assert.Contains("connection refused", e.Message, StringComparison.Ordinal);
        await image.DeleteAsync(Cancellation);
        Assert.Equal("", await Docker.Ok("images", "-q", "localhost/sdk-testcontainers:dotnet"));
    }
}
