using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;

namespace Slipway.Kernel.Netlink;

/// <summary>An Ethernet address. Written <c>02:42:ac:11:00:02</c>.</summary>
public readonly record struct MacAddress
{
    private readonly ulong _value;

    private MacAddress(ulong value) => _value = value;

    /// <summary>Locally administered, made from an IPv4 address as Docker does: 02:42 and the four bytes.</summary>
    /// <remarks>An address that is given to another container at once comes with the same hardware address, so that nobody's ARP cache is wrong.</remarks>
    public static MacAddress Of(IPAddress address)
    {
        Span<byte> bytes = [0x02, 0x42, 0, 0, 0, 0];
        if (!address.TryWriteBytes(bytes[2..], out int written) || written != 4)
        {
            throw new ArgumentException("not an IPv4 address", nameof(address));
        }

        return FromBytes(bytes);
    }

    /// <summary>The link-local address that IPv6 makes of it (RFC 4291 appendix A).</summary>
    public IPAddress ToLinkLocal()
    {
        Span<byte> bytes = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 0, 0, 0];
        Span<byte> own = stackalloc byte[6];
        CopyTo(own);
        own[..3].CopyTo(bytes[8..]);
        own[3..].CopyTo(bytes[13..]);
        bytes[8] ^= 0x02;
        return new IPAddress(bytes);
    }

    /// <summary>Locally administered and random, 02:42 and four random bytes: for what has no IPv4 address of its own.</summary>
    public static MacAddress Random()
    {
        Span<byte> bytes = stackalloc byte[6];
        RandomNumberGenerator.Fill(bytes);
        bytes[0] = 0x02;
        bytes[1] = 0x42;
        return FromBytes(bytes);
    }

    /// <param name="bytes">Six bytes.</param>
    public static MacAddress FromBytes(ReadOnlySpan<byte> bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(bytes.Length, 6);
        return new MacAddress(((ulong)BinaryPrimitives.ReadUInt16BigEndian(bytes) << 32) | BinaryPrimitives.ReadUInt32BigEndian(bytes[2..]));
    }

    /// <summary>Six pairs of hexadecimal digits separated by colons or hyphens.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out MacAddress address)
    {
        address = default;
        if (text is not { Length: 17 })
        {
            return false;
        }

        ulong value = 0;
        for (int i = 0; i < 6; i++)
        {
            if ((i > 0 && text[(i * 3) - 1] is not (':' or '-'))
                || !byte.TryParse(text.AsSpan(i * 3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte part))
            {
                return false;
            }

            value = (value << 8) | part;
        }

        address = new MacAddress(value);
        return true;
    }

    /// <summary>Can be that of one interface: neither a group address nor all zeros.</summary>
    public bool IsUnicast => (_value & 0x0100_0000_0000) == 0 && _value != 0;

    /// <summary>Writes six bytes.</summary>
    public void CopyTo(Span<byte> bytes)
    {
        BinaryPrimitives.WriteUInt16BigEndian(bytes, (ushort)(_value >> 32));
        BinaryPrimitives.WriteUInt32BigEndian(bytes[2..], (uint)_value);
    }

    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{(byte)(_value >> 40):x2}:{(byte)(_value >> 32):x2}:{(byte)(_value >> 24):x2}:{(byte)(_value >> 16):x2}:{(byte)(_value >> 8):x2}:{(byte)_value:x2}");
}
