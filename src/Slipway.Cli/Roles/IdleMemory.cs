namespace Slipway.Cli.Roles;

/// <summary>
/// Gives memory back when a burst of work is over: the collector keeps what it grew to as long as nothing allocates, and an engine
/// that idles for days would hold the pages of its busiest minute. Between bursts that follow each other nothing is given back: each would
/// have to fault its pages in again.
/// </summary>
internal static class IdleMemory
{
    private const long BusyBytes = 1 << 20;
    private static readonly TimeSpan _interval = TimeSpan.FromSeconds(10);

    /// <summary>Watches until cancelled. A collection happens once after each busy time, when nothing is under way.</summary>
    public static async Task WatchAsync(TimeProvider time, CancellationToken cancellationToken)
    {
        using PeriodicTimer timer = new(_interval, time);
        long before = GC.GetTotalAllocatedBytes();
        bool wasBusy = true;
        try
        {
            while (await timer.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false))
            {
                long now = GC.GetTotalAllocatedBytes();
                bool busy = now - before > BusyBytes;
                if (wasBusy && !busy)
                {
                    GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
                }

                (before, wasBusy) = (now, busy);
            }
        }
        catch (OperationCanceledException)
        {
            // The daemon ends.
        }
    }
}
