using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>Has something in tables that networks share. Used by the host's thread.</summary>
internal interface IRuleOwner
{
    /// <summary>Whether it has something in this one.</summary>
    bool IsIn(FirewallTable table);

    /// <summary>Adds all of it, to a table that has none of it.</summary>
    void AddTo(NfTablesBatch batch, FirewallTable table);
}
