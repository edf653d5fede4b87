namespace Slipway.Networking;

/// <summary>
/// How long a repair waits. What somebody deletes once, as a firewall that restarts, is made again at once. Another program that deletes again what was made again would keep
/// both busy for ever: from the eleventh time on the waits double, up to some seconds. Longer ones would leave networks open, or unreachable, for longer than it takes to look.
/// Used by one thread.
/// </summary>
internal sealed class RepairBackOff(TimeProvider time)
{
    /// <summary>Repairs that do not wait.</summary>
    internal const int AtOnce = 10;

    internal static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(100);
    internal static readonly TimeSpan Longest = TimeSpan.FromSeconds(5);

    /// <summary>Without a repair for so long, those before are forgotten.</summary>
    internal static readonly TimeSpan Quiet = TimeSpan.FromSeconds(30);

    private long _last;
    private int _count;

    /// <summary>What is repaired now is undone again and again.</summary>
    public bool IsRepeated => _count > AtOnce;

    /// <summary>Notes a repair.</summary>
    /// <returns>How long it is to wait.</returns>
    public TimeSpan Next()
    {
        long now = time.GetTimestamp();
        if (_count > 0 && time.GetElapsedTime(_last, now) > Quiet)
        {
            _count = 0;
        }

        (_last, _count) = (now, Math.Min(_count + 1, AtOnce + 32));
        return IsRepeated ? TimeSpan.FromTicks(Math.Min(Longest.Ticks, Shortest.Ticks << (_count - AtOnce - 1))) : TimeSpan.Zero;
    }
}
