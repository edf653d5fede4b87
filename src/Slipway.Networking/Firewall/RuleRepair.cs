using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>
/// Watches for tables that another program deletes (<c>nft flush ruleset</c>, as a restart of nftables.service does it) or takes something out of (<c>nft flush chain</c>): without its
/// rules a network would neither be reached nor closed. A thread that sleeps.
/// </summary>
internal sealed class RuleRepair : IAsyncDisposable
{
    /// <summary>What the names of all our tables begin with.</summary>
    private const string Prefix = "slipway";

    private readonly NfTablesMonitor _monitor;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Func<NfTablesDeletion, bool> _isContentOurs;
    private readonly Func<IReadOnlySet<NfTablesDeletion>, bool, Task> _repair;
    private readonly RepairBackOff _backOff;
    private readonly Action _repeated;

    /// <summary>Watches in the network namespace of the calling thread.</summary>
    /// <param name="isOwn">Whether a port id is that of a session of ours: what we delete needs no repair.</param>
    /// <param name="isContentOurs">Whether it is for us to repair what a table lost.</param>
    /// <param name="repair">Called with what others deleted, and whether they do so again and again. Does not throw.</param>
    /// <param name="repeated">Called when another program begins to undo every repair, before the first that waits.</param>
    /// <exception cref="Kernel.KernelException">The kernel does not tell.</exception>
    public RuleRepair(Func<uint, bool> isOwn, Func<NfTablesDeletion, bool> isContentOurs, Func<IReadOnlySet<NfTablesDeletion>, bool, Task> repair, Action repeated, TimeProvider time)
    {
        (_isContentOurs, _repair, _repeated, _backOff) = (isContentOurs, repair, repeated, new RepairBackOff(time));
        _monitor = new NfTablesMonitor(isOwn);
        new Thread(Run, maxStackSize: 256 * 1024) { IsBackground = true, Name = "slipway-rules" }.Start();
    }

    public async ValueTask DisposeAsync()
    {
        _monitor.Stop();
        await _ended.Task.ConfigureAwait(false);
        _monitor.Dispose();
    }

    private void Run()
    {
        while (_monitor.Wait() is { } deleted)
        {
            if (!deleted.Any(IsOurs))
            {
                continue;
            }

            bool before = _backOff.IsRepeated;
            TimeSpan pause = _backOff.Next();
            if (_backOff.IsRepeated && !before)
            {
                _repeated();
            }

            if (pause > TimeSpan.Zero && !_monitor.Collect(deleted, pause))
            {
                break;
            }

            _ = _repair(deleted, _backOff.IsRepeated);
        }

        _ended.SetResult();
    }

    private bool IsOurs(NfTablesDeletion one) =>
        one == NfTablesDeletion.Missed || (one.IsWhole ? one.Table.StartsWith(Prefix, StringComparison.Ordinal) : _isContentOurs(one));
}
