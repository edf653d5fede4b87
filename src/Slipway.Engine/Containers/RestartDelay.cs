namespace Slipway.Engine.Containers;

/// <summary>The pause before a start by policy: Docker's, 100 ms doubled each time up to a minute, and anew after a run of ten seconds.</summary>
internal readonly record struct RestartDelay(TimeSpan Pause)
{
    private static readonly TimeSpan First = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan LongRun = TimeSpan.FromSeconds(10);

    /// <param name="ran">How long the container ran this time.</param>
    public RestartDelay Next(TimeSpan ran) =>
        Pause == TimeSpan.Zero || ran >= LongRun ? new RestartDelay(First)
        : Pause * 2 < Longest ? new RestartDelay(Pause * 2)
        : new RestartDelay(Longest);
}
