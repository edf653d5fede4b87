namespace Slipway.Kernel.Netlink;

/// <summary>The packets a table is about (NFPROTO_*).</summary>
public enum NfTablesFamily : byte
{
    Ipv4 = 2,
    Ipv6 = 10,

    /// <summary>Frames on the ports of bridges.</summary>
    Bridge = 7,
}

/// <summary>A chain the network stack calls.</summary>
public sealed record BaseChain(string Name, ChainType Type, NetfilterHook Hook, int Priority);

public enum ChainType
{
    Filter,
    Nat,
}

/// <summary>NF_INET_*.</summary>
public enum NetfilterHook : uint
{
    Prerouting = 0,
    Input = 1,
    Forward = 2,
    Output = 3,
    Postrouting = 4,
}

/// <summary>Priorities by nft's names (linux/netfilter_ipv4.h).</summary>
public static class ChainPriority
{
    /// <summary>Of the bridge family, before br_netfilter hands frames to the others (linux/netfilter_bridge.h).</summary>
    public const int BridgeFilter = -200;

    public const int Raw = -300;
    public const int DestinationNat = -100;
    public const int Filter = 0;
    public const int SourceNat = 100;

    /// <summary>After everybody, just before the connection of a packet that nobody dropped is known (NF_IP_PRI_CONNTRACK_CONFIRM).</summary>
    public const int BeforeConfirmation = int.MaxValue - 1;
}

/// <summary>A type of a set's key or value as nft knows it; several make a concatenation, each in words of four bytes.</summary>
public enum SetType : uint
{
    Integer = 4,
    Ipv4Address = 7,
    Ipv6Address = 8,
    HardwareAddress = 9,
    TransportProtocol = 12,
    Port = 13,
    InterfaceName = 41,

    /// <summary>Of a value only, and alone: what happens to the packet (NFT_DATA_VERDICT).</summary>
    Verdict = 0xffffff00,
}

/// <summary>A map from concatenated keys to concatenated values; without a value, a set.</summary>
public sealed record NfTablesMap(string Name, IReadOnlyList<SetType> Key, IReadOnlyList<SetType> Value)
{
    private const int TypeBits = 6;

    /// <summary>An element's key is where a range begins; another that <see cref="MapElement.EndsRange"/> is behind its last.</summary>
    public bool HasRanges { get; init; }

    internal static uint TypeNumber(IReadOnlyList<SetType> parts) => parts.Aggregate(0u, (number, part) => (number << TypeBits) | (uint)part);

    // All other types fit one word.
    internal static uint Length(IReadOnlyList<SetType> parts) =>
        (uint)parts.Sum(part => part is SetType.Ipv6Address or SetType.InterfaceName ? 16 : part == SetType.HardwareAddress ? 8 : 4);
}

/// <summary>An element of a map: key and value as they lie in the registers.</summary>
/// <param name="Value">Empty in a set, and where <paramref name="JumpTo"/> is the value.</param>
/// <param name="JumpTo">Of a map to verdicts: the chain the packet goes through.</param>
public sealed record MapElement(byte[] Key, byte[] Value, string? JumpTo = null)
{
    /// <summary>Shown by nft; at most 127 bytes.</summary>
    public string? Comment { get; init; }

    /// <inheritdoc cref="NfTablesMap.HasRanges"/>
    public bool EndsRange { get; init; }

    /// <summary>Key, value and kind as text: two elements with the same are the same.</summary>
    public string Identity => $"{Place}{Convert.ToHexString(Value)} {JumpTo}";

    /// <summary>What can be in a map only once.</summary>
    public string Place => $"{Convert.ToHexString(Key)}{(EndsRange ? " end " : " ")}";
}

/// <summary>A table that exists.</summary>
public sealed record NfTablesTable(string Name, string? Comment);
