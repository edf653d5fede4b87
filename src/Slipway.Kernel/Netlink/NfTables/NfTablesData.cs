namespace Slipway.Kernel.Netlink;

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
    public const int Raw = -300;
    public const int DestinationNat = -100;
    public const int Filter = 0;
    public const int SourceNat = 100;
}

/// <summary>A type of a set's key or value as nft knows it; several make a concatenation, each in words of four bytes.</summary>
public enum SetType : uint
{
    Ipv4Address = 7,
    TransportProtocol = 12,
    Port = 13,
}

/// <summary>A map from concatenated keys to concatenated values.</summary>
public sealed record NfTablesMap(string Name, IReadOnlyList<SetType> Key, IReadOnlyList<SetType> Value)
{
    private const int TypeBits = 6;

    internal static uint TypeNumber(IReadOnlyList<SetType> parts) => parts.Aggregate(0u, (number, part) => (number << TypeBits) | (uint)part);

    // All types there are fit one word.
    internal static uint Length(IReadOnlyList<SetType> parts) => (uint)parts.Count * 4;
}

/// <summary>An element of a map: key and value as they lie in the registers.</summary>
public sealed record MapElement(byte[] Key, byte[] Value);

/// <summary>A table that exists.</summary>
public sealed record NfTablesTable(string Name, string? Comment);
