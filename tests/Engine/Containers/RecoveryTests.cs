using System.Diagnostics;
using Slipway.Api.Containers;
using Slipway.Engine.Containers;
using Xunit;

namespace Slipway.Tests.Engine.Containers;

/// <summary>Engines that end, supervisors that are killed, and what the next engine makes of it.</summary>
public sealed class RecoveryTests(EngineFixture fixture) : IClassFixture<EngineFixture>
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private IContainers Containers => fixture.Engine.Containers;

    [Fact]
    public async Task A_new_engine_adopts_what_runs_and_records_true_exits()
    {
        string running = await fixture.StartedAsync(EngineFixture.Request("sleep", "1000"));
        string ending = await fixture.StartedAsync(EngineFixture.Request("sh", "-c", "sleep 1; exit 33"));
        string paused = await fixture.StartedAsync(EngineFixture.Request("sleep", "1000"));
        string created = await fixture.CreateAsync(EngineFixture.Request("true"), "recovered");
        await Containers.PauseAsync(paused, Cancellation);
        int pid = fixture.Inspect(running).State.Pid;
        string address = fixture.Inspect(running).NetworkSettings.IPAddress;

        await fixture.Engine.DisposeAsync();
        await Task.Delay(2000, Cancellation);
        await fixture.StartAsync();

        Assert.Equal(("running", pid, address), (fixture.Inspect(running).State.Status, fixture.Inspect(running).State.Pid, fixture.Inspect(running).NetworkSettings.IPAddress));
        Assert.Equal(("exited", 33), (fixture.Inspect(ending).State.Status, fixture.Inspect(ending).State.ExitCode));
        Assert.Equal("paused", fixture.Inspect(paused).State.Status);
        Assert.Equal((created, "created"), (fixture.Inspect("recovered").Id, fixture.Inspect("recovered").State.Status));
        Assert.Equal((0, "still here\n"), await fixture.ExecAsync(running, "echo", "still here"));
        Assert.Equal($"{address}\n", (await fixture.ExecAsync(running, "sh", "-c", "ip -4 addr show eth0 | grep -o 'inet [0-9.]*' | cut -c6-")).Output);
        await Containers.StopAsync(running, 0, null, Cancellation);
        Assert.Equal(137, fixture.Inspect(running).State.ExitCode);
        await RemoveAllAsync();
    }

    [Fact]
    public async Task The_loss_of_the_supervisor_is_told_truthfully_and_survived()
    {
        string id = await fixture.StartedAsync(EngineFixture.Request("sleep", "1000"));
        ContainerCreateRequest request = EngineFixture.Request("sleep", "1000");
        request.HostConfig!.RestartPolicy = new RestartPolicy("always");
        string restarting = await fixture.StartedAsync(request);
        int pid = fixture.Inspect(id).State.Pid;
        int before = fixture.Inspect(restarting).State.Pid;

        Process.GetProcessById(SupervisorPid()).Kill();
        await Eventually(() => fixture.Inspect(id).State.Status == "exited");
        Assert.Equal(137, fixture.Inspect(id).State.ExitCode);
        await Eventually(() => !Directory.Exists($"/proc/{pid}"));
        await Eventually(() => fixture.Inspect(restarting).State is { Status: "running" } state && state.Pid != before);
        await Containers.StartAsync(id, Cancellation);
        Assert.Equal((0, "ok\n"), await fixture.ExecAsync(id, "echo", "ok"));
        await RemoveAllAsync();
    }

    [Fact]
    public async Task What_no_row_names_is_removed()
    {
        string id = await fixture.CreateAsync(EngineFixture.Request("true"));
        await fixture.Engine.DisposeAsync();
        string orphan = new('a', 64);
        Directory.CreateDirectory($"{fixture.Options.DataRoot}/containers/{orphan}/upper/x");
        Directory.CreateDirectory($"{fixture.Options.DataRoot}/containers/{orphan}/work");
        await fixture.StartAsync();
        Assert.False(Directory.Exists($"{fixture.Options.DataRoot}/containers/{orphan}"));
        Assert.Equal([id], Containers.List(new ContainerListOptions(All: true)).Select(container => container.Id));
        await RemoveAllAsync();
    }

    [Fact]
    public async Task Containers_that_are_to_run_always_are_started_with_the_engine()
    {
        ContainerCreateRequest request = EngineFixture.Request("sleep", "1000");
        request.HostConfig!.RestartPolicy = new RestartPolicy("always");
        string always = await fixture.StartedAsync(request);
        request = EngineFixture.Request("sleep", "1000");
        request.HostConfig!.RestartPolicy = new RestartPolicy("unless-stopped");
        string unlessStopped = await fixture.StartedAsync(request);
        await Containers.StopAsync(always, 0, null, Cancellation);
        await Containers.StopAsync(unlessStopped, 0, null, Cancellation);
        await fixture.RestartAsync();
        await Eventually(() => fixture.Inspect(always).State.Status == "running");
        Assert.Equal("exited", fixture.Inspect(unlessStopped).State.Status);
        await RemoveAllAsync();
    }

    private async Task RemoveAllAsync()
    {
        foreach (ContainerSummary container in Containers.List(new ContainerListOptions(All: true)))
        {
            await Containers.RemoveAsync(container.Id, new ContainerRemoveOptions(Force: true), Cancellation);
        }
    }

    /// <summary>The process that was started with this engine's directories.</summary>
    private int SupervisorPid() => Directory.GetDirectories("/proc")
        .Select(path => int.TryParse(Path.GetFileName(path), out int pid) ? pid : 0)
        .Single(pid => pid > 0 && CommandLine(pid).Contains($"--exec-root\0{fixture.Options.ExecRoot}\0", StringComparison.Ordinal));

    private static string CommandLine(int pid)
    {
        try
        {
            return File.ReadAllText($"/proc/{pid}/cmdline");
        }
        catch (IOException)
        {
            return "";
        }
    }

    private static async Task Eventually(Func<bool> condition)
    {
        for (int i = 0; i < 400 && !condition(); i++)
        {
            await Task.Delay(50, Cancellation);
        }

        Assert.True(condition());
    }
}
