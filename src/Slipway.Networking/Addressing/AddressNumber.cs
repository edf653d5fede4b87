using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace Slipway.Networking;

/// <summary>Addresses as numbers, in the order of their bytes.</summary>
internal static class AddressNumber
{
    public static UInt128 Of(IPAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        _ = address.TryWriteBytes(bytes, out int written);
        return written == 4 ? BinaryPrimitives.ReadUInt32BigEndian(bytes) : BinaryPrimitives.ReadUInt128BigEndian(bytes);
    }

    public static IPAddress ToAddress(UInt128 number, AddressFamily family)
    {
        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteUInt128BigEndian(bytes, number);
        return new IPAddress(family == AddressFamily.InterNetwork ? bytes[12..] : bytes);
    }

    /// <summary>Bits of an address.</summary>
    public static int Bits(AddressFamily family) => family == AddressFamily.InterNetwork ? 32 : 128;

    /// <summary>The first and the last address of a network.</summary>
    public static (UInt128 First, UInt128 Last) Range(IPNetwork network)
    {
        UInt128 first = Of(network.BaseAddress);
        int rest = Bits(network.BaseAddress.AddressFamily) - network.PrefixLength;
        return (first, rest == 128 ? UInt128.MaxValue : first + (UInt128.One << rest) - 1);
    }
}
