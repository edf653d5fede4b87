using Slipway.Api.Containers;
using Slipway.Engine.Containers;
using Slipway.Engine.Containers.Health;
using Slipway.Engine.Containers.State;
using Xunit;

namespace Slipway.Tests.Unit.Containers;

/// <summary>From configuration to policy, and from probe to probe.</summary>
public sealed class HealthTests
{
    private const long Second = 1_000_000_000;

    private static readonly DateTimeOffset s_start = DateTimeOffset.UnixEpoch;

    private static HealthPolicy? Policy(params string[] test) => HealthPolicy.Of(new ContainerConfig { Healthcheck = new HealthConfig { Test = [.. test] } });

    private static ProbeResult Probe(int exitCode, double second = 100, string output = "") =>
        new(s_start.AddSeconds(second), s_start.AddSeconds(second + 1), exitCode, output);

    [Fact]
    public void What_is_left_open_is_Dockers_default()
    {
        var policy = Policy("CMD", "true", "x")!;
        Assert.Equal(["true", "x"], policy.Command);
        Assert.Equal((30, 30, 3, 0, 5), (policy.Interval.TotalSeconds, policy.Timeout.TotalSeconds, policy.Retries, policy.StartPeriod.TotalSeconds, policy.StartInterval.TotalSeconds));
    }

    [Fact]
    public void What_is_given_is_taken()
    {
        var check = new HealthConfig { Test = ["CMD-SHELL", "exit 1"], Interval = Second, Timeout = 2 * Second, Retries = 4, StartPeriod = 5 * Second, StartInterval = Second / 2 };
        var policy = HealthPolicy.Of(new ContainerConfig { Healthcheck = check, Shell = ["/bin/ash", "-ec"] })!;
        Assert.Equal(["/bin/ash", "-ec", "exit 1"], policy.Command);
        Assert.Equal((1, 2, 4, 5), (policy.Interval.TotalSeconds, policy.Timeout.TotalSeconds, policy.Retries, policy.StartPeriod.TotalSeconds));
        Assert.Equal(TimeSpan.FromMilliseconds(500), policy.PauseFor(HealthStatus.Starting, TimeSpan.FromSeconds(4)));
        Assert.Equal(TimeSpan.FromSeconds(1), policy.PauseFor(HealthStatus.Starting, TimeSpan.FromSeconds(5)));
        Assert.Equal(TimeSpan.FromSeconds(1), policy.PauseFor(HealthStatus.Healthy, TimeSpan.FromSeconds(4)));
    }

    [Fact]
    public void An_interval_longer_than_a_timer_can_wait_is_cut() =>
        Assert.Equal(49, HealthPolicy.Of(new ContainerConfig { Healthcheck = new HealthConfig { Test = ["CMD", "true"], Interval = long.MaxValue } })!.Interval.TotalDays);

    [Fact]
    public void Other_tests_are_none()
    {
        Assert.Null(HealthPolicy.Of(new ContainerConfig()));
        Assert.Null(Policy());
        Assert.Null(Policy("NONE"));
        Assert.Null(Policy("CMD"));
        Assert.Null(Policy("FOO", "bar"));
    }

    [Fact]
    public void Retries_in_a_row_make_unhealthy_and_one_success_heals()
    {
        var policy = Policy("CMD", "x")!;
        var state = HealthState.Starting(null);
        state = state.Next(Probe(1), policy, s_start).Next(Probe(-1), policy, s_start);
        Assert.Equal((HealthStatus.Starting, 2), (state.Status, state.FailingStreak));
        var healthy = state.Next(Probe(0), policy, s_start);
        Assert.Equal((HealthStatus.Healthy, 0), (healthy.Status, healthy.FailingStreak));
        state = state.Next(Probe(2), policy, s_start).Next(Probe(2), policy, s_start);
        Assert.Equal((HealthStatus.Unhealthy, 4), (state.Status, state.FailingStreak));
        Assert.Equal((HealthStatus.Healthy, 0), (state.Next(Probe(0), policy, s_start).Status, state.Next(Probe(0), policy, s_start).FailingStreak));
    }

    [Fact]
    public void Failures_in_the_start_period_count_only_once_it_was_healthy()
    {
        var policy = Policy("CMD", "x")! with { Retries = 1, StartPeriod = TimeSpan.FromSeconds(50) };
        var state = HealthState.Starting(null).Next(Probe(1, second: 49), policy, s_start);
        Assert.Equal((HealthStatus.Starting, 0, 1), (state.Status, state.FailingStreak, state.Log.Count));
        Assert.Equal(HealthStatus.Unhealthy, state.Next(Probe(1, second: 50), policy, s_start).Status);
        Assert.Equal(HealthStatus.Unhealthy, state.Next(Probe(0, second: 10), policy, s_start).Next(Probe(1, second: 11), policy, s_start).Status);
    }

    [Fact]
    public void The_last_five_probes_are_kept_over_restarts()
    {
        var policy = Policy("CMD", "x")!;
        var state = Enumerable.Range(1, 7).Aggregate(HealthState.Starting(null), (state, i) => state.Next(Probe(0, i, $"{i}"), policy, s_start));
        Assert.Equal(["3", "4", "5", "6", "7"], state.Log.Select(probe => probe.Output));
        var ended = state.Suspended();
        Assert.Equal("unhealthy", ended.ToApi().Status);
        var again = HealthState.Starting(ended);
        Assert.Equal(("starting", 0), (again.ToApi().Status, again.FailingStreak));
        Assert.Equal("1970-01-01T00:00:03Z", again.ToApi().Log![0].Start);
    }

    [Theory]
    [InlineData("on-unhealthy", 0, 7, true)]
    [InlineData("on-unhealthy", 2, 1, true)]
    [InlineData("on-unhealthy", 2, 2, false)]
    [InlineData("always", 0, 0, false)]
    [InlineData("on-failure", 0, 0, false)]
    public void Only_one_policy_restarts_what_is_unhealthy(string policy, int maximum, int count, bool restarts) =>
        Assert.Equal(restarts, RestartDecision.ShouldRestartUnhealthy(new RestartPolicy(policy, maximum), new RunState { RestartCount = count }));

    [Theory]
    [InlineData(1, 0, true)]
    [InlineData(0, 0, false)]
    [InlineData(1, 3, false)]
    public void On_unhealthy_is_on_failure_too(int exitCode, int count, bool restarts) =>
        Assert.Equal(restarts, RestartDecision.ShouldRestart(new RestartPolicy("on-unhealthy", 3), new RunState { ExitCode = exitCode, RestartCount = count }));

    [Theory]
    [InlineData(0, "0s")]
    [InlineData(20, "20ms")]
    [InlineData(1500, "1.5s")]
    [InlineData(60_000, "1m0s")]
    [InlineData(3_605_250, "1h0m5.25s")]
    public void Durations_are_printed_as_Go_does(int milliseconds, string text) => Assert.Equal(text, Slipway.Engine.TimeText.Format(TimeSpan.FromMilliseconds(milliseconds)));
}
