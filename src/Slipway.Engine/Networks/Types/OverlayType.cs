using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using Slipway.Engine.Cluster.Networks;
using Slipway.Networking;

namespace Slipway.Engine.Networks.Types;

/// <summary>Networks that span the engines of a cluster.</summary>
/// <param name="cluster">Null for an engine that is in none.</param>
internal sealed class OverlayType(NetworkHost host, TimeProvider time, ClusterNetworks? cluster) : INetworkType
{
    public const string NumberOption = "com.docker.network.driver.overlay.vxlanid_list";

    private const int MaxNumber = (1 << 24) - 1; // RFC 7348 section 5
    private const string EncryptedOption = "encrypted";
    private const int IdDigits = 12; // an interface's name has at most 15 bytes

    /// <summary>Bytes of a document that the number's option may take.</summary>
    private const int Reserve = 256;

    /// <summary>Bits of addresses in a block: the most, and the least with which a host has an address beside its bridge's.</summary>
    private const int MaxBlockBits = 6;
    private const int MinBlockBits = 2;

    public string Name => NetworkTypes.Overlay;

    public bool GatewayIsHost => true;

    public ISharedNetworks? Shared => cluster;

    public IReadOnlyList<AddressPoolSource>? AddressPools => cluster is null ? null : [cluster.Configuration.AddressPool];

    public NetworkDocument Complete(string id, NetworkDocument network, IReadOnlyCollection<UserNetwork> others)
    {
        if (cluster is null)
        {
            throw new EngineException(ErrorKind.Unavailable, NoCluster);
        }

        if (network.Ipv4 is not { } subnet)
        {
            throw new EngineException(ErrorKind.NotImplemented, "networks of the driver overlay need IPv4, also beside IPv6");
        }

        network = network with { Ipv6 = network.Ipv6 is { } ipv6 ? Paired(subnet, ipv6) : null };

        int number = network.Options.GetValueOrDefault(NumberOption) is { Length: > 0 } text ? ParseNumber(text) : ChooseNumber();
        NetworkDocument complete = network with
        {
            Overlay = new OverlayDocument(number, BlockPrefix(subnet.Range, cluster.Configuration.Members.Count)),
        };
        return complete.ToBytes().Length <= Cluster.Records.NetworkRecord.MaxDocument - Reserve ? complete
            : throw NetworkErrors.Invalid($"labels and options of a network that spans hosts must take less than {Cluster.Records.NetworkRecord.MaxDocument} bytes");
    }

    public INetworkDriver Open(string id, NetworkDocument network)
    {
        if (network is not { Ipv4: { } subnet, Overlay: { } overlay })
        {
            throw new NetworkException(NetworkErrorKind.InvalidParameter, "a network of the driver overlay needs IPv4, a number and blocks");
        }

        Check(subnet.Range, overlay);
        AddressPairing? pairing = network.Ipv6 is { } ipv6 ? new AddressPairing(subnet.Range, ipv6.Range) : null;
        IPAddress local = cluster?.Configuration.Advertise ?? IPAddress.None;
        bool encrypted = IsEncrypted(network);
        return new OverlayNetwork(
            new OverlayOptions
            {
                BridgeName = "ov-" + id[..IdDigits],
                LinkName = "vx-" + id[..IdDigits],
                Number = overlay.Number,
                Port = (encrypted ? cluster?.Configuration.EncryptedPort : cluster?.Configuration.DataPort) ?? OverlayOptions.DefaultPort,
                Encrypted = encrypted,
                Local = local,
                Hosts = [.. (cluster?.Configuration.Members ?? []).Select(member => member.Address).Where(address => !address.Equals(local))],
                Subnet = subnet.Range,
                Pairing = pairing,
                Gateway = subnet.Address.Address,
                ReservedAddresses = [.. subnet.Reserved, .. (network.Ipv6?.Reserved ?? []).Select(reserved => pairing!.Ipv4Of(reserved)).OfType<IPAddress>()],
                Internal = network.Internal,
                Mtu = BridgeSettings.Parse(network.Options, network.Internal).Mtu,
                Blocks = cluster?.BlocksOf(id, subnet.Range, overlay.BlockPrefix) ?? (IOverlayBlocks)new NoBlocks(),
            },
            time,
            host);
    }

    /// <summary>As for Docker, who names the option means it.</summary>
    private static bool IsEncrypted(NetworkDocument network) => network.Options.TryGetValue(EncryptedOption, out string? encrypted) && BridgeSettings.ParseFlag(encrypted) != false;

    /// <returns>The IPv6 subnet with the gateway that belongs to the one of IPv4.</returns>
    /// <exception cref="EngineException">InvalidParameter: what is asked for of IPv6 does not go with IPv4.</exception>
    private static NetworkSubnet Paired(NetworkSubnet ipv4, NetworkSubnet ipv6)
    {
        try
        {
            IPAddress gateway = new AddressPairing(ipv4.Range, ipv6.Range).Ipv6Of(ipv4.Address.Address);
            if (ipv6.AddressRange is { } range)
            {
                throw NetworkErrors.Invalid($"invalid ip-range {range}: on a network that spans hosts the IPv6 addresses of containers belong to those of IPv4");
            }

            return ipv6.Address.Address.Equals(gateway) || ipv6.Address.Address.Equals(DefaultSubnets.FirstAddress(ipv6.Range)) ? ipv6 with { Gateway = gateway.ToString() }
                : throw NetworkErrors.Invalid($"invalid gateway {ipv6.Gateway}: on a network that spans hosts {gateway} belongs to the gateway {ipv4.Gateway}");
        }
        catch (NetworkException exception)
        {
            throw NetworkErrors.Invalid(exception.Message);
        }
    }

    /// <summary>The bits of a block's prefix: such that each member may have two blocks at least, where the subnet has room for that.</summary>
    /// <exception cref="EngineException">InvalidParameter: there is no room for a block of each.</exception>
    public static int BlockPrefix(IPNetwork subnet, int members)
    {
        int bits = 32 - subnet.PrefixLength;
        int forMembers = 32 - int.LeadingZeroCount((2 * members) - 1);
        int blockBits = Math.Min(MaxBlockBits, Math.Max(MinBlockBits, bits - forMembers));
        return bits >= blockBits && 1 << (bits - blockBits) >= members
            ? 32 - blockBits
            : throw NetworkErrors.Invalid($"invalid subnet {subnet}: it has no block of {1 << MinBlockBits} addresses for each of {members} hosts");
    }

    /// <summary>A number of VXLAN that nobody is likely to have; those below are left to networks that name theirs.</summary>
    public static int ChooseNumber()
    {
        const int MinChosenNumber = 4096;
        return RandomNumberGenerator.GetInt32(MinChosenNumber, MaxNumber + 1);
    }

    private static string NoCluster =>
        "This node is not a swarm manager. Networks of the driver overlay span the engines of a cluster: set \"cluster\" in daemon.json of each host (docs/networks.md), and start them again.";

    /// <summary>Of a document that another engine may have made.</summary>
    /// <exception cref="NetworkException">InvalidParameter.</exception>
    private static void Check(IPNetwork subnet, OverlayDocument overlay)
    {
        if (subnet.BaseAddress.AddressFamily != System.Net.Sockets.AddressFamily.InterNetwork || overlay.Number is < 1 or > MaxNumber || overlay.BlockPrefix < subnet.PrefixLength || overlay.BlockPrefix > 32 - MinBlockBits)
        {
            throw new NetworkException(NetworkErrorKind.InvalidParameter, $"VXLAN number {overlay.Number} and blocks of /{overlay.BlockPrefix} of {subnet} cannot be meant");
        }
    }

    private static int ParseNumber(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number is >= 1 and <= MaxNumber ? number
        : throw NetworkErrors.Invalid($"failed to parse {NumberOption} value: {text} (one number, 1 to {MaxNumber})");

    /// <summary>Of an engine that was taken out of its cluster: its networks are there until they are removed, and take no containers.</summary>
    private sealed class NoBlocks : IOverlayBlocks
    {
        public IReadOnlyList<IPNetwork> Owned => [];

        public Task<IPNetwork> ClaimAsync(IPAddress? containing, CancellationToken cancellationToken) => throw new NetworkException(NetworkErrorKind.Unavailable, NoCluster);
    }
}
