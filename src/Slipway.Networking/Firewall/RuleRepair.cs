using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>
/// Watches for tables that are deleted by another program (<c>nft flush ruleset</c>, as a restart of nftables.service does it): without its rules a network would neither be reached
/// nor closed. A thread that sleeps.
/// </summary>
internal sealed class RuleRepair : IAsyncDisposable
{
    /// <summary>What the names of all our tables begin with.</summary>
    private const string Prefix = "slipway";

    private readonly NfTablesMonitor _monitor = new();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Func<Task> _repair;

    /// <summary>Watches in the network namespace of the calling thread.</summary>
    /// <param name="repair">Called when a table of ours was deleted, also by us. Does not throw.</param>
    /// <exception cref="Kernel.KernelException">The kernel does not tell.</exception>
    public RuleRepair(Func<Task> repair)
    {
        _repair = repair;
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
            if (deleted.Any(table => table.Length == 0 || table.StartsWith(Prefix, StringComparison.Ordinal)))
            {
                _ = _repair();
            }
        }

        _ended.SetResult();
    }
}
