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
    private readonly Func<IReadOnlySet<NfTablesDeletion>, Task> _repair;

    /// <summary>Watches in the network namespace of the calling thread.</summary>
    /// <param name="isOwn">Whether a port id is that of a session of ours: what we delete needs no repair.</param>
    /// <param name="isContentOurs">Whether it is for us to repair what a table lost.</param>
    /// <param name="repair">Called with what others deleted. Does not throw.</param>
    /// <exception cref="Kernel.KernelException">The kernel does not tell.</exception>
    public RuleRepair(Func<uint, bool> isOwn, Func<NfTablesDeletion, bool> isContentOurs, Func<IReadOnlySet<NfTablesDeletion>, Task> repair)
    {
        (_isContentOurs, _repair) = (isContentOurs, repair);
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
            if (deleted.Any(one => one.IsWhole ? one.Table.Length == 0 || one.Table.StartsWith(Prefix, StringComparison.Ordinal) : _isContentOurs(one)))
            {
                _ = _repair(deleted);
            }
        }

        _ended.SetResult();
    }
}
