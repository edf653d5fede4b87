using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Runtime.InteropServices;

namespace Slipway.Kernel.Netlink;

/// <summary>Numbers and structures of IPsec's netlink family (linux/xfrm.h), by their names.</summary>
[SuppressMessage("Naming", "CA1712", Justification = "Kernel names.")]
internal static class XfrmMessages
{
    public const int NETLINK_XFRM = 6;

    public const ushort XFRM_MSG_NEWSA = 0x10;
    public const ushort XFRM_MSG_DELSA = 0x11;
    public const ushort XFRM_MSG_GETSA = 0x12;
    public const ushort XFRM_MSG_NEWPOLICY = 0x13;
    public const ushort XFRM_MSG_DELPOLICY = 0x14;
    public const ushort XFRM_MSG_GETPOLICY = 0x15;

    public const ushort XFRMA_TMPL = 5;
    public const ushort XFRMA_ALG_AEAD = 18;
    public const ushort XFRMA_REPLAY_ESN_VAL = 23;
    public const ushort XFRMA_PROTO = 25;

    public const byte XFRM_MODE_TRANSPORT = 0;
    public const byte XFRM_STATE_ESN = 128;
    public const ulong XFRM_INF = ulong.MaxValue;
    public const byte IPPROTO_ESP = 50;
    public const byte IPPROTO_UDP = 17;

    /// <summary>xfrm_address_t: of IPv4 the first word alone. In network byte order.</summary>
    public struct Address
    {
        public uint Word0;
        public uint Word1;
        public uint Word2;
        public uint Word3;

        /// <param name="address">Of IPv4.</param>
        public static Address Of(IPAddress address) => new() { Word0 = MemoryMarshal.Read<uint>(address.GetAddressBytes()) };

        public readonly IPAddress ToIpv4() => new(Word0);
    }

    /// <summary>xfrm_selector. Ports in network byte order.</summary>
    public struct Selector
    {
        public Address Destination;
        public Address Source;
        public ushort DestinationPort;
        public ushort DestinationPortMask;
        public ushort SourcePort;
        public ushort SourcePortMask;
        public ushort Family;
        public byte DestinationPrefix;
        public byte SourcePrefix;
        public byte Protocol;
        public int Interface;
        public uint User;

        /// <summary>UDP packets to a port, between two hosts.</summary>
        public static Selector Of(EspFlow flow) => new()
        {
            Destination = Address.Of(flow.Destination),
            Source = Address.Of(flow.Source),
            DestinationPort = BinaryPrimitives.ReverseEndianness(flow.Port),
            DestinationPortMask = ushort.MaxValue,
            Family = NetlinkNative.AF_INET,
            DestinationPrefix = 32,
            SourcePrefix = 32,
            Protocol = IPPROTO_UDP,
        };

        /// <returns>Null for a selector of another form.</returns>
        public readonly EspFlow? ToFlow() => this is { Family: NetlinkNative.AF_INET, DestinationPrefix: 32, SourcePrefix: 32, Protocol: IPPROTO_UDP, DestinationPortMask: ushort.MaxValue, SourcePortMask: 0 }
            ? new EspFlow(Source.ToIpv4(), Destination.ToIpv4(), BinaryPrimitives.ReverseEndianness(DestinationPort))
            : null;
    }

    /// <summary>xfrm_id. The number in network byte order.</summary>
    public struct Id
    {
        public Address Destination;
        public uint Spi;
        public byte Protocol;
    }

    /// <summary>xfrm_lifetime_cfg.</summary>
    public struct Limits
    {
        public ulong SoftBytes;
        public ulong HardBytes;
        public ulong SoftPackets;
        public ulong HardPackets;
        public ulong SoftAddedSeconds;
        public ulong HardAddedSeconds;
        public ulong SoftUsedSeconds;
        public ulong HardUsedSeconds;

        public static Limits None => new() { SoftBytes = XFRM_INF, HardBytes = XFRM_INF, SoftPackets = XFRM_INF, HardPackets = XFRM_INF };
    }

    /// <summary>xfrm_lifetime_cur. Times in seconds since 1970.</summary>
    public struct Usage
    {
        public ulong Bytes;
        public ulong Packets;
        public ulong Added;
        public ulong Used;
    }

    /// <summary>xfrm_usersa_info.</summary>
    public struct StateInfo
    {
        public Selector Selector;
        public Id Id;
        public Address Source;
        public Limits Limits;
        public Usage Usage;
        public uint StatisticsReplayWindow;
        public uint StatisticsReplay;
        public uint StatisticsIntegrityFailed;
        public uint Sequence;
        public uint RequestId;
        public ushort Family;
        public byte Mode;
        public byte ReplayWindow;
        public byte Flags;
    }

    /// <summary>xfrm_usersa_id.</summary>
    public struct StateId
    {
        public Address Destination;
        public uint Spi;
        public ushort Family;
        public byte Protocol;
    }

    /// <summary>xfrm_userpolicy_info.</summary>
    public struct PolicyInfo
    {
        public Selector Selector;
        public Limits Limits;
        public Usage Usage;
        public uint Priority;
        public uint Index;
        public byte Direction;
        public byte Action;
        public byte Flags;
        public byte Share;
    }

    /// <summary>xfrm_userpolicy_id.</summary>
    public struct PolicyId
    {
        public Selector Selector;
        public uint Index;
        public byte Direction;
    }

    /// <summary>xfrm_user_tmpl.</summary>
    public struct Template
    {
        public Id Id;
        public ushort Family;
        public Address Source;
        public uint RequestId;
        public byte Mode;
        public byte Share;
        public byte Optional;
        public uint AuthenticationAlgorithms;
        public uint EncryptionAlgorithms;
        public uint CompressionAlgorithms;
    }
}
