using System.Net;
using System.Net.Sockets;
using static Slipway.Kernel.Netlink.NeighbourMessages;
using static Slipway.Kernel.Netlink.RouteMessages;

namespace Slipway.Kernel.Netlink;

public sealed partial class RouteSession
{
    /// <summary>Where a VXLAN link sends frames.</summary>
    /// <param name="link">Index.</param>
    public IReadOnlyList<ForwardingEntry> Forwarding(int link)
    {
        WriteNeighbourDump(AF_BRIDGE);
        return Query(Writer, "list forwarding entries", message =>
            message.Type == RTM_NEWNEIGH && message.TryFixed(out NeighbourInfo info, out AttributeReader attributes) && info.Index == link && (info.Flags & NTF_SELF) != 0
            && attributes.Find(NDA_LLADDR, out ReadOnlySpan<byte> hardware) && hardware.Length == 6 && attributes.Find(NDA_DST, out ReadOnlySpan<byte> host) && host.Length is 4 or 16
                ? new ForwardingEntry(MacAddress.FromBytes(hardware), new IPAddress(host))
                : null);
    }

    /// <summary>The neighbours of one family that a link was told for good.</summary>
    /// <param name="link">Index.</param>
    public IReadOnlyList<Neighbour> Neighbours(int link, AddressFamily family)
    {
        int length = family == AddressFamily.InterNetwork ? 4 : 16;
        WriteNeighbourDump((byte)(family == AddressFamily.InterNetwork ? NetlinkNative.AF_INET : NetlinkNative.AF_INET6));
        return Query(Writer, "list neighbours", message =>
            message.Type == RTM_NEWNEIGH && message.TryFixed(out NeighbourInfo info, out AttributeReader attributes) && info.Index == link && (info.State & NUD_PERMANENT) != 0
            && attributes.Find(NDA_LLADDR, out ReadOnlySpan<byte> hardware) && hardware.Length == 6 && attributes.Find(NDA_DST, out ReadOnlySpan<byte> address) && address.Length == length
                ? new Neighbour(new IPAddress(address), MacAddress.FromBytes(hardware))
                : null);
    }

    private void WriteNeighbourDump(byte family)
    {
        Writer.Reset();
        using (Writer.Begin(RTM_GETNEIGH, NetlinkFlags.Dump, "list neighbours"))
        {
            Writer.Fixed(new NeighbourInfo { Family = family });
        }
    }
}
