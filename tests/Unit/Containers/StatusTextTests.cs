using Slipway.Engine.Containers;
using Slipway.Engine.Containers.Listing;
using Slipway.Engine.Containers.State;
using Xunit;

namespace Slipway.Tests.Unit.Containers;

public sealed class StatusTextTests
{
    private static readonly DateTimeOffset Now = new(2026, 3, 4, 5, 6, 7, TimeSpan.Zero);

    /// <summary>The steps of go-units' HumanDuration (duration.go and its tests).</summary>
    [Theory]
    [InlineData(0.45, "Less than a second")]
    [InlineData(1, "1 second")]
    [InlineData(45, "45 seconds")]
    [InlineData(46, "46 seconds")]
    [InlineData(59, "59 seconds")]
    [InlineData(60, "About a minute")]
    [InlineData(119, "About a minute")]
    [InlineData(180, "3 minutes")]
    [InlineData(35 * 60, "35 minutes")]
    [InlineData(59 * 60, "59 minutes")]
    [InlineData(60 * 60, "About an hour")]
    [InlineData(60 * 60 + 45 * 60, "2 hours")]
    [InlineData(3 * 3600, "3 hours")]
    [InlineData(3 * 3600 + 45 * 60, "4 hours")]
    [InlineData(24 * 3600, "24 hours")]
    [InlineData(36 * 3600, "36 hours")]
    [InlineData(48 * 3600, "2 days")]
    [InlineData(7 * 86400, "7 days")]
    [InlineData(13 * 86400, "13 days")]
    [InlineData(14 * 86400, "2 weeks")]
    [InlineData(29 * 86400, "4 weeks")]
    [InlineData(60 * 86400, "2 months")]
    [InlineData(365 * 86400, "12 months")]
    [InlineData(730 * 86400, "2 years")]
    public void Durations(double seconds, string text) => Assert.Equal(text, StatusText.Duration(TimeSpan.FromSeconds(seconds)));

    [Fact]
    public void Phases()
    {
        RunState running = new() { Phase = ContainerPhase.Running, StartedAt = Now.AddMinutes(-5) };
        Assert.Equal("Up 5 minutes", StatusText.Of(running, Now));
        Assert.Equal("Up 5 minutes (Paused)", StatusText.Of(running with { Phase = ContainerPhase.Paused }, Now));
        RunState exited = running.Exited(3, oomKilled: false, Now.AddSeconds(-2));
        Assert.Equal("Exited (3) 2 seconds ago", StatusText.Of(exited, Now));
        Assert.Equal("Restarting (3) 2 seconds ago", StatusText.Of(exited with { Phase = ContainerPhase.Restarting }, Now));
        Assert.Equal("Created", StatusText.Of(new RunState(), Now));
        Assert.Equal("Removal In Progress", StatusText.Of(exited with { Phase = ContainerPhase.Removing }, Now));
        Assert.Equal("Dead", StatusText.Of(exited with { Phase = ContainerPhase.Dead }, Now));
    }
}
