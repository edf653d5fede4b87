using System.Buffers.Binary;
using System.Net;
using Microsoft.Win32.SafeHandles;
using static Slipway.Kernel.Netlink.RouteMessages;

namespace Slipway.Kernel.Netlink;

/// <summary>rtnetlink(7) in the network namespace of the thread that opened the session: links, addresses, routes.</summary>
public sealed partial class RouteSession : NetlinkSession
{
    private readonly RouteBatch _batch;

    /// <exception cref="KernelException">The socket could not be opened.</exception>
    public RouteSession()
        : base(NETLINK_ROUTE) => _batch = new RouteBatch(Writer, () => Execute(Writer));

    internal RouteSession(SafeFileHandle socket)
        : base(socket) => _batch = new RouteBatch(Writer, () => Execute(Writer));

    /// <summary>Starts requests that are sent together by <see cref="RouteBatch.Execute"/>: one system call for all.</summary>
    public RouteBatch Begin()
    {
        Writer.Reset();
        return _batch;
    }

    /// <summary>All interfaces, or those enslaved to one.</summary>
    public IReadOnlyList<Link> Links(int master = 0)
    {
        Writer.Reset();
        using (Writer.Begin(RTM_GETLINK, NetlinkFlags.Dump, "list links"))
        {
            Writer.Fixed(new InterfaceInfo());
            Writer.UInt32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
            if (master != 0)
            {
                Writer.UInt32(IFLA_MASTER, (uint)master);
            }
        }

        // A kernel without strict checking ignores the filter.
        List<Link> links = Query(Writer, "list links", ParseLink);
        return master == 0 ? links : links.FindAll(link => link.Master == master);
    }

    /// <summary>The interface of a name, or null.</summary>
    public Link? FindLink(string name)
    {
        Writer.Reset();
        using (Writer.Begin(RTM_GETLINK, NetlinkFlags.Ack, "get link"))
        {
            Writer.Fixed(new InterfaceInfo());
            Writer.Text(IFLA_IFNAME, name);
        }

        try
        {
            return Query(Writer, $"get link {name}", ParseLink).FirstOrDefault();
        }
        catch (KernelException e) when (e.Errno is Errno.ENODEV or Errno.ENOENT or Errno.ERANGE)
        {
            return null; // also of a name that is longer than any
        }
    }

    /// <summary>The IPv4 and IPv6 addresses of all interfaces.</summary>
    public IReadOnlyList<InterfaceAddress> Addresses()
    {
        Writer.Reset();
        using (Writer.Begin(RTM_GETADDR, NetlinkFlags.Dump, "list addresses"))
        {
            Writer.Fixed(new InterfaceAddressInfo());
        }

        return Query(Writer, "list addresses", ParseAddress);
    }

    /// <summary>The unicast routes of the main table, IPv4 and IPv6.</summary>
    public IReadOnlyList<Route> Routes()
    {
        Writer.Reset();
        using (Writer.Begin(RTM_GETROUTE, NetlinkFlags.Dump, "list routes"))
        {
            Writer.Fixed(new RouteInfo());
        }

        return Query(Writer, "list routes", ParseRoute);
    }

    private static Link? ParseLink(NetlinkMessage message)
    {
        if (message.Type != RTM_NEWLINK || !message.TryFixed(out InterfaceInfo info, out AttributeReader attributes))
        {
            return null;
        }

        return new Link(
            info.Index,
            attributes.Text(IFLA_IFNAME) ?? "",
            attributes.Nested(IFLA_LINKINFO).Text(IFLA_INFO_KIND),
            attributes.Text(IFLA_IFALIAS),
            (int)(attributes.UInt32(IFLA_MASTER) ?? 0),
            (info.Flags & IFF_UP) != 0,
            (int)(attributes.UInt32(IFLA_MTU) ?? 0),
            attributes.Find(IFLA_ADDRESS, out ReadOnlySpan<byte> address) && address.Length == 6 ? MacAddress.FromBytes(address) : null)
        {
            VxlanPort = attributes.Nested(IFLA_LINKINFO) is var kind && kind.Text(IFLA_INFO_KIND) == "vxlan"
                && kind.Nested(IFLA_INFO_DATA).Find(NeighbourMessages.IFLA_VXLAN_PORT, out ReadOnlySpan<byte> port) && port.Length == 2 ? BinaryPrimitives.ReadUInt16BigEndian(port) : (ushort)0,
        };
    }

    private static InterfaceAddress? ParseAddress(NetlinkMessage message)
    {
        if (message.Type != RTM_NEWADDR || !message.TryFixed(out InterfaceAddressInfo info, out AttributeReader attributes))
        {
            return null;
        }

        // On a point-to-point interface IFA_ADDRESS is the peer's; the interface's own is IFA_LOCAL.
        return (attributes.Find(IFA_LOCAL, out ReadOnlySpan<byte> value) || attributes.Find(IFA_ADDRESS, out value)) && value.Length is 4 or 16
            ? new InterfaceAddress(info.Index, new IPAddress(value), info.PrefixLength)
            : null;
    }

    private static Route? ParseRoute(NetlinkMessage message)
    {
        if (message.Type != RTM_NEWROUTE || !message.TryFixed(out RouteInfo info, out AttributeReader attributes)
            || info.Type != RTN_UNICAST || (attributes.UInt32(RTA_TABLE) ?? info.Table) != RT_TABLE_MAIN
            || info.Family is not (NetlinkNative.AF_INET or NetlinkNative.AF_INET6))
        {
            return null;
        }

        Span<byte> destination = stackalloc byte[info.Family == NetlinkNative.AF_INET ? 4 : 16];
        destination.Clear();
        if (attributes.Find(RTA_DST, out ReadOnlySpan<byte> value) && value.Length == destination.Length)
        {
            value.CopyTo(destination);
        }

        // What the kernel keeps as a destination has no bits beyond its prefix; a message that says otherwise is not from it.
        return info.DestinationLength <= destination.Length * 8 && IPNetwork.TryParse($"{new IPAddress(destination)}/{info.DestinationLength}", out IPNetwork network)
            ? new Route(network, attributes.Find(RTA_GATEWAY, out value) && value.Length is 4 or 16 ? new IPAddress(value) : null, (int)(attributes.UInt32(RTA_OIF) ?? 0))
            : null;
    }
}
