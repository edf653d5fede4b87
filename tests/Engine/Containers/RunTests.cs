using Slipway.Api.Containers;
using Slipway.Engine;
using Slipway.Engine.Containers;
using Xunit;

namespace Slipway.Tests.Engine.Containers;

/// <summary>A container from create to removal.</summary>
public sealed class RunTests(EngineFixture fixture) : IClassFixture<EngineFixture>
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Output_and_error_stay_apart_and_the_exit_code_comes_through()
    {
        RunResult result = await fixture.RunAsync("sh", "-c", "echo out; echo err >&2; exit 42");
        Assert.Equal(new RunResult(42, "out\n", "err\n"), result);
        Assert.Empty(fixture.Engine.Containers.List(new ContainerListOptions(All: true)));
    }

    [Fact]
    public async Task Input_reaches_the_process_and_its_end_too() =>
        Assert.Equal(new RunResult(0, "hello", ""), await fixture.RunAsync(EngineFixture.Request("cat"), "hello"));

    [Fact]
    public async Task The_process_is_the_first_of_its_namespace_and_has_the_hostname()
    {
        ContainerCreateRequest request = EngineFixture.Request("sh", "-c", "echo $$; hostname; cat /etc/hostname; ps | wc -l");
        request.Hostname = "web";
        RunResult result = await fixture.RunAsync(request);
        Assert.Equal(["1", "web", "web"], result.Output.Split('\n')[..3]);
    }

    [Fact]
    public async Task Environment_is_dockers()
    {
        ContainerCreateRequest request = EngineFixture.Request("/bin/env");
        request.Env = ["A=1", "PATH=/bin", "B=x=y"];
        request.Hostname = "h";
        RunResult result = await fixture.RunAsync(request);
        Assert.Equal("PATH=/bin\nHOSTNAME=h\nA=1\nB=x=y\nHOME=/root\n", result.Output);
    }

    [Fact]
    public async Task Users_come_from_the_image()
    {
        ContainerCreateRequest request = EngineFixture.Request("sh", "-c", "id -u; id -g; echo $HOME");
        request.User = "nobody:staff";
        Assert.Equal("65534\n50\n/nowhere\n", (await fixture.RunAsync(request)).Output);
    }

    [Theory]
    [InlineData("nosuch", 127, "exec: \"nosuch\": executable file not found in $PATH")]
    [InlineData("/no/such", 127, "exec: \"/no/such\": stat /no/such: no such file or directory")]
    [InlineData("/etc/passwd", 126, "exec: \"/etc/passwd\": permission denied")]
    [InlineData("/etc", 126, "exec: \"/etc\": is a directory")]
    public async Task A_program_that_cannot_be_started_is_told_in_dockers_words(string program, int exitCode, string text)
    {
        string id = await fixture.CreateAsync(EngineFixture.Request(program));
        EngineException exception = await Assert.ThrowsAsync<EngineException>(() => fixture.Engine.Containers.StartAsync(id, Cancellation));
        Assert.Equal(ErrorKind.InvalidParameter, exception.Kind);
        Assert.StartsWith("failed to create task for container: ", exception.Message, StringComparison.Ordinal);
        Assert.Contains(text, exception.Message, StringComparison.Ordinal);
        ContainerState state = fixture.Inspect(id).State;
        Assert.Equal(("created", exitCode, 0), (state.Status, state.ExitCode, state.Pid));
        Assert.Equal(exception.Message, state.Error);
        await fixture.Engine.Containers.RemoveAsync(id, new ContainerRemoveOptions(), Cancellation);
    }

    [Fact]
    public async Task A_start_that_fails_removes_a_container_that_removes_itself()
    {
        ContainerCreateRequest request = EngineFixture.Request("nosuch");
        request.HostConfig!.AutoRemove = true;
        string id = await fixture.CreateAsync(request);
        ContainerWait wait = fixture.Engine.Containers.Wait(id, WaitCondition.Removed, Cancellation);
        await using StreamSession session = await fixture.Engine.Containers.AttachAsync(id, new AttachOptions(false, true, true, false, true), Cancellation);
        await Assert.ThrowsAsync<EngineException>(() => fixture.Engine.Containers.StartAsync(id, Cancellation));
        Assert.Equal(127, (await wait.Exit).StatusCode);
        Assert.Equal(("", ""), await EngineFixture.ReadAsync(session, Cancellation));
        EngineException gone = Assert.Throws<EngineException>(() => fixture.Inspect(id));
        Assert.Equal((ErrorKind.NotFound, $"No such container: {id}"), (gone.Kind, gone.Message));
    }

    [Fact]
    public async Task Files_written_stay_over_a_restart_and_go_with_the_container()
    {
        string id = await fixture.StartedAsync(EngineFixture.Request("sh", "-c", "cat /tmp/mark 2>/dev/null && exit 5; echo here > /tmp/mark"));
        Assert.Equal(0, await fixture.WaitAsync(id));
        await fixture.Engine.Containers.StartAsync(id, Cancellation);
        Assert.Equal(5, await fixture.WaitAsync(id));
        string upper = $"{fixture.Options.DataRoot}/containers/{id}";
        Assert.True(Directory.Exists(upper));
        await fixture.Engine.Containers.RemoveAsync(id, new ContainerRemoveOptions(), Cancellation);
        Assert.False(Directory.Exists(upper));
    }

    [Fact]
    public async Task A_bind_is_seen_and_a_read_only_one_cannot_be_written()
    {
        string directory = Directory.CreateTempSubdirectory("slipway-bind-").FullName;
        try
        {
            await File.WriteAllTextAsync($"{directory}/a", "from the host", Cancellation);
            ContainerCreateRequest request = EngineFixture.Request("sh", "-c", "cat /rw/a; touch /rw/b; touch /ro/c || echo refused");
            request.HostConfig!.Binds = [$"{directory}:/rw", $"{directory}:/ro:ro"];
            RunResult result = await fixture.RunAsync(request);
            Assert.Equal("from the hostrefused\n", result.Output);
            Assert.True(File.Exists($"{directory}/b"));
            Assert.False(File.Exists($"{directory}/c"));
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [Fact]
    public async Task Anonymous_volumes_go_with_their_container_and_named_ones_stay()
    {
        ContainerCreateRequest request = EngineFixture.Request("sh", "-c", "echo 1 > /named/x; echo 2 > /anonymous/y");
        request.HostConfig!.Binds = ["keep:/named"];
        request.Volumes = new Dictionary<string, EmptyObject> { ["/anonymous"] = new() };
        Assert.Equal(0, (await fixture.RunAsync(request)).ExitCode);
        Assert.Equal(["keep"], Directory.GetDirectories($"{fixture.Options.DataRoot}/volumes").Select(Path.GetFileName));
        Assert.Equal("1\n", await File.ReadAllTextAsync($"{fixture.Options.DataRoot}/volumes/keep/_data/x", Cancellation));
    }

    [Fact]
    public async Task Read_only_root_and_tmpfs()
    {
        ContainerCreateRequest request = EngineFixture.Request("sh", "-c", "touch /x || echo refused; touch /scratch/x && echo written; stat -f -c %T /scratch");
        request.HostConfig!.ReadonlyRootfs = true;
        request.HostConfig.Tmpfs = new Dictionary<string, string> { ["/scratch"] = "size=1m" };
        Assert.Equal("refused\nwritten\ntmpfs\n", (await fixture.RunAsync(request)).Output);
    }

    [Fact]
    public async Task Network_none_has_a_loopback_device_alone()
    {
        ContainerCreateRequest request = EngineFixture.Request("sh", "-c", "ls /sys/class/net");
        request.HostConfig!.NetworkMode = "none";
        Assert.Equal("lo\n", (await fixture.RunAsync(request)).Output);
    }

    [Fact]
    public async Task The_bridge_gives_an_address_which_inspect_shows()
    {
        string id = await fixture.StartedAsync(EngineFixture.Request("sleep", "1000"));
        (_, string address) = await fixture.ExecAsync(id, "sh", "-c", "ip -4 addr show eth0 | grep -o 'inet [0-9.]*'");
        NetworkSettings network = fixture.Inspect(id).NetworkSettings;
        Assert.Equal($"inet {network.IPAddress}\n", address);
        Assert.StartsWith("10.217.", network.IPAddress, StringComparison.Ordinal);
        Assert.Equal(network.IPAddress, network.Networks["bridge"]!.IPAddress);
        await fixture.Engine.Containers.RemoveAsync(id, new ContainerRemoveOptions(Force: true), Cancellation);
    }

    [Fact]
    public async Task A_network_namespace_is_shared()
    {
        string first = await fixture.StartedAsync(EngineFixture.Request("sleep", "1000"));
        ContainerCreateRequest request = EngineFixture.Request("sh", "-c", "ip -4 addr show eth0 | grep -o 'inet [0-9.]*'");
        request.HostConfig!.NetworkMode = $"container:{first[..12]}";
        Assert.Equal($"inet {fixture.Inspect(first).NetworkSettings.IPAddress}\n", (await fixture.RunAsync(request)).Output);
        await fixture.Engine.Containers.RemoveAsync(first, new ContainerRemoveOptions(Force: true), Cancellation);
    }

    [Fact]
    public async Task Memory_beyond_the_limit_is_told_as_an_oom_kill()
    {
        ContainerCreateRequest request = EngineFixture.Request("sh", "-c", "dd if=/dev/zero of=/dev/null bs=64M count=1 & wait $!; head -c 60000000 /dev/zero | grep -c x");
        request.HostConfig!.Memory = 16 << 20;
        string id = await fixture.StartedAsync(request);
        await fixture.WaitAsync(id);
        Assert.True(fixture.Inspect(id).State.OOMKilled);
        await fixture.Engine.Containers.RemoveAsync(id, new ContainerRemoveOptions(), Cancellation);
    }

    [Fact]
    public async Task Fifty_at_once_all_succeed_and_leave_nothing()
    {
        RunResult[] results = await Task.WhenAll(Enumerable.Range(0, 50).Select(i => fixture.RunAsync("sh", "-c", $"echo {i}; exit {i}")));
        Assert.Equal(Enumerable.Range(0, 50).Select(i => new RunResult(i, $"{i}\n", "")), results);
        Assert.Empty(Directory.GetDirectories($"{fixture.Options.DataRoot}/containers"));
    }

    [Fact]
    public async Task Explain_names_the_steps_and_leaves_nothing()
    {
        string id = await fixture.CreateAsync(EngineFixture.Request("sleep", "1000"));
        string stopped = await fixture.Engine.Containers.ExplainAsync(id, Cancellation);
        Assert.Contains("execve", stopped, StringComparison.Ordinal);
        await fixture.Engine.Containers.StartAsync(id, Cancellation);
        string running = await fixture.Engine.Containers.ExplainAsync(id, Cancellation);
        Assert.Contains("pivot_root", running, StringComparison.Ordinal);
        Assert.Equal([id], Directory.GetDirectories($"{fixture.Options.DataRoot}/containers").Select(Path.GetFileName));
        await fixture.Engine.Containers.RemoveAsync(id, new ContainerRemoveOptions(Force: true), Cancellation);
    }
}
