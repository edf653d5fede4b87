using System.Buffers.Binary;
using static Slipway.Kernel.Netlink.NeighbourMessages;
using static Slipway.Kernel.Netlink.RouteMessages;

namespace Slipway.Kernel.Netlink;

public sealed partial class RouteBatch
{
    /// <summary>Creates a VXLAN link, down.</summary>
    public RouteBatch AddVxlan(VxlanLink link)
    {
        using (_writer.Begin(RTM_NEWLINK, NetlinkFlags.Ack | NetlinkFlags.Create | NetlinkFlags.Exclusive, $"add vxlan {link.Name}"))
        {
            _writer.Fixed(new InterfaceInfo());
            _writer.Text(IFLA_IFNAME, link.Name);
            _writer.UInt32(IFLA_MTU, (uint)link.Mtu);
            using (_writer.Begin(IFLA_LINKINFO))
            {
                _writer.Text(IFLA_INFO_KIND, "vxlan");
                using (_writer.Begin(IFLA_INFO_DATA))
                {
                    byte[] port = new byte[2];
                    BinaryPrimitives.WriteUInt16BigEndian(port, link.Port);
                    _writer.UInt32(IFLA_VXLAN_ID, (uint)link.Number);
                    _writer.Attribute(IFLA_VXLAN_LOCAL, link.Local.GetAddressBytes());
                    _writer.Attribute(IFLA_VXLAN_PORT, port);
                    _writer.UInt8(IFLA_VXLAN_LEARNING, 0);
                    _writer.UInt8(IFLA_VXLAN_PROXY, 1);
                }
            }

            _writer.UInt32(IFLA_MASTER, (uint)link.Master);
        }

        return this;
    }

    /// <summary>Whether a bridge notes by which port it sees a hardware address, and sends frames to unknown ones to this port.</summary>
    /// <param name="port">Index of an interface that is enslaved to a bridge.</param>
    public RouteBatch SetLearning(int port, bool value) =>
        SetPort(port, IFLA_BRPORT_LEARNING, value, "learning").SetPort(port, IFLA_BRPORT_UNICAST_FLOOD, value, "flooding");

    /// <summary>
    /// Sends frames to a hardware address to another host, in the place of where they went before; the bridge that the link is on sends them to the link,
    /// and no other port of it can take the address over.
    /// </summary>
    /// <param name="link">Index of a VXLAN link.</param>
    public RouteBatch SetForwarding(int link, ForwardingEntry entry)
    {
        using (BeginNeighbour(RTM_NEWNEIGH, link, AF_BRIDGE, NUD_NOARP | NUD_PERMANENT, NTF_SELF, $"set forwarding of {entry.Hardware} to {entry.Host}"))
        {
            _writer.Attribute(NDA_DST, entry.Host.GetAddressBytes());
            WriteNeighbourHardware(entry.Hardware);
        }

        using (BeginNeighbour(RTM_NEWNEIGH, link, AF_BRIDGE, NUD_NOARP, NTF_MASTER | NTF_STICKY, $"set forwarding of {entry.Hardware} by the bridge"))
        {
            WriteNeighbourHardware(entry.Hardware);
        }

        return this;
    }

    /// <summary>Takes back <see cref="SetForwarding"/>; ENOENT where there is nothing to take back.</summary>
    public RouteBatch DeleteForwarding(int link, MacAddress hardware)
    {
        foreach (byte flag in (byte[])[NTF_SELF, NTF_MASTER])
        {
            using (BeginNeighbour(RTM_DELNEIGH, link, AF_BRIDGE, 0, flag, $"delete forwarding of {hardware}"))
            {
                WriteNeighbourHardware(hardware);
            }
        }

        return this;
    }

    /// <summary>Tells a link the hardware address of an address for good, in the place of what it knew.</summary>
    public RouteBatch SetNeighbour(int link, Neighbour neighbour)
    {
        using (BeginNeighbour(RTM_NEWNEIGH, link, Family(neighbour.Address), NUD_PERMANENT, 0, $"set neighbour {neighbour.Address}"))
        {
            _writer.Attribute(NDA_DST, neighbour.Address.GetAddressBytes());
            WriteNeighbourHardware(neighbour.Hardware);
        }

        return this;
    }

    /// <summary>Takes back <see cref="SetNeighbour"/>; ENOENT where there is nothing to take back.</summary>
    public RouteBatch DeleteNeighbour(int link, Neighbour neighbour)
    {
        using (BeginNeighbour(RTM_DELNEIGH, link, Family(neighbour.Address), 0, 0, $"delete neighbour {neighbour.Address}"))
        {
            _writer.Attribute(NDA_DST, neighbour.Address.GetAddressBytes());
        }

        return this;
    }

    private NetlinkWriter.Message BeginNeighbour(ushort message, int link, byte family, ushort state, byte flags, string operation)
    {
        NetlinkFlags request = message == RTM_NEWNEIGH ? NetlinkFlags.Ack | NetlinkFlags.Create | NetlinkFlags.Replace : NetlinkFlags.Ack;
        NetlinkWriter.Message begun = _writer.Begin(message, request, operation);
        _writer.Fixed(new NeighbourInfo { Family = family, Index = link, State = state, Flags = flags });
        return begun;
    }

    private void WriteNeighbourHardware(MacAddress address)
    {
        Span<byte> bytes = stackalloc byte[6];
        address.CopyTo(bytes);
        _writer.Attribute(NDA_LLADDR, bytes);
    }
}
