using System.Net.Sockets;
using Slipway.Kernel;
using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>
/// The nf_tables table of all networks of an engine, for one address family. Its chains are the same however many networks there are: what is different about
/// a network is an element of a set or map, so that a packet costs the same beside two hundred networks and two thousand ports as beside one. Everybody else's
/// tables are left alone; since a packet passes all tables, ours can forbid but not permit against others. Used by one thread.
/// </summary>
/// <remarks>
/// An element's comment is the bridge of the network it belongs to. The table is made with the first network and goes with the last.
/// </remarks>
/// <param name="session">Of the family.</param>
/// <param name="engine">What tells the engine from others of the host, in at most 100 bytes.</param>
/// <param name="addChains">Adds sets, maps and chains to the new table of this name.</param>
/// <param name="variant">What tells these chains from others of the same version; a table with others is replaced.</param>
internal sealed class FirewallTable(NfTablesSession session, string engine, Action<NfTablesBatch, string> addChains, string variant = "")
{
    private const string Prefix = "slipway-";

    /// <summary>Changes with the rules: a table of another version is replaced.</summary>
    private const string Version = "slipway rules 4";
    private const string AnyVersion = "slipway rules ";

    private readonly string _version = Version + variant;

    /// <summary>Of an engine's table, in each family.</summary>
    public static string NameOf(string engine) => Prefix + engine;

    public NfTablesSession Session { get; } = session;

    public string Name { get; } = NameOf(engine);

    public AddressFamily Addresses { get; } = session.Family == NfTablesFamily.Ipv4 ? AddressFamily.InterNetwork : AddressFamily.InterNetworkV6;

    /// <summary>Whether the table exists with the chains that this version makes.</summary>
    public bool IsCurrent => Session.Tables().Any(table => table.Name == Name && table.Comment == _version);

    /// <summary>Starts a transaction that makes the table, in the place of one of another version.</summary>
    /// <param name="bridge">A table that an earlier version made for this bridge alone goes.</param>
    public NfTablesBatch BeginAnew(string? bridge)
    {
        IReadOnlyList<NfTablesTable> tables = Session.Tables();
        NfTablesBatch batch = Session.Begin();
        foreach (string older in tables.Where(table => table.Comment?.StartsWith(AnyVersion, StringComparison.Ordinal) == true).Select(table => table.Name).Intersect(bridge is null ? [Name] : [Name, Prefix + bridge]))
        {
            batch.DeleteTable(older);
        }

        batch.AddTable(Name, _version);
        addChains(batch, Name);
        return batch;
    }

    /// <summary>Makes the table again if it is gone or has lost something, in one transaction: no packet passes between what is left of it and what it is to be.</summary>
    /// <param name="damaged">It has lost something.</param>
    /// <returns>Whether it was made.</returns>
    public bool Repair(IEnumerable<IRuleOwner> networks, bool damaged)
    {
        IRuleOwner[] owners = [.. networks.Where(network => network.IsIn(this))];
        if (owners.Length == 0 || (!damaged && IsCurrent))
        {
            return false;
        }

        NfTablesBatch batch = BeginAnew(bridge: null);
        foreach (IRuleOwner owner in owners)
        {
            owner.AddTo(batch, this);
        }

        batch.Commit();
        return true;
    }

    /// <summary>What a network has in some of the maps; nothing where there is no table.</summary>
    public IReadOnlyList<(string Map, MapElement Element)> ElementsOf(string bridge, IEnumerable<string> maps)
    {
        List<(string, MapElement)> found = [];
        foreach (string map in maps)
        {
            IReadOnlyList<MapElement> elements = Elements(map);
            foreach (MapElement own in elements.Where(element => element.Comment == bridge))
            {
                found.Add((map, own));

                // The end of a range cannot have a comment (nft_add_set_elem): it is the next after the beginning.
                if (elements.Where(element => element.EndsRange && element.Key.AsSpan().SequenceCompareTo(own.Key) > 0).MinBy(element => Convert.ToHexString(element.Key)) is { } end)
                {
                    found.Add((map, end));
                }
            }
        }

        return found;
    }

    /// <summary>All elements of a map; none where there is no table.</summary>
    public IReadOnlyList<MapElement> Elements(string map)
    {
        try
        {
            return Session.Elements(Name, map);
        }
        catch (KernelException e) when (e.Errno == Errno.ENOENT)
        {
            return [];
        }
    }

    /// <summary>Whether the host has another table of this kind: another engine's.</summary>
    public bool HasOthers => Session.Tables().Any(table => table.Name != Name && table.Name.StartsWith(Prefix, StringComparison.Ordinal));
}
