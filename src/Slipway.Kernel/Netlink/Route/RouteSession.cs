using System.Net;
using static Slipway.Kernel.Netlink.RouteMessages;

namespace Slipway.Kernel.Netlink;

/// <summary>rtnetlink(7) in the network namespace of the thread that opened the session: links, addresses, routes.</summary>
public sealed class RouteSession : NetlinkSession
{
    private readonly RouteBatch _batch;

    /// <exception cref="KernelException">The socket could not be opened.</exception>
    public RouteSession()
        : base(NETLINK_ROUTE) => _batch = new RouteBatch(Writer, () => Execute(Writer));

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

        List<Link> links = [];
        Query(Writer, "list links", message => AddLink(links, message, master));
        return links;
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

        List<Link> links = [];
        try
        {
            Query(Writer, $"get link {name}", message => AddLink(links, message, 0));
        }
        catch (KernelException e) when (e.Errno is Errno.ENODEV or Errno.ENOENT)
        {
            return null;
        }

        return links.FirstOrDefault();
    }

    /// <summary>The IPv4 and IPv6 addresses of all interfaces.</summary>
    public IReadOnlyList<InterfaceAddress> Addresses()
    {
        Writer.Reset();
        using (Writer.Begin(RTM_GETADDR, NetlinkFlags.Dump, "list addresses"))
        {
            Writer.Fixed(new InterfaceAddressInfo());
        }

        List<InterfaceAddress> addresses = [];
        Query(Writer, "list addresses", message =>
        {
            if (message.Type != RTM_NEWADDR || !message.TryFixed(out InterfaceAddressInfo info, out AttributeReader attributes))
            {
                return;
            }

            // On a point-to-point interface IFA_ADDRESS is the peer's; the interface's own is IFA_LOCAL.
            if ((attributes.Find(IFA_LOCAL, out ReadOnlySpan<byte> value) || attributes.Find(IFA_ADDRESS, out value)) && value.Length is 4 or 16)
            {
                addresses.Add(new InterfaceAddress(info.Index, new IPAddress(value), info.PrefixLength));
            }
        });
        return addresses;
    }

    /// <summary>The unicast routes of the main table, IPv4 and IPv6.</summary>
    public IReadOnlyList<Route> Routes()
    {
        List<Route> routes = [];
        Writer.Reset();
        using (Writer.Begin(RTM_GETROUTE, NetlinkFlags.Dump, "list routes"))
        {
            Writer.Fixed(new RouteInfo());
        }

        Query(Writer, "list routes", message =>
        {
            if (message.Type != RTM_NEWROUTE || !message.TryFixed(out RouteInfo info, out AttributeReader attributes)
                || info.Type != RTN_UNICAST || (attributes.UInt32(RTA_TABLE) ?? info.Table) != RT_TABLE_MAIN)
            {
                return;
            }

            int length = info.Family == NetlinkNative.AF_INET ? 4 : 16;
            Span<byte> destination = stackalloc byte[length];
            if (attributes.Find(RTA_DST, out ReadOnlySpan<byte> value) && value.Length == length)
            {
                value.CopyTo(destination);
            }

            IPAddress? gateway = attributes.Find(RTA_GATEWAY, out value) && value.Length is 4 or 16 ? new IPAddress(value) : null;
            routes.Add(new Route(new IPNetwork(new IPAddress(destination), info.DestinationLength), gateway, (int)(attributes.UInt32(RTA_OIF) ?? 0)));
        });
        return routes;
    }

    private static void AddLink(List<Link> links, NetlinkMessage message, int master)
    {
        if (message.Type != RTM_NEWLINK || !message.TryFixed(out InterfaceInfo info, out AttributeReader attributes))
        {
            return;
        }

        // A kernel without strict checking ignores the filter.
        int linkMaster = (int)(attributes.UInt32(IFLA_MASTER) ?? 0);
        if (master == 0 || linkMaster == master)
        {
            links.Add(new Link(
                info.Index,
                attributes.Text(IFLA_IFNAME) ?? "",
                attributes.Nested(IFLA_LINKINFO).Text(IFLA_INFO_KIND),
                attributes.Text(IFLA_IFALIAS),
                linkMaster,
                (info.Flags & IFF_UP) != 0,
                (int)(attributes.UInt32(IFLA_MTU) ?? 0),
                attributes.Find(IFLA_ADDRESS, out ReadOnlySpan<byte> address) && address.Length == 6 ? MacAddress.FromBytes(address) : null));
        }
    }
}
