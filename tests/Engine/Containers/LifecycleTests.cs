using System.Diagnostics;
using System.Text;
using Slipway.Api.Containers;
using Slipway.Engine;
using Slipway.Engine.Containers;
using Xunit;

namespace Slipway.Tests.Engine.Containers;

/// <summary>What is done to containers that exist, and what is refused.</summary>
public sealed class LifecycleTests(EngineFixture fixture) : IClassFixture<EngineFixture>
{
    private static readonly ContainerRemoveOptions Force = new(Force: true);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private IContainers Containers => fixture.Engine.Containers;

    [Fact]
    public async Task Stop_sends_the_signal_and_kills_after_the_timeout()
    {
        ContainerCreateRequest request = EngineFixture.Request("sh", "-c", "trap 'exit 9' USR1; while :; do sleep 0.05; done");
        request.StopSignal = "SIGUSR1";
        string polite = await fixture.StartedAsync(request);
        string stubborn = await fixture.StartedAsync(EngineFixture.Request("sleep", "1000"));
        await Task.Delay(300, Cancellation);
        await Containers.StopAsync(polite, 10, null, Cancellation);
        Assert.Equal(("exited", 9), Outcome(polite));

        long start = Stopwatch.GetTimestamp();
        await Containers.StopAsync(stubborn, 1, null, Cancellation);
        Assert.InRange(Stopwatch.GetElapsedTime(start).TotalSeconds, 1, 9);
        Assert.Equal(("exited", 137), Outcome(stubborn));
        Assert.Equal(ErrorKind.NotModified, (await Assert.ThrowsAsync<EngineException>(() => Containers.StopAsync(stubborn, 1, null, Cancellation))).Kind);
        await Containers.RemoveAsync(polite, Force, Cancellation);
        await Containers.RemoveAsync(stubborn, Force, Cancellation);
    }

    [Fact]
    public async Task Errors_of_states_are_dockers()
    {
        string id = await fixture.StartedAsync(EngineFixture.Request("sleep", "1000"), "statetest");
        await Refused(ErrorKind.NotModified, null, Containers.StartAsync("statetest", Cancellation));
        await Refused(ErrorKind.Conflict, $"Container {id} is not paused", Containers.UnpauseAsync("statetest", Cancellation));
        await Refused(
            ErrorKind.Conflict, "cannot remove container \"/statetest\": container is running: stop the container before removing or force remove",
            Containers.RemoveAsync("statetest", new ContainerRemoveOptions(), Cancellation));
        await Refused(ErrorKind.InvalidParameter, "cannot kill container: statetest: invalid signal: NOPE", Containers.KillAsync("statetest", "NOPE", Cancellation));

        await Containers.PauseAsync(id, Cancellation);
        await Refused(ErrorKind.Conflict, $"Container {id} is already paused", Containers.PauseAsync("statetest", Cancellation));
        await Refused(ErrorKind.Conflict, "cannot start a paused container, try unpause instead", Containers.StartAsync("statetest", Cancellation));
        await Refused(ErrorKind.Conflict, "Container statetest is paused, unpause the container before exec", fixture.ExecAsync("statetest", "true"));
        Assert.EndsWith(" (Paused)", Containers.List(new ContainerListOptions()).Single(container => container.Id == id).Status, StringComparison.Ordinal);

        await Containers.KillAsync("statetest", null, Cancellation);
        Assert.Equal(("exited", 137), Outcome(id));
        await Refused(ErrorKind.Conflict, $"cannot kill container: statetest: container {id} is not running", Containers.KillAsync("statetest", null, Cancellation));
        await Refused(ErrorKind.Conflict, $"container {id} is not running", Containers.PauseAsync("statetest", Cancellation));
        await Refused(ErrorKind.Conflict, $"container {id} is not running", fixture.ExecAsync("statetest", "true"));
        await Refused(ErrorKind.Conflict, $"container {id} is not running", Containers.TopAsync("statetest", "", Cancellation));
        await Containers.RemoveAsync("statetest", new ContainerRemoveOptions(), Cancellation);
        await Refused(ErrorKind.NotFound, "No such container: statetest", Containers.StartAsync("statetest", Cancellation));
    }

    [Fact]
    public async Task A_list_keeps_what_has_not_changed_and_nothing_else()
    {
        string id = await fixture.CreateAsync(EngineFixture.Request("sleep", "1000"), "listed1");
        ContainerSummary created = Listed();
        Assert.Same(created, Listed());

        await Containers.RenameAsync(id, "listed2", Cancellation);
        Assert.Equal(["/listed2"], Listed().Names);
        Assert.Equal("created", Listed().State);
        await Containers.StartAsync(id, Cancellation);
        Assert.Equal("running", Listed().State);
        Assert.StartsWith("Up ", Listed().Status, StringComparison.Ordinal);
        Assert.NotEmpty(Listed().NetworkSettings.Networks.Values.Single()!.NetworkID);
        ContainerSummary started = Listed();
        ContainerSummary later = started;
        while (later.Status == started.Status)
        {
            await Task.Delay(50, Cancellation);
            later = Listed();
        }

        Assert.Equal(started with { Status = later.Status }, later);
        await Containers.KillAsync(id, null, Cancellation);
        Assert.StartsWith("Exited (137) ", Listed().Status, StringComparison.Ordinal);
        Assert.Equal(["/listed1"], created.Names);
        Assert.Equal("Created", created.Status);
        await Containers.RemoveAsync(id, Force, Cancellation);

        ContainerSummary Listed() => Containers.List(new ContainerListOptions(All: true)).Single(container => container.Id == id);
    }

    [Fact]
    public async Task Names_are_unique_and_can_be_changed()
    {
        string first = await fixture.CreateAsync(EngineFixture.Request("true"), "one1");
        string second = await fixture.CreateAsync(EngineFixture.Request("true"), "two2");
        await Refused(
            ErrorKind.Conflict,
            $"Conflict. The container name \"/one1\" is already in use by container \"{first}\". You have to remove (or rename) that container to be able to reuse that name.",
            fixture.CreateAsync(EngineFixture.Request("true"), "one1"));
        await Refused(
            ErrorKind.Conflict,
            $"Error when allocating new name: Conflict. The container name \"/one1\" is already in use by container \"{first}\". You have to remove (or rename) that container to be able to reuse that name.",
            Containers.RenameAsync("two2", "one1", Cancellation));
        await Refused(
            ErrorKind.InvalidParameter,
            "Error when allocating new name: Invalid container name (/a b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
            Containers.RenameAsync("two2", "a b", Cancellation));
        await Refused(ErrorKind.InvalidParameter, "Renaming a container with the same name as its current name", Containers.RenameAsync("two2", "two2", Cancellation));
        await Containers.RenameAsync("two2", "three3", Cancellation);
        Assert.Equal("/three3", fixture.Inspect(second).Name);
        Assert.Equal(second, fixture.Inspect("three3").Id);
        Assert.Equal(second, fixture.Inspect("/three3").Id);
        Assert.Equal(second, fixture.Inspect(second[..12]).Id);
        await Containers.RemoveAsync(first, Force, Cancellation);
        await Containers.RemoveAsync(second, Force, Cancellation);
        await Containers.RemoveAsync(await fixture.CreateAsync(EngineFixture.Request("true"), "two2"), Force, Cancellation);
    }

    [Fact]
    public async Task An_image_that_does_not_exist_is_not_found() =>
        await Refused(ErrorKind.NotFound, "No such image: nosuchimage:latest", fixture.CreateAsync(new ContainerCreateRequest { Image = "nosuchimage", Cmd = ["true"], HostConfig = new() }));

    [Fact]
    public async Task On_failure_restarts_as_often_as_allowed()
    {
        ContainerCreateRequest request = EngineFixture.Request("sh", "-c", "echo run; exit 3");
        request.HostConfig!.RestartPolicy = new RestartPolicy("on-failure", 2);
        string id = await fixture.StartedAsync(request);
        await Eventually(() => fixture.Inspect(id) is { RestartCount: 2, State.Status: "exited" });
        Assert.Equal(3, (await LogAsync(id)).Split("run\n").Length - 1);
        await Containers.RemoveAsync(id, Force, Cancellation);
    }

    [Fact]
    public async Task Always_restarts_until_it_is_stopped()
    {
        ContainerCreateRequest request = EngineFixture.Request("true");
        request.HostConfig!.RestartPolicy = new RestartPolicy("always");
        string id = await fixture.StartedAsync(request);
        await Eventually(() => fixture.Inspect(id).RestartCount >= 2);
        await Containers.StopAsync(id, null, null, Cancellation);
        Assert.Equal("exited", fixture.Inspect(id).State.Status);
        int count = fixture.Inspect(id).RestartCount;
        await Task.Delay(500, Cancellation);
        Assert.Equal((count, "exited"), (fixture.Inspect(id).RestartCount, fixture.Inspect(id).State.Status));
        await Containers.RemoveAsync(id, Force, Cancellation);
    }

    [Fact]
    public async Task Restart_gives_a_new_process()
    {
        string id = await fixture.StartedAsync(EngineFixture.Request("sleep", "1000"));
        int pid = fixture.Inspect(id).State.Pid;
        await Containers.RestartAsync(id, 0, null, Cancellation);
        Assert.NotEqual(pid, fixture.Inspect(id).State.Pid);
        Assert.Equal("running", fixture.Inspect(id).State.Status);
        await Containers.RemoveAsync(id, Force, Cancellation);
    }

    [Fact]
    public async Task Execs_have_exit_codes_and_dockers_errors()
    {
        string id = await fixture.StartedAsync(EngineFixture.Request("sleep", "1000"));
        Assert.Equal((7, "0\n"), await fixture.ExecAsync(id, "sh", "-c", "id -u; exit 7"));
        Assert.Equal(137, (await fixture.ExecAsync(id, "sh", "-c", "kill -9 $$")).ExitCode);
        Assert.Equal(
            (127, "OCI runtime exec failed: exec failed: unable to start container process: exec: \"nosuch\": executable file not found in $PATH: unknown\r\n"),
            await fixture.ExecAsync(id, "nosuch"));
        Assert.Equal(126, (await fixture.ExecAsync(id, "/etc/passwd")).ExitCode);
        await Refused(ErrorKind.NotFound, "No such exec instance: nosuch", fixture.Engine.Execs.StartAsync("nosuch", new(), Cancellation));
        string exec = await fixture.Engine.Execs.CreateAsync(id, new() { Cmd = ["true"] }, Cancellation);
        Assert.Null(fixture.Engine.Execs.Inspect(exec).ExitCode);
        Assert.Null(await fixture.Engine.Execs.StartAsync(exec, new() { Detach = true }, Cancellation));
        await Eventually(() => fixture.Engine.Execs.Inspect(exec).ExitCode == 0);
        await Refused(ErrorKind.Conflict, $"Error: Exec command {exec} has already run", fixture.Engine.Execs.StartAsync(exec, new() { Detach = true }, Cancellation));
        await Containers.RemoveAsync(id, Force, Cancellation);
    }

    [Fact]
    public async Task Two_clients_see_the_same_output_and_past_output_comes_first()
    {
        ContainerCreateRequest request = EngineFixture.Request("sh", "-c", "echo early; read line; echo got $line");
        request.OpenStdin = true;
        string id = await fixture.StartedAsync(request);
        await Eventually(async () => await LogAsync(id) == "early\n");
        await using StreamSession first = await Containers.AttachAsync(id, new AttachOptions(true, true, true, true, true), Cancellation);
        await using StreamSession second = await Containers.AttachAsync(id, new AttachOptions(false, true, true, false, true), Cancellation);
        await first.Stream.WriteAsync(Encoding.UTF8.GetBytes("word\n"), Cancellation);
        Assert.Equal(("early\ngot word\n", ""), await EngineFixture.ReadAsync(first, Cancellation));
        Assert.Equal(("got word\n", ""), await EngineFixture.ReadAsync(second, Cancellation));
        await Containers.RemoveAsync(id, Force, Cancellation);
    }

    [Fact]
    public async Task A_client_that_leaves_before_the_start_leaves_no_descriptor()
    {
        string id = await fixture.CreateAsync(EngineFixture.Request("true"));

        // The engines of tests beside this one open descriptors in this process too: a leak shows every time, they do not.
        int grown = int.MaxValue;
        for (int round = 0; round < 10 && grown > 5; round++)
        {
            int before = Directory.GetFiles("/proc/self/fd").Length;
            for (int i = 0; i < 20; i++)
            {
                await (await Containers.AttachAsync(id, new AttachOptions(false, true, true, false, true), Cancellation)).DisposeAsync();
            }

            grown = Directory.GetFiles("/proc/self/fd").Length - before;
        }

        Assert.InRange(grown, int.MinValue, 5);
        await Containers.RemoveAsync(id, Force, Cancellation);
    }

    [Fact]
    public async Task Filters_choose_what_is_listed()
    {
        ContainerCreateRequest labelled = EngineFixture.Request("true");
        labelled.Labels = new Dictionary<string, string> { ["color"] = "red" };
        string red = await fixture.CreateAsync(labelled, "filter-red");
        string exited = await fixture.StartedAsync(EngineFixture.Request("sh", "-c", "exit 4"), "filter-exited");
        await fixture.WaitAsync(exited);
        string running = await fixture.StartedAsync(EngineFixture.Request("sleep", "1000"), "filter-running");
        Assert.Equal([red], Ids("label", "color=red"));
        Assert.Equal([exited], Ids("exited", "4"));
        Assert.Equal([red], Ids("status", "created"));
        Assert.Equal([running], Ids("name", "^/filter-run"));
        Assert.Equal([running, exited, red], Ids("ancestor", "busybox"));
        Assert.Equal([exited, red], Ids("before", "filter-running"));
        Assert.Equal("invalid filter 'status=nope'", Assert.Throws<EngineException>(() => Ids("status", "nope")).Message);
        Assert.Equal("invalid filter 'foo'", Assert.Throws<EngineException>(() => Ids("foo", "bar")).Message);
        foreach (string id in new[] { red, exited, running })
        {
            await Containers.RemoveAsync(id, Force, Cancellation);
        }

        IEnumerable<string> Ids(string key, string value) =>
            Containers.List(new ContainerListOptions(All: true) { Filters = new Filters(new Dictionary<string, IReadOnlyList<string>> { [key] = [value] }) }).Select(container => container.Id);
    }

    private (string Status, int ExitCode) Outcome(string id) => (fixture.Inspect(id).State.Status, fixture.Inspect(id).State.ExitCode);

    private async Task<string> LogAsync(string id)
    {
        LogSession session = await Containers.LogsAsync(id, new LogsOptions(true, true, false, false, false, null, null), Cancellation);
        StringBuilder text = new();
        await foreach (LogLine line in session.Lines)
        {
            text.Append(Encoding.UTF8.GetString(line.Text.Span));
        }

        return text.ToString();
    }

    private static async Task Refused(ErrorKind kind, string? message, Task call)
    {
        EngineException exception = await Assert.ThrowsAsync<EngineException>(() => call);
        Assert.Equal(kind, exception.Kind);
        if (message is not null)
        {
            Assert.Equal(message, exception.Message);
        }
    }

    private static Task Eventually(Func<bool> condition) => Eventually(() => Task.FromResult(condition()));

    private static async Task Eventually(Func<Task<bool>> condition)
    {
        for (int i = 0; i < 400 && !await condition(); i++)
        {
            await Task.Delay(50, Cancellation);
        }

        Assert.True(await condition());
    }
}
