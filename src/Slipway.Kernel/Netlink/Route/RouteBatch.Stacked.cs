using static Slipway.Kernel.Netlink.RouteMessages;

namespace Slipway.Kernel.Netlink;

public sealed partial class RouteBatch
{
    /// <summary>Creates a link with addresses of its own on a parent, down, in its namespace from the start.</summary>
    public RouteBatch AddStacked(StackedLink link)
    {
        using (_writer.Begin(RTM_NEWLINK, NetlinkFlags.Ack | NetlinkFlags.Create | NetlinkFlags.Exclusive, $"add {link.Mode.Kind} {link.Name}"))
        {
            _writer.Fixed(new InterfaceInfo());
            _writer.Text(IFLA_IFNAME, link.Name);
            _writer.UInt32(IFLA_LINK, (uint)link.Parent);
            _writer.UInt32(IFLA_NET_NS_FD, (uint)link.Namespace.Descriptor.DangerousGetHandle());
            if (link.Mtu != 0)
            {
                _writer.UInt32(IFLA_MTU, (uint)link.Mtu);
            }

            using (_writer.Begin(IFLA_LINKINFO))
            {
                _writer.Text(IFLA_INFO_KIND, link.Mode.Kind);
                using (_writer.Begin(IFLA_INFO_DATA))
                {
                    link.Mode.Write(_writer);
                }
            }
        }

        return this;
    }

    /// <summary>Creates a link that carries the frames of one VLAN of its parent (802.1Q), down.</summary>
    /// <param name="parent">Index.</param>
    /// <param name="id">1 to 4094.</param>
    public RouteBatch AddVlan(string name, int parent, ushort id)
    {
        using (_writer.Begin(RTM_NEWLINK, NetlinkFlags.Ack | NetlinkFlags.Create | NetlinkFlags.Exclusive, $"add vlan {name}"))
        {
            _writer.Fixed(new InterfaceInfo());
            _writer.Text(IFLA_IFNAME, name);
            _writer.UInt32(IFLA_LINK, (uint)parent);
            using (_writer.Begin(IFLA_LINKINFO))
            {
                _writer.Text(IFLA_INFO_KIND, "vlan");
                using (_writer.Begin(IFLA_INFO_DATA))
                {
                    _writer.UInt16(IFLA_VLAN_ID, id);
                }
            }
        }

        return this;
    }

    /// <summary>Creates a link of a kind that takes no parameters, down.</summary>
    /// <param name="kind">As <c>ip link add type</c> has it: <c>dummy</c>, <c>ifb</c>.</param>
    public RouteBatch AddLink(string name, string kind)
    {
        using (_writer.Begin(RTM_NEWLINK, NetlinkFlags.Ack | NetlinkFlags.Create | NetlinkFlags.Exclusive, $"add {kind} {name}"))
        {
            _writer.Fixed(new InterfaceInfo());
            _writer.Text(IFLA_IFNAME, name);
            using (_writer.Begin(IFLA_LINKINFO))
            {
                _writer.Text(IFLA_INFO_KIND, kind);
            }
        }

        return this;
    }
}
