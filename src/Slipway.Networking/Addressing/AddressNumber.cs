using System.Buffers.Binary;
using System.Net;

namespace Slipway.Networking;

/// <summary>IPv4 addresses as numbers, in the order of their bytes.</summary>
internal static class AddressNumber
{
    /// <exception cref="ArgumentException">It is no IPv4 address.</exception>
    public static uint Of(IPAddress address)
    {
        Span<byte> bytes = stackalloc byte[4];
        return address.TryWriteBytes(bytes, out int written) && written == 4
            ? BinaryPrimitives.ReadUInt32BigEndian(bytes)
            : throw new ArgumentException($"{address} is not an IPv4 address", nameof(address));
    }

    public static IPAddress ToAddress(uint number)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, number);
        return new IPAddress(bytes);
    }
}
