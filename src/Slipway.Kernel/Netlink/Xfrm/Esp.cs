using System.Net;

namespace Slipway.Kernel.Netlink;

/// <summary>UDP packets to a port, from one IPv4 host to another.</summary>
public sealed record EspFlow(IPAddress Source, IPAddress Destination, ushort Port);

/// <summary>A security association (RFC 4301): what packets of a flow are encrypted with, in ESP's transport mode. Its key is told to the kernel and asked of nobody.</summary>
/// <param name="Spi">The number by which the receiver finds it (security parameters index).</param>
/// <param name="RequestId">By which policies find it, and by which its maker knows it again.</param>
public sealed record EspState(EspFlow Flow, uint Spi, uint RequestId)
{
    /// <summary>AES-GCM with a key of 256 bits, and 32 bits that the counter of each packet is put behind (RFC 4106 section 8.1).</summary>
    public const int KeyLength = 32 + 4;

    /// <summary>When the kernel was told, by the host's clock in seconds.</summary>
    public DateTimeOffset Added { get; init; }
}

/// <summary>That packets of a flow are sent, or taken, only as ESP packets of a state with a number.</summary>
public sealed record EspPolicy(EspFlow Flow, PolicyDirection Direction, uint RequestId)
{
    /// <summary>Before the policies of others, which are of broader flows: lower is earlier.</summary>
    public const uint Priority = 64;
}

/// <summary>XFRM_POLICY_*.</summary>
public enum PolicyDirection : byte
{
    In = 0,
    Out = 1,
}
