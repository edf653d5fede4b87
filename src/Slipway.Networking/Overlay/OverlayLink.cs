using System.Net;
using System.Net.Sockets;
using Slipway.Kernel;
using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>
/// The link by which a network reaches other hosts, and what it knows of the containers there. What an engine before this one told it stays, until it is known
/// to be wrong. Used by the host's thread.
/// </summary>
internal sealed class OverlayLink(OverlayOptions options, RouteSession session)
{
    /// <summary>Containers in one request: the answers of the kernel must fit the socket's buffer.</summary>
    private const int PeersPerBatch = 32;

    private int _index;

    /// <summary>Null: not known, the kernel is asked.</summary>
    private Dictionary<IPAddress, OverlayPeer>? _known;

    /// <summary>What the underlay leaves for a container's packet, in bytes.</summary>
    /// <exception cref="NetworkException">InvalidParameter: this host has not the address.</exception>
    public static int Mtu(OverlayOptions options, RouteSession session)
    {
        InterfaceAddress own = session.Addresses().FirstOrDefault(address => address.Address.Equals(options.Local))
            ?? throw new NetworkException(NetworkErrorKind.InvalidParameter, $"{options.Local} is no address of this host, but the cluster knows it by that (\"advertise\")");
        int underlay = session.Links().First(link => link.Index == own.LinkIndex).Mtu;
        int most = options.Encrypted ? EncryptedMtu(underlay) : underlay - OverlayOptions.HeaderLength;
        return options.Mtu == 0 ? most
            : options.Mtu <= most ? options.Mtu
            : throw new NetworkException(NetworkErrorKind.InvalidParameter, $"an MTU of {options.Mtu} bytes is more than the underlay leaves: {most}");
    }

    /// <summary>Creates or adopts the link, on a bridge.</summary>
    /// <exception cref="NetworkException">Conflict: another program has the number.</exception>
    public void Ensure(int bridge, int mtu)
    {
        Link? existing = session.FindLink(options.LinkName);
        if (existing is { Kind: "vxlan" } && existing.Master == bridge && existing.VxlanPort == options.Port)
        {
            _index = existing.Index;
            return;
        }

        if (existing is not null)
        {
            session.Begin().DeleteLink(existing.Index).Execute();
        }

        Create(bridge, mtu);
    }

    /// <summary>Makes what is known of containers on other hosts exactly this.</summary>
    /// <param name="isUncertain">Hosts of which nothing was heard yet: what the kernel knows of their containers stays.</param>
    public void SetPeers(IReadOnlyCollection<OverlayPeer> peers, Func<IPAddress, bool> isUncertain)
    {
        Dictionary<IPAddress, OverlayPeer> known = _known ?? Read();
        Dictionary<IPAddress, OverlayPeer> wanted = peers.ToDictionary(peer => peer.Address);
        OverlayPeer[] gone = [.. known.Values.Where(peer => !wanted.ContainsKey(peer.Address) && !isUncertain(peer.Host))];
        OverlayPeer[] come = [.. wanted.Values.Where(peer => known.GetValueOrDefault(peer.Address) != peer)];
        _known = null; // until it is done
        Remove([.. gone, .. come.Select(peer => known.GetValueOrDefault(peer.Address)).OfType<OverlayPeer>()]);
        foreach (OverlayPeer[] chunk in come.Chunk(PeersPerBatch))
        {
            RouteBatch batch = session.Begin();
            foreach (OverlayPeer peer in chunk)
            {
                batch.SetForwarding(_index, new ForwardingEntry(Hardware(peer), peer.Host));
                foreach (IPAddress address in Addresses(peer))
                {
                    batch.SetNeighbour(_index, new Neighbour(address, Hardware(peer)));
                }
            }

            batch.Execute();
        }

        foreach (OverlayPeer peer in gone)
        {
            known.Remove(peer.Address);
        }

        foreach (OverlayPeer peer in come)
        {
            known[peer.Address] = peer;
        }

        _known = known;
    }

    public void Delete() => BridgeLink.Remove(session, [options.LinkName]);

    /// <summary>What ESP in transport mode leaves (RFC 4303 section 2): its header with the counter and its tag are around a multiple of four bytes, of which the last two are its own.</summary>
    private static int EncryptedMtu(int underlay)
    {
        const int Ipv4 = 20, Header = 8, Counter = 8, Tag = 16, Trailer = 2;
        int covered = (underlay - Ipv4 - Header - Counter - Tag) & ~3;
        return covered - Trailer - (OverlayOptions.HeaderLength - Ipv4);
    }

    private void Create(int bridge, int mtu)
    {
        try
        {
            session.Begin().AddVxlan(new VxlanLink
            {
                Name = options.LinkName,
                Number = options.Number,
                Local = options.Local,
                Port = options.Port,
                Mtu = mtu,
                Master = bridge,
            }).Execute();
        }
        catch (KernelException e) when (e.Errno == Errno.EEXIST)
        {
            throw new NetworkException(NetworkErrorKind.Conflict, $"another program of this host has VXLAN number {options.Number}", e);
        }

        _index = session.FindLink(options.LinkName)?.Index ?? throw new KernelException($"get link {options.LinkName}", Errno.ENODEV);
        session.Begin()
            .SetLink(_index, new LinkChange { Alias = BridgeLink.OwnAlias, LinkLocalAddress = false })
            .SetLearning(_index, false)
            .SetLink(_index, new LinkChange { Up = true })
            .Execute();
        _known = [];
    }

    /// <summary>What the kernel knows. An address without its forwarding entry, or the other way round, is told again.</summary>
    private Dictionary<IPAddress, OverlayPeer> Read()
    {
        Dictionary<MacAddress, IPAddress> hosts = session.Forwarding(_index).DistinctBy(entry => entry.Hardware).ToDictionary(entry => entry.Hardware, entry => entry.Host);
        Dictionary<MacAddress, IPAddress> ipv6 = session.Neighbours(_index, AddressFamily.InterNetworkV6).DistinctBy(neighbour => neighbour.Hardware)
            .ToDictionary(neighbour => neighbour.Hardware, neighbour => neighbour.Address);
        return session.Neighbours(_index, AddressFamily.InterNetwork)
            .Where(neighbour => hosts.ContainsKey(neighbour.Hardware))
            .ToDictionary(
                neighbour => neighbour.Address,
                neighbour => new OverlayPeer(neighbour.Address, neighbour.Hardware.ToString(), hosts[neighbour.Hardware], ipv6.GetValueOrDefault(neighbour.Hardware)));
    }

    private static IEnumerable<IPAddress> Addresses(OverlayPeer peer) => peer.Ipv6 is null ? [peer.Address] : [peer.Address, peer.Ipv6];

    private void Remove(IReadOnlyList<OverlayPeer> peers)
    {
        foreach (OverlayPeer[] chunk in peers.Chunk(PeersPerBatch))
        {
            RouteBatch batch = session.Begin();
            foreach (OverlayPeer peer in chunk)
            {
                foreach (IPAddress address in Addresses(peer))
                {
                    batch.DeleteNeighbour(_index, new Neighbour(address, Hardware(peer)));
                }

                batch.DeleteForwarding(_index, Hardware(peer));
            }

            try
            {
                batch.Execute();
            }
            catch (KernelException e) when (e.Errno == Errno.ENOENT)
            {
                continue; // somebody removed one by hand; all were tried
            }
        }
    }

    private static MacAddress Hardware(OverlayPeer peer) =>
        MacAddress.TryParse(peer.Hardware, out MacAddress address) && address.IsUnicast ? address
        : throw new NetworkException(NetworkErrorKind.InvalidParameter, $"invalid mac address \"{peer.Hardware}\"");
}
