using Slipway.Api.Containers;
using Slipway.Engine;
using Slipway.Engine.Containers;
using Xunit;

namespace Slipway.Tests.Engine.Containers;

/// <summary><c>--requires</c>: what is started before a container, and what happens when that fails.</summary>
public sealed class RequirementTests(EngineFixture fixture) : IClassFixture<EngineFixture>
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private IContainers Containers => fixture.Engine.Containers;

    [Fact]
    public async Task A_start_first_starts_what_is_required_and_waits_for_its_health()
    {
        string db = await fixture.CreateAsync(Checked("test -f /ready", "sleep 1; touch /ready; sleep 1000"), "db1");
        string web = await fixture.CreateAsync(Requiring("db1:healthy"), "web1");
        await Containers.StartAsync(web, Cancellation);
        Assert.Equal(("running", "healthy"), (fixture.Inspect(db).State.Status, fixture.Inspect(db).State.Health?.Status));
        Assert.Equal(["db1:healthy"], fixture.Inspect(web).HostConfig.Requires);
        Assert.True(DateTimeOffset.Parse(fixture.Inspect(web).State.StartedAt, null) > DateTimeOffset.Parse(fixture.Inspect(db).State.StartedAt, null));
    }

    [Fact]
    public async Task The_label_is_as_good_as_the_option_but_not_that_of_an_image()
    {
        string db = await fixture.CreateAsync(EngineFixture.Request("sleep", "1000"), "db2");
        ContainerCreateRequest request = EngineFixture.Request("sleep", "1000");
        request.Labels = new Dictionary<string, string> { ["slipway.requires"] = "db2, db2" };
        string web = await fixture.StartedAsync(request, "web2");
        Assert.Equal("running", fixture.Inspect(db).State.Status);
        Assert.Equal(["db2"], fixture.Inspect(web).HostConfig.Requires);

        await BusyboxImage.ImportAsync(fixture.Engine, ["LABEL slipway.requires=db2"], "labelled", Cancellation);
        request = EngineFixture.Request("true");
        request.Image = "busybox:labelled";
        Assert.Null(fixture.Inspect(await fixture.CreateAsync(request)).HostConfig.Requires);
    }

    [Theory]
    [InlineData("nobody3", "No such container: nobody3")]
    [InlineData("plain3:healthy", "has no health check")]
    [InlineData("plain3:ready", "invalid requirement \"plain3:ready\"")]
    [InlineData(":healthy", "invalid requirement")]
    public async Task What_cannot_be_required_is_refused_at_creation(string requirement, string message)
    {
        if (Containers.List(new ContainerListOptions(All: true)).All(container => !container.Names.Contains("/plain3")))
        {
            await fixture.CreateAsync(EngineFixture.Request("true"), "plain3");
        }

        EngineException error = await Assert.ThrowsAsync<EngineException>(() => fixture.CreateAsync(Requiring(requirement)));
        Assert.Equal(ErrorKind.InvalidParameter, error.Kind);
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Requirements_in_a_circle_are_refused_at_creation_and_at_start()
    {
        await fixture.CreateAsync(EngineFixture.Request("sleep", "1000"), "a4");
        await fixture.CreateAsync(Requiring("a4"), "b4");
        await Containers.RemoveAsync("a4", new ContainerRemoveOptions(), Cancellation);
        EngineException error = await Assert.ThrowsAsync<EngineException>(() => fixture.CreateAsync(Requiring("b4"), "a4"));
        Assert.Equal("containers require each other: a4 -> b4 -> a4", error.Message);

        // A name that is given later closes the circle unseen.
        await fixture.CreateAsync(Requiring("b4"), "c4");
        await Containers.RenameAsync("c4", "a4", Cancellation);
        error = await Assert.ThrowsAsync<EngineException>(() => Containers.StartAsync("a4", Cancellation));
        Assert.Equal("containers require each other: a4 -> b4 -> a4", error.Message);
        Assert.Equal("created", fixture.Inspect("a4").State.Status);
    }

    [Fact]
    public async Task A_start_whose_requirement_is_unhealthy_ends_or_is_paused_fails_and_says_why()
    {
        await fixture.CreateAsync(Checked("false", "sleep 1000"), "sick5");
        await fixture.CreateAsync(Checked("false", "sleep 1; exit 7", retries: 100), "brief5");
        await fixture.CreateAsync(EngineFixture.Request("/nosuch"), "broken5");
        await fixture.StartedAsync(EngineFixture.Request("sleep", "1000"), "paused5");
        await Containers.PauseAsync("paused5", Cancellation);
        await fixture.CreateAsync(EngineFixture.Request("true"), "gone5");
        foreach ((string requirement, string reason) in ((string, string)[])
            [("sick5:healthy", "it is unhealthy"), ("brief5:healthy", "it ended with exit code 7"), ("broken5", "/nosuch"), ("paused5", "it is paused"), ("gone5", "No such container")])
        {
            string web = await fixture.CreateAsync(Requiring(requirement));
            if (requirement == "gone5")
            {
                await Containers.RemoveAsync("gone5", new ContainerRemoveOptions(), Cancellation);
            }

            EngineException error = await Assert.ThrowsAsync<EngineException>(() => Containers.StartAsync(web, Cancellation));
            Assert.Equal(ErrorKind.Conflict, error.Kind);
            Assert.Contains($"requires {requirement.Split(':')[0]}: ", error.Message, StringComparison.Ordinal);
            Assert.Contains(reason, error.Message, StringComparison.Ordinal);
            Assert.Equal("created", fixture.Inspect(web).State.Status);
        }
    }

    [Fact]
    public async Task An_engine_that_starts_brings_containers_back_in_order_and_tries_again_until_it_can()
    {
        ContainerCreateRequest db = Checked("test -f /ready", "sleep 1; touch /ready; sleep 1000", retries: 100);
        db.HostConfig!.RestartPolicy = new RestartPolicy("always");
        await fixture.StartedAsync(db, "db6");
        ContainerCreateRequest web = Requiring("db6:healthy");
        web.HostConfig!.RestartPolicy = new RestartPolicy("always");
        await fixture.StartedAsync(web, "web6");
        int before = fixture.Inspect("web6").State.Pid;
        await fixture.Engine.DisposeAsync();
        foreach (string name in (string[])["web6", "db6"])
        {
            await KillAsync(name);
        }

        // The supervisor may need a moment to see that they ended, and until then they run.
        await fixture.StartAsync();
        await EventuallyAsync(() => fixture.Inspect("web6").State is { Status: "running", Pid: var pid } && pid != before);
        Assert.Equal("healthy", fixture.Inspect("db6").State.Health?.Status);
        Assert.True(DateTimeOffset.Parse(fixture.Inspect("web6").State.StartedAt, null) > DateTimeOffset.Parse(fixture.Inspect("db6").State.StartedAt, null));

        // Paused it cannot serve; once it goes on, so does the restart.
        await Containers.PauseAsync("db6", Cancellation);
        await KillAsync("web6");
        await EventuallyAsync(() => fixture.Inspect("web6").State.Error.Contains("requires db6: it is paused", StringComparison.Ordinal));
        Assert.Equal("restarting", fixture.Inspect("web6").State.Status);
        await Containers.UnpauseAsync("db6", Cancellation);
        await EventuallyAsync(() => fixture.Inspect("web6").State is { Status: "running", Error: "" });

        // A restart that waits can be stopped.
        await Containers.PauseAsync("db6", Cancellation);
        await KillAsync("web6");
        await EventuallyAsync(() => fixture.Inspect("web6").State.Error.Length > 0);
        await Containers.StopAsync("web6", 0, null, Cancellation);
        Assert.Equal("exited", fixture.Inspect("web6").State.Status);
    }

    private static ContainerCreateRequest Requiring(params string[] requirements)
    {
        ContainerCreateRequest request = EngineFixture.Request("sleep", "1000");
        request.HostConfig!.Requires = [.. requirements];
        return request;
    }

    private static ContainerCreateRequest Checked(string check, string command, int retries = 1)
    {
        ContainerCreateRequest request = EngineFixture.Request("sh", "-c", command);
        request.Healthcheck = new HealthConfig { Test = ["CMD-SHELL", check], Interval = 200_000_000, Retries = retries, StartPeriod = retries > 1 ? 0 : 60_000_000_000, StartInterval = 200_000_000 };
        if (check == "false")
        {
            request.Healthcheck.StartPeriod = 0;
        }

        return request;
    }

    private async Task KillAsync(string name)
    {
        int pid = fixture.Inspect(name).State.Pid;
        using System.Diagnostics.Process kill = System.Diagnostics.Process.Start("kill", ["-9", $"{pid}"]);
        await kill.WaitForExitAsync(Cancellation);
    }

    private static async Task EventuallyAsync(Func<bool> condition)
    {
        DateTimeOffset limit = DateTimeOffset.UtcNow + TimeSpan.FromSeconds(60);
        while (!condition())
        {
            Assert.True(DateTimeOffset.UtcNow < limit, "not reached within a minute");
            await Task.Delay(50, Cancellation);
        }
    }
}
