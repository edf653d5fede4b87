using System.Collections.Concurrent;

namespace Slipway.Tests.Unit.Registry.Distribution;

/// <summary>A clock that can be put forward. Short waits are over at once, and written down; long ones (time-outs) take their time.</summary>
/// <param name="skipsWaits">False: all waits take their time.</param>
internal sealed class FakeTime(bool skipsWaits = true) : TimeProvider
{
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(90);

    private TimeSpan _ahead;

    public ConcurrentQueue<TimeSpan> Waits { get; } = new();

    public void Advance(TimeSpan time) => _ahead += time;

    public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + _ahead;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        if (!skipsWaits || dueTime < TimeSpan.Zero || dueTime > LongestWait)
        {
            return base.CreateTimer(callback, state, dueTime, period);
        }

        Waits.Enqueue(dueTime);
        return base.CreateTimer(callback, state, TimeSpan.Zero, period);
    }
}
