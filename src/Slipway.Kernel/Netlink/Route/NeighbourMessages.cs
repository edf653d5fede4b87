using System.Diagnostics.CodeAnalysis;

namespace Slipway.Kernel.Netlink;

/// <summary>Numbers of neighbours and of VXLAN links (linux/neighbour.h, rtnetlink.h, if_link.h), by their names.</summary>
[SuppressMessage("Naming", "CA1712", Justification = "Kernel names.")]
internal static class NeighbourMessages
{
    public const ushort RTM_NEWNEIGH = 28;
    public const ushort RTM_DELNEIGH = 29;
    public const ushort RTM_GETNEIGH = 30;

    public const ushort NDA_DST = 1;
    public const ushort NDA_LLADDR = 2;
    public const ushort NUD_NOARP = 0x40;
    public const ushort NUD_PERMANENT = 0x80;
    public const byte NTF_SELF = 0x02;
    public const byte NTF_MASTER = 0x04;
    public const byte NTF_STICKY = 0x40;

    public const ushort IFLA_VXLAN_ID = 1;
    public const ushort IFLA_VXLAN_LOCAL = 4;
    public const ushort IFLA_VXLAN_LEARNING = 7;
    public const ushort IFLA_VXLAN_PROXY = 11;
    public const ushort IFLA_VXLAN_PORT = 15;
    public const ushort IFLA_BRPORT_LEARNING = 8;
    public const ushort IFLA_BRPORT_UNICAST_FLOOD = 9;

    /// <summary>struct ndmsg.</summary>
    public struct NeighbourInfo
    {
        public byte Family;
        public byte Padding;
        public ushort Padding2;
        public int Index;
        public ushort State;
        public byte Flags;
        public byte Type;
    }
}
