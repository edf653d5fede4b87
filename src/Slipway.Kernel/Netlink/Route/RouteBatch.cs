using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using static Slipway.Kernel.Netlink.RouteMessages;

namespace Slipway.Kernel.Netlink;

/// <summary>
/// rtnetlink requests that go to the kernel together, in order. All are tried even if one fails: what must not happen after a failure
/// belongs into another batch.
/// </summary>
public sealed partial class RouteBatch
{
    private readonly NetlinkWriter _writer;
    private readonly Action _execute;

    internal RouteBatch(NetlinkWriter writer, Action execute)
    {
        _writer = writer;
        _execute = execute;
    }

    /// <summary>Sends the requests.</summary>
    /// <exception cref="KernelException">The first failure, with the kernel's explanation.</exception>
    public void Execute() => _execute();

    /// <summary>Creates a bridge, down.</summary>
    /// <param name="address">Fixed, so that it does not follow the lowest of its ports'.</param>
    public RouteBatch AddBridge(string name, MacAddress address, int mtu)
    {
        using (_writer.Begin(RTM_NEWLINK, NetlinkFlags.Ack | NetlinkFlags.Create | NetlinkFlags.Exclusive, $"add bridge {name}"))
        {
            _writer.Fixed(new InterfaceInfo());
            _writer.Text(IFLA_IFNAME, name);
            WriteAddress(address);
            _writer.UInt32(IFLA_MTU, (uint)mtu);
            using (_writer.Begin(IFLA_LINKINFO))
            {
                _writer.Text(IFLA_INFO_KIND, "bridge");
            }
        }

        return this;
    }

    /// <summary>Creates a veth pair, both ends down, the peer in its namespace from the start.</summary>
    public RouteBatch AddVeth(VethPair pair)
    {
        using (_writer.Begin(RTM_NEWLINK, NetlinkFlags.Ack | NetlinkFlags.Create | NetlinkFlags.Exclusive, $"add veth {pair.Name}"))
        {
            _writer.Fixed(new InterfaceInfo());
            _writer.Text(IFLA_IFNAME, pair.Name);
            if (pair.Mtu != 0)
            {
                _writer.UInt32(IFLA_MTU, (uint)pair.Mtu);
            }

            using (_writer.Begin(IFLA_LINKINFO))
            {
                _writer.Text(IFLA_INFO_KIND, "veth");
                using (_writer.Begin(IFLA_INFO_DATA))
                using (_writer.Begin(VETH_INFO_PEER))
                {
                    _writer.Fixed(new InterfaceInfo());
                    _writer.Text(IFLA_IFNAME, pair.PeerName);
                    _writer.UInt32(IFLA_NET_NS_FD, (uint)pair.PeerNamespace.Descriptor.DangerousGetHandle());
                    if (pair.Mtu != 0)
                    {
                        _writer.UInt32(IFLA_MTU, (uint)pair.Mtu);
                    }
                }
            }

            if (pair.Master != 0)
            {
                _writer.UInt32(IFLA_MASTER, (uint)pair.Master);
            }
        }

        return this;
    }

    /// <param name="link">Index.</param>
    public RouteBatch SetLink(int link, LinkChange change)
    {
        using (_writer.Begin(RTM_SETLINK, NetlinkFlags.Ack, $"set link {link}"))
        {
            _writer.Fixed(Target(link, change));
            WriteChange(change);
        }

        return this;
    }

    /// <summary>Changes a link found by name: saves a question where nobody else names links, as in a sandbox.</summary>
    public RouteBatch SetLink(string name, LinkChange change)
    {
        using (_writer.Begin(RTM_SETLINK, NetlinkFlags.Ack, $"set link {name}"))
        {
            _writer.Fixed(Target(0, change));
            _writer.Text(IFLA_IFNAME, name);
            WriteChange(change);
        }

        return this;
    }

    /// <summary>Whether a bridge may send a frame back out of the port it came from.</summary>
    /// <param name="port">Index of an interface that is enslaved to a bridge.</param>
    public RouteBatch SetHairpin(int port, bool value) => SetPort(port, IFLA_BRPORT_MODE, value, "hairpin mode");

    /// <summary>Whether a bridge keeps frames of this port from other ports that are isolated too; the bridge itself is reached by all.</summary>
    /// <param name="port">Index of an interface that is enslaved to a bridge.</param>
    public RouteBatch SetIsolated(int port, bool value) => SetPort(port, IFLA_BRPORT_ISOLATED, value, "isolation");

    public RouteBatch DeleteLink(int link)
    {
        using (_writer.Begin(RTM_DELLINK, NetlinkFlags.Ack, $"delete link {link}"))
        {
            _writer.Fixed(new InterfaceInfo { Index = link });
        }

        return this;
    }

    public RouteBatch DeleteLink(string name)
    {
        using (_writer.Begin(RTM_DELLINK, NetlinkFlags.Ack, $"delete link {name}"))
        {
            _writer.Fixed(new InterfaceInfo());
            _writer.Text(IFLA_IFNAME, name);
        }

        return this;
    }

    /// <summary>Gives an interface an address; an IPv6 one is used at once, without asking whether somebody else has it.</summary>
    public RouteBatch AddAddress(InterfaceAddress address)
    {
        using (_writer.Begin(RTM_NEWADDR, NetlinkFlags.Ack | NetlinkFlags.Create | NetlinkFlags.Exclusive, $"add address {address.Address}/{address.PrefixLength}"))
        {
            WriteInterfaceAddress(address);
        }

        return this;
    }

    public RouteBatch DeleteAddress(InterfaceAddress address)
    {
        using (_writer.Begin(RTM_DELADDR, NetlinkFlags.Ack, $"delete address {address.Address}/{address.PrefixLength}"))
        {
            WriteInterfaceAddress(address);
        }

        return this;
    }

    public RouteBatch AddRoute(Route route)
    {
        using (_writer.Begin(RTM_NEWROUTE, NetlinkFlags.Ack | NetlinkFlags.Create | NetlinkFlags.Exclusive, $"add route {Describe(route)}"))
        {
            WriteRoute(route);
        }

        return this;
    }

    /// <summary>Adds a route, in the place of one to the same destination.</summary>
    public RouteBatch ReplaceRoute(Route route)
    {
        using (_writer.Begin(RTM_NEWROUTE, NetlinkFlags.Ack | NetlinkFlags.Create | NetlinkFlags.Replace, $"replace route {Describe(route)}"))
        {
            WriteRoute(route);
        }

        return this;
    }

    public RouteBatch DeleteRoute(Route route)
    {
        using (_writer.Begin(RTM_DELROUTE, NetlinkFlags.Ack, $"delete route {Describe(route)}"))
        {
            WriteRoute(route);
        }

        return this;
    }

    private RouteBatch SetPort(int port, ushort attribute, bool value, string what)
    {
        using (_writer.Begin(RTM_SETLINK, NetlinkFlags.Ack, $"set {what} of bridge port {port}"))
        {
            _writer.Fixed(new InterfaceInfo { Family = AF_BRIDGE, Index = port });
            using (_writer.Begin(IFLA_PROTINFO))
            {
                _writer.UInt8(attribute, value ? (byte)1 : (byte)0);
            }
        }

        return this;
    }

    private static string Describe(Route route) => route.Gateway is null ? route.Destination.ToString() : $"{route.Destination} via {route.Gateway}";

    private static byte Family(IPAddress address) =>
        (byte)(address.AddressFamily == AddressFamily.InterNetwork ? NetlinkNative.AF_INET : NetlinkNative.AF_INET6);

    private static InterfaceInfo Target(int link, LinkChange change) =>
        new() { Index = link, Flags = change.Up == true ? IFF_UP : 0, Change = change.Up is null ? 0 : IFF_UP };

    private void WriteChange(LinkChange change)
    {
        if (change.Name is not null)
        {
            _writer.Text(IFLA_IFNAME, change.Name);
        }

        if (change.Address is { } address)
        {
            WriteAddress(address);
        }

        if (change.Mtu is { } mtu)
        {
            _writer.UInt32(IFLA_MTU, (uint)mtu);
        }

        if (change.Master is { } master)
        {
            _writer.UInt32(IFLA_MASTER, (uint)master);
        }

        if (change.Alias is not null)
        {
            _writer.Text(IFLA_IFALIAS, change.Alias);
        }

        if (change.LinkLocalAddress is { } linkLocal)
        {
            using (_writer.Begin(IFLA_AF_SPEC))
            using (_writer.Begin(NetlinkNative.AF_INET6))
            {
                _writer.UInt8(IFLA_INET6_ADDR_GEN_MODE, linkLocal ? (byte)0 : IN6_ADDR_GEN_MODE_NONE);
            }
        }
    }

    private void WriteAddress(MacAddress address)
    {
        Span<byte> bytes = stackalloc byte[6];
        address.CopyTo(bytes);
        _writer.Attribute(IFLA_ADDRESS, bytes);
    }

    private void WriteInterfaceAddress(InterfaceAddress address)
    {
        byte[] bytes = address.Address.GetAddressBytes();
        _writer.Fixed(new InterfaceAddressInfo
        {
            Family = Family(address.Address),
            PrefixLength = (byte)address.PrefixLength,
            Flags = bytes.Length == 4 ? (byte)0 : IFA_F_NODAD,
            Index = address.LinkIndex,
        });
        _writer.Attribute(IFA_LOCAL, bytes);
        _writer.Attribute(IFA_ADDRESS, bytes);
        if (bytes.Length == 4 && address.PrefixLength < 31)
        {
            // The broadcast address is not made by the kernel, unlike the rest (devinet.c).
            uint mask = uint.MaxValue >> address.PrefixLength;
            Span<byte> broadcast = bytes;
            BinaryPrimitives.WriteUInt32BigEndian(broadcast, BinaryPrimitives.ReadUInt32BigEndian(broadcast) | mask);
            _writer.Attribute(IFA_BROADCAST, broadcast);
        }
    }

    private void WriteRoute(Route route)
    {
        _writer.Fixed(new RouteInfo
        {
            Family = Family(route.Destination.BaseAddress),
            DestinationLength = (byte)route.Destination.PrefixLength,
            Table = RT_TABLE_MAIN,
            Protocol = RTPROT_BOOT,
            Scope = route.Gateway is null ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE,
            Type = RTN_UNICAST,
        });
        if (route.Destination.PrefixLength > 0)
        {
            _writer.Attribute(RTA_DST, route.Destination.BaseAddress.GetAddressBytes());
        }

        if (route.Gateway is not null)
        {
            _writer.Attribute(RTA_GATEWAY, route.Gateway.GetAddressBytes());
        }

        if (route.LinkIndex != 0)
        {
            _writer.UInt32(RTA_OIF, (uint)route.LinkIndex);
        }
    }
}
