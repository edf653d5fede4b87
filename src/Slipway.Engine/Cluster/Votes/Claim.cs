using System.Globalization;
using System.Net;
using Slipway.Networking;

namespace Slipway.Engine.Cluster.Votes;

/// <summary>Something that only one network, or one member, of the cluster may have.</summary>
/// <param name="Key">What: <c>name/NAME</c>, <c>number/VNI</c>, <c>subnet/CIDR</c>, <c>block/NETWORK/INDEX</c>.</param>
/// <param name="Network">Id of the network for which it is claimed.</param>
internal sealed record Claim(string Key, string Network)
{
    private const string NamePrefix = "name/";
    private const string NumberPrefix = "number/";
    private const string SubnetPrefix = "subnet/";
    private const string BlockPrefix = "block/";

    /// <summary>The longest key: that of a block.</summary>
    public const int MaxKeyLength = 300;

    public static Claim Name(string network, string name) => new(NamePrefix + name, network);

    public static Claim Number(string network, int number) => new(NumberPrefix + number.ToString(CultureInfo.InvariantCulture), network);

    public static Claim Subnet(string network, IPNetwork subnet) => new(SubnetPrefix + subnet, network);

    public static Claim Block(string network, int index) => new($"{BlockPrefix}{network}/{index.ToString(CultureInfo.InvariantCulture)}", network);

    public bool IsName => Key.StartsWith(NamePrefix, StringComparison.Ordinal);

    public bool IsSubnet => Key.StartsWith(SubnetPrefix, StringComparison.Ordinal);

    /// <summary>The number of a block of <see cref="Network"/>; null for other claims.</summary>
    public int? BlockIndex =>
        Key.StartsWith(BlockPrefix, StringComparison.Ordinal) && int.TryParse(Key.AsSpan(Key.LastIndexOf('/') + 1), NumberStyles.None, CultureInfo.InvariantCulture, out int index) ? index : null;

    /// <summary>Whether two members cannot have both: the same thing, or subnets that overlap.</summary>
    public bool Excludes(Claim other) => Key == other.Key || (SubnetOf() is { } own && other.SubnetOf() is { } its && DefaultSubnets.Overlap(own, its));

    /// <summary>Of another member, whose claims are not believed to have any form.</summary>
    public bool IsValid =>
        Key.Length is > 0 and <= MaxKeyLength && Identifiers.IsFull(Network)
        && (!IsSubnet || SubnetOf() is not null)
        && (!Key.StartsWith(BlockPrefix, StringComparison.Ordinal) || (BlockIndex is { } index && Key == Block(Network, index).Key));

    private IPNetwork? SubnetOf() => IsSubnet && IPNetwork.TryParse(Key.AsSpan(SubnetPrefix.Length), out IPNetwork subnet) ? subnet : null;
}
