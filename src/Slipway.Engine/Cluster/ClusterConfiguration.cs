using System.Net;
using System.Net.Sockets;
using Slipway.Networking;
using Slipway.Registry.Peers;

namespace Slipway.Engine.Cluster;

/// <summary>The engines that have networks in common (docs/networks.md, daemon.json "cluster"). The list of members is the same on each.</summary>
public sealed record ClusterConfiguration
{
    /// <summary>Where this engine listens to the others.</summary>
    public required IPEndPoint Listen { get; init; }

    /// <summary>The address by which the others know this host; packets of overlay networks are sent from and to it.</summary>
    public required IPAddress Advertise { get; init; }

    /// <summary>All members, with this one.</summary>
    public required IReadOnlyList<IPEndPoint> Members { get; init; }

    /// <summary>Who this engine is, and whom it believes. A certificate must be for the address of its member.</summary>
    public required PeerTls Tls { get; init; }

    /// <summary>UDP port of VXLAN, below the highest.</summary>
    public ushort DataPort { get; init; } = OverlayOptions.DefaultPort;

    /// <summary>UDP port of VXLAN of encrypted networks: by it the kernel knows what is to be encrypted.</summary>
    public ushort EncryptedPort => (ushort)(DataPort + 1);

    /// <summary>How long packets between two hosts are encrypted with the same key.</summary>
    public TimeSpan KeyLifetime { get; init; } = TimeSpan.FromHours(1);

    /// <summary>What overlay networks without a subnet of their own are cut from.</summary>
    public AddressPoolSource AddressPool { get; init; } = new(IPNetwork.Parse("10.0.0.0/8"), 20);

    /// <exception cref="FormatException">A value that cannot be meant.</exception>
    public void Validate()
    {
        if (Advertise.AddressFamily != AddressFamily.InterNetwork || Advertise.Equals(IPAddress.Any))
        {
            throw new FormatException($"invalid cluster.advertise {Advertise}: it must be an IPv4 address of this host that the other members reach");
        }

        if (Members.FirstOrDefault(member => member.AddressFamily != AddressFamily.InterNetwork || member.Port == 0) is { } bad)
        {
            throw new FormatException($"invalid cluster.members {bad}: it must be an IPv4 address and a port");
        }

        if (Members.GroupBy(member => member.Address).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            throw new FormatException($"invalid cluster.members: {twice.Key} is there twice");
        }

        const int LongestPrefix = 29; // a block of addresses for each of two hosts
        if (AddressPool.Base.BaseAddress.AddressFamily != AddressFamily.InterNetwork || AddressPool.PrefixLength > LongestPrefix)
        {
            throw new FormatException($"invalid cluster.address-pool {AddressPool.Base}: it must be of IPv4, with a size of at most {LongestPrefix}");
        }

        const int MaxMembers = 64;
        if (Members.Count > MaxMembers)
        {
            throw new FormatException($"invalid cluster.members: {Members.Count}, of at most {MaxMembers}");
        }

        if (!Members.Any(member => member.Address.Equals(Advertise)))
        {
            throw new FormatException($"invalid cluster.members: they must be the same on all hosts, with this one, {Advertise}");
        }
    }
}
