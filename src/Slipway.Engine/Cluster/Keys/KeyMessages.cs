using Slipway.Kernel.Netlink;

namespace Slipway.Engine.Cluster.Keys;

/// <summary>A member says by which state it sends to another, and asks for a key where it needs one.</summary>
internal sealed record KeyRequest
{
    /// <summary>The member that speaks; its certificate must be that member's.</summary>
    public string From { get; init; } = "";

    /// <summary>The number of the state that it sends with; 0: none.</summary>
    public uint Sending { get; init; }

    /// <summary>It needs a key that nobody has used.</summary>
    public bool Wants { get; init; }
}

/// <summary>The answer to a <see cref="KeyRequest"/>, by the member that receives.</summary>
internal sealed record KeyAnswer
{
    /// <summary>The numbers of the states with which it receives from who asks; null: it has no encrypted network.</summary>
    public List<uint>? Receiving { get; init; }

    /// <summary>Of the key that was asked for; 0: there is none.</summary>
    public uint Spi { get; init; }

    public byte[]? Secret { get; init; }

    /// <summary>Checks an answer of another member, of which nothing is believed.</summary>
    /// <exception cref="ClusterProtocolException">It is other than an engine would make it.</exception>
    public void Validate()
    {
        const int MaxReceiving = 64;
        const uint LowestSpi = 256; // RFC 4303 section 2.1
        if (Receiving is { Count: > MaxReceiving } || (Secret is null ? Spi != 0 : Spi < LowestSpi || Secret.Length != EspState.KeyLength))
        {
            throw new ClusterProtocolException("a key cannot be meant");
        }
    }
}
