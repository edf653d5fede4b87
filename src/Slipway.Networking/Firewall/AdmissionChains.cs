using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>
/// The chains by which the host's input chain decides about published ports: whoever wrote it, in nftables or iptables, with whatever matches, it is the kernel that asks it.
/// </summary>
/// <remarks>
/// The first packet of a connection is not redirected where it comes in: it passes the input hook as if a program of the host had the port. Behind all other chains there, a
/// copy of it goes out again to the address it was for, and it itself ends. At the output hook the copy gets a connection, which is redirected as those of the host's own
/// programs are. All later packets of the connection are translated where they come in, and forwarded. (Decision 13.)
/// </remarks>
internal sealed class AdmissionChains(NfTablesBatch batch, string table, NfTablesFamily family)
{
    private const string Input = "input";
    private const string Admit = "admit";
    private const string Readmit = "readmit";
    private const string Resume = "resume";
    private const string Resumed = "resumed";

    /// <param name="candidates">Begins a rule that holds for first packets which may be for a container.</param>
    public void Add(Rule candidates)
    {
        batch
            .AddChain(table, Readmit)
            .AddRule(table, Readmit, new Rule().InputInterfaceOf(FirewallChains.Internal).Drop())
            .AddRule(table, Readmit, new Rule().DuplicateToDestination(family))
            .AddRule(table, Readmit, new Rule().Drop());
        AddPublished(Admit, rule => rule.Jump(Readmit));
        batch
            .AddChain(table, new BaseChain(Input, ChainType.Filter, NetfilterHook.Input, ChainPriority.BeforeConfirmation))
            .AddRule(table, Input, candidates.Jump(Admit));

        // The kernel leaves a copy's connection unknown so that it is not taken for the first one's. That one ends, so this one may be known. Copies that others make
        // leave by other interfaces, to whom they are for.
        AddPublished(Resume, rule => rule.Track());
        batch
            .AddChain(table, new BaseChain(Resumed, ChainType.Filter, NetfilterHook.Output, ChainPriority.Raw))
            .AddRule(table, Resumed, new Rule().OutputInterface("lo").Untracked().DestinationIsLocal().SourceIsForeign().Jump(Resume));
    }
    /// <summary>Adds a chain that does this to packets for published ports.</summary>
    private void AddPublished(string chain, Func<Rule, Rule> then) => batch
        .AddChain(table, chain)
        .AddRule(table, chain, then(new Rule().IsAddressAndPortOfMap(FirewallChains.ByAddress, family)))
        .AddRule(table, chain, then(new Rule().IsPortOf(FirewallChains.ByPort)));
}
