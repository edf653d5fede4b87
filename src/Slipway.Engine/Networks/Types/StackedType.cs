using System.Globalization;
using System.Net;
using Slipway.Kernel.Netlink;
using Slipway.Networking;

namespace Slipway.Engine.Networks.Types;

/// <summary>Networks whose containers have links on top of one of the host's: the drivers macvlan and ipvlan.</summary>
internal abstract class StackedType(NetworkHost host) : INetworkType
{
    private const string ParentOption = "parent";
    private const int IdDigits = 12; // an interface's name has at most 15 bytes

    public abstract string Name { get; }

    /// <summary>It is a router outside; the kernel keeps such links from the host itself.</summary>
    public bool GatewayIsHost => false;

    /// <summary>Before the digits of the id, the name of a parent that a network has of its own.</summary>
    protected abstract string ParentPrefix { get; }

    public NetworkDocument Complete(string id, NetworkDocument network, IReadOnlyCollection<UserNetwork> others)
    {
        _ = Mode(network.Options);
        _ = Mtu(network.Options);
        string parent = Parent(id, network);
        if (parent == "lo")
        {
            throw NetworkErrors.Invalid($"loopback interface is not a valid {Name} parent link");
        }

        return others.FirstOrDefault(other => other.Document.Driver == Name && Parent(other.Id, other.Document) == parent) is { } user
            ? throw new EngineException(ErrorKind.Forbidden, $"network {OwnParent(user.Id)} is already using parent interface {parent}")
            : network;
    }

    public INetworkDriver Open(string id, NetworkDocument network) => new StackedNetwork(
        new StackedOptions
        {
            NetworkId = id,
            Parent = Parent(id, network),
            HasOwnParent = NamedParent(network) is null,
            Mode = Mode(network.Options),
            Ipv4 = Subnet(network.Ipv4),
            Ipv6 = Subnet(network.Ipv6),
            Internal = network.Internal,
            Mtu = Mtu(network.Options),
        },
        host);

    /// <exception cref="EngineException">InvalidParameter.</exception>
    protected abstract StackedMode Mode(IReadOnlyDictionary<string, string> options);

    private static StackedSubnetOptions? Subnet(NetworkSubnet? subnet) => subnet is null ? null : new(
        subnet.Range, subnet.Address.Address, subnet.AddressRange is null ? null : IPNetwork.Parse(subnet.AddressRange), [.. subnet.Reserved]);

    private string Parent(string id, NetworkDocument network) => NamedParent(network) ?? OwnParent(id);

    private string OwnParent(string id) => ParentPrefix + id[..IdDigits];

    private static string? NamedParent(NetworkDocument network) => network.Options.GetValueOrDefault(ParentOption) is { Length: > 0 } named ? named : null;

    private static int Mtu(IReadOnlyDictionary<string, string> options) =>
        options.GetValueOrDefault(BridgeSettings.MtuOption) is not { Length: > 0 } text ? 0
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int mtu) ? mtu
        : throw NetworkErrors.Invalid($"failed to parse {BridgeSettings.MtuOption} value: {text} (bytes)");
}

/// <summary>Links with hardware addresses of their own.</summary>
internal sealed class MacvlanType(NetworkHost host) : StackedType(host)
{
    public override string Name => "macvlan";

    protected override string ParentPrefix => "dm-";

    protected override StackedMode Mode(IReadOnlyDictionary<string, string> options) => options.GetValueOrDefault("macvlan_mode") switch
    {
        null or "" or "bridge" => MacvlanMode.Bridge,
        "private" => MacvlanMode.Private,
        "vepa" => MacvlanMode.Vepa,
        "passthru" => MacvlanMode.Passthru,
        var other => throw NetworkErrors.Invalid($"requested macvlan mode '{other}' is not valid, 'bridge' mode is the macvlan driver default"),
    };
}

/// <summary>Links with the parent's hardware address.</summary>
internal sealed class IpvlanType(NetworkHost host) : StackedType(host)
{
    public override string Name => "ipvlan";

    protected override string ParentPrefix => "di-";

    protected override StackedMode Mode(IReadOnlyDictionary<string, string> options)
    {
        IpvlanLayer layer = options.GetValueOrDefault("ipvlan_mode") switch
        {
            null or "" or "l2" => IpvlanLayer.L2,
            "l3" => IpvlanLayer.L3,
            "l3s" => IpvlanLayer.L3S,
            var other => throw NetworkErrors.Invalid($"requested ipvlan mode '{other}' is not valid, 'l2' mode is the ipvlan driver default"),
        };
        IpvlanSharing sharing = options.GetValueOrDefault("ipvlan_flag") switch
        {
            null or "" or "bridge" => IpvlanSharing.Bridge,
            "private" => IpvlanSharing.Private,
            "vepa" => IpvlanSharing.Vepa,
            var other => throw NetworkErrors.Invalid($"requested ipvlan flag '{other}' is not valid, 'bridge' is the ipvlan driver default"),
        };
        return new IpvlanMode(layer, sharing);
    }
}
