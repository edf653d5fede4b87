using System.Security.Cryptography;
using Slipway.Kernel;
using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>
/// Where a network's links go. A bridge has 1,023 ports (BR_MAX_PORTS, net/bridge/br_private.h): before the first is full another is made, joined to it by a pair
/// of links, and so on, all in a star around the first, which alone has addresses. Used by one thread.
/// </summary>
internal sealed class BridgePorts(RouteSession session, string bridge, NetworkNamespace home)
{
    /// <summary>Links on one bridge. What is left is for those that join others to it.</summary>
    private const int Limit = 1000;

    private readonly string _alias = $"slipway+{bridge}";

    /// <summary>The first bridge, then those that extend it.</summary>
    private readonly List<Master> _masters = [];

    private int _mtu;

    /// <summary>Links on one bridge, for tests.</summary>
    internal int Most { get; set; } = Limit;

    /// <summary>Containers do not reach each other: only the first bridge itself.</summary>
    public bool IsIsolated { get; set; }

    /// <summary>Names of the bridges that extend the first.</summary>
    public IReadOnlyList<string> Extensions => [.. _masters.Skip(1).Select(master => master.Name)];

    /// <summary>Finds the bridges that an earlier engine made.</summary>
    /// <param name="mtu">Bytes.</param>
    public void Open(int index, int mtu, bool adopted)
    {
        _mtu = mtu;
        _masters.Clear();
        _masters.Add(new Master(bridge, index));
        if (!adopted)
        {
            return;
        }

        IReadOnlyList<Link> links = session.Links();
        foreach (Link extension in links.Where(link => link.Kind == "bridge" && link.Alias == _alias))
        {
            if (links.Any(link => link.Master == extension.Index && link.Alias == _alias))
            {
                _masters.Add(new Master(extension.Name, extension.Index));
            }
            else
            {
                BridgeLink.Remove(session, [extension.Index]); // its maker did not come to join it
            }
        }

        _masters.ForEach(master => master.Count = links.Count(link => link.Master == master.Index));
    }

    /// <summary>Whether a link on this bridge is the network's.</summary>
    public bool Contains(int master) => _masters.Exists(known => known.Index == master);

    /// <summary>The index of a bridge with room for one more link.</summary>
    /// <param name="extended">A further bridge was made for it.</param>
    public int Next(out bool extended)
    {
        extended = false;
        Master? free = _masters.Find(HasRoom);
        if (free is null)
        {
            // What went away was not counted.
            _masters.ForEach(master => master.Count = session.Links(master.Index).Count);
            free = _masters.Find(HasRoom);
        }

        if (free is null)
        {
            free = Extend();
            extended = true;
        }

        free.Count++;
        return free.Index;
    }

    /// <summary>Marks the further bridges as to be removed.</summary>
    /// <returns>Their indexes, and those of the links that join them.</returns>
    public IReadOnlyList<int> Retire()
    {
        int[] own = [.. session.Links().Where(link => link.Alias == _alias).OrderBy(link => link.Kind).Select(link => link.Index)];
        foreach (int link in own)
        {
            session.Begin().SetLink(link, new LinkChange { Alias = BridgeLink.RetiredAlias }).Execute();
        }

        _masters.RemoveAll(master => master.Name != bridge);
        return own;
    }

    private bool HasRoom(Master master) => master.Count < Most;

    private Master Extend()
    {
        string digits = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(5));
        (string name, string outer, string inner) = ("bx" + digits, "vo" + digits, "vi" + digits);
        bool? linkLocal = _mtu < BridgeLink.MinIpv6Mtu ? null : false;
        session.Begin()
            .AddBridge(name, MacAddress.Random(), _mtu)
            .SetLink(name, new LinkChange { Alias = _alias, LinkLocalAddress = linkLocal })
            .Execute();

        // Or it would answer for the gateway, whose address is another interface's of the host.
        HostSettings.IgnoreArp(name);
        session.Begin().SetLink(name, new LinkChange { Up = true }).Execute();
        int index = IndexOf(name);
        try
        {
            session.Begin()
                .AddVeth(new VethPair { Name = outer, PeerName = inner, PeerNamespace = home, Master = _masters[0].Index, Mtu = _mtu })
                .SetLink(outer, new LinkChange { Alias = _alias, LinkLocalAddress = linkLocal })
                .SetLink(inner, new LinkChange { Alias = _alias, LinkLocalAddress = linkLocal, Master = index })
                .SetLink(outer, new LinkChange { Up = true })
                .SetLink(inner, new LinkChange { Up = true })
                .Execute();

            // Asked for both: the kernel brings the state of an interface up to date before it tells, and the bridges forward from here on.
            (int first, int _) = (IndexOf(outer), IndexOf(inner));
            if (IsIsolated)
            {
                session.Begin().SetIsolated(first, true).Execute();
            }
        }
        catch
        {
            BridgeLink.Remove(session, [outer]);
            BridgeLink.Remove(session, [index]);
            throw;
        }

        Master made = new(name, index);
        _masters.Add(made);
        return made;
    }

    private int IndexOf(string link) => session.FindLink(link)?.Index ?? throw new KernelException($"get link {link}", Errno.ENODEV);

    private sealed class Master(string name, int index)
    {
        public string Name { get; } = name;

        public int Index { get; } = index;

        /// <summary>At least as many links as it has.</summary>
        public int Count { get; set; } = 1;
    }
}
