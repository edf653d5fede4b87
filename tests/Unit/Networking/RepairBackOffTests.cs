using Slipway.Networking;
using Slipway.Tests.Unit.Cluster;
using Xunit;

namespace Slipway.Tests.Unit.Networking;

public sealed class RepairBackOffTests
{
    private readonly ManualClock _clock = new();

    [Fact]
    public void The_first_repairs_do_not_wait_and_those_that_follow_wait_longer_up_to_a_limit()
    {
        RepairBackOff backOff = new(_clock);
        for (int time = 1; time <= 10; time++)
        {
            Assert.Equal(TimeSpan.Zero, backOff.Next());
            Assert.False(backOff.IsRepeated);
        }

        Assert.Equal([100, 200, 400, 800, 1600, 3200, 5000, 5000], Enumerable.Range(0, 8).Select(_ => backOff.Next().TotalMilliseconds));
        Assert.True(backOff.IsRepeated);
        Assert.All(Enumerable.Range(0, 1000), _ => Assert.Equal(TimeSpan.FromSeconds(5), backOff.Next()));
    }

    [Fact]
    public void A_quiet_half_minute_is_forgotten_and_less_is_not()
    {
        RepairBackOff backOff = new(_clock);
        for (int time = 0; time < 12; time++)
        {
            backOff.Next();
        }

        _clock.Advance(TimeSpan.FromSeconds(30));
        Assert.Equal(400, backOff.Next().TotalMilliseconds);
        _clock.Advance(TimeSpan.FromSeconds(31));
        Assert.Equal(TimeSpan.Zero, backOff.Next());
        Assert.False(backOff.IsRepeated);
    }
}
