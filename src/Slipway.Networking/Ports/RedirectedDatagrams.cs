using System.Net;
using System.Net.Sockets;
using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>Where the kernel sends datagrams to published ports because it did so before.</summary>
internal static class RedirectedDatagrams
{
    /// <summary>
    /// Forgets where datagrams went before. A stream of them keeps its entry alive, so without this a client would never be redirected
    /// to a container published after its first packet, or for ever be to one that is gone.
    /// </summary>
    public static void Forget(EndpointInfo endpoint, IReadOnlyList<PublishedPort> ports)
    {
        HashSet<ushort> hostPorts = [.. ports.Where(port => port.Protocol == PortProtocol.Udp).Select(port => port.HostPort)];
        if (hostPorts.Count == 0)
        {
            return;
        }

        using ConntrackSession session = new();
        foreach (IPAddress address in endpoint.Addresses)
        {
            session.Delete(
                address.AddressFamily == AddressFamily.InterNetwork ? NfTablesFamily.Ipv4 : NfTablesFamily.Ipv6,
                c => c.Protocol == (byte)PortProtocol.Udp && (hostPorts.Contains(c.DestinationPort) || c.ReplySource.Equals(address)));
        }
    }
}
