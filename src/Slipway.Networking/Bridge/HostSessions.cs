using System.Collections.Concurrent;
using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>What the host's thread works with; used by that thread only.</summary>
internal sealed class HostSessions(string engine, PortAdmission admission) : IDisposable
{
    /// <summary>Port ids of the sessions: asked for on another thread.</summary>
    private readonly ConcurrentDictionary<uint, NfTablesFamily> _own = new();

    private readonly Dictionary<NfTablesFamily, NfTablesSession> _tables = [];
    private readonly List<FirewallTable> _shared = [];

    public RouteSession Route { get; } = new();

    public NfTablesSession NfTables => SessionOf(NfTablesFamily.Ipv4);

    /// <summary>Opened for the first network with IPv6.</summary>
    public NfTablesSession NfTables6 => SessionOf(NfTablesFamily.Ipv6);

    /// <summary>The rules of all networks of the engine.</summary>
    public FirewallTable Table => field ??= Shared(TableOf(NfTables));

    public FirewallTable Table6 => field ??= Shared(TableOf(NfTables6));

    /// <summary>What ports of bridges may send, in all networks of the engine.</summary>
    public FirewallTable GuardTable => field ??= Shared(new FirewallTable(SessionOf(NfTablesFamily.Bridge), engine, (batch, table) => new GuardChains(batch, table).Add()));

    public HostForwarding Forwarding => field ??= new HostForwarding(NfTables, Route);

    public HostForwarding Forwarding6 => field ??= new HostForwarding(NfTables6, Route);

    public HostEncryption Encryption { get; } = new();

    public PortAllocator Ports { get; } = new(HostSettings.HasIpv6, HostSettings.EphemeralPorts);

    /// <summary>What is to be there as long as networks are.</summary>
    public HashSet<IRepairable> Watched { get; } = [];

    /// <summary>Whether a port id is that of a session here. May be called by any thread.</summary>
    public bool IsOwn(uint port) => _own.ContainsKey(port);

    /// <summary>Whether what a table loses is repaired here: other engines have tables of their own. May be called by any thread.</summary>
    public bool IsContentOurs(NfTablesDeletion deletion) => deletion.Table == FirewallTable.NameOf(engine) || OverlayFirewall.IsTable(deletion.Table);

    /// <summary>Makes what is missing again.</summary>
    /// <param name="deleted">By others.</param>
    /// <returns>Whether something was made.</returns>
    public bool RepairRules(IReadOnlySet<NfTablesDeletion> deleted)
    {
        bool repaired = false;
        bool missed = deleted.Contains(NfTablesDeletion.Missed);
        foreach (FirewallTable table in _shared)
        {
            bool damaged = missed || deleted.Contains(new NfTablesDeletion(table.Session.Family, table.Name, IsWhole: false));
            repaired |= table.Repair(Watched.OfType<IRuleOwner>(), damaged);
        }

        // All are asked first: what they have in common is there again when the first is repaired.
        IRepairable[] broken = [.. Watched.Where(watched => !watched.IsIntact)];
        foreach (IRepairable one in broken)
        {
            one.Repair();
        }

        return repaired || broken.Length > 0;
    }

    /// <summary>Where the thread comes back to from a sandbox.</summary>
    public NetworkNamespace Home { get; } = NetworkNamespace.OfThisThread();

    private FirewallTable TableOf(NfTablesSession session) => new(
        session, engine, (batch, table) => new FirewallChains(batch, table, session.Family, admission).Add(), admission == PortAdmission.Forward ? " forward" : "");

    private FirewallTable Shared(FirewallTable table)
    {
        _shared.Add(table);
        return table;
    }

    private NfTablesSession SessionOf(NfTablesFamily family)
    {
        if (!_tables.TryGetValue(family, out NfTablesSession? session))
        {
            _tables[family] = session = new NfTablesSession(family);
            _own[session.Port()] = family;
        }

        return session;
    }

    public void Dispose()
    {
        Home.Dispose();
        foreach (NfTablesSession session in _tables.Values)
        {
            session.Dispose();
        }

        Encryption.Dispose();
        Route.Dispose();
    }
}
