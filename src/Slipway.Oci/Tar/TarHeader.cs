using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.InteropServices;

namespace Slipway.Oci.Tar;

/// <summary>Fields of the 512-byte header block (POSIX.1-2001 "ustar Interchange Format"; GNU tar manual, "Basic Tar Format").</summary>
internal static class TarHeader
{
    public const int BlockSize = 512;

    public static readonly (int Offset, int Length) Name = (0, 100);
    public static readonly (int Offset, int Length) Mode = (100, 8);
    public static readonly (int Offset, int Length) Uid = (108, 8);
    public static readonly (int Offset, int Length) Gid = (116, 8);
    public static readonly (int Offset, int Length) Size = (124, 12);
    public static readonly (int Offset, int Length) ModificationTime = (136, 12);
    public static readonly (int Offset, int Length) Checksum = (148, 8);
    public const int TypeOffset = 156;
    public static readonly (int Offset, int Length) LinkName = (157, 100);
    public static readonly (int Offset, int Length) Magic = (257, 8);
    public static readonly (int Offset, int Length) DeviceMajor = (329, 8);
    public static readonly (int Offset, int Length) DeviceMinor = (337, 8);
    public static readonly (int Offset, int Length) Prefix = (345, 155);
    public static readonly (int Offset, int Length) StarPrefix = (345, 131);
    public static readonly (int Offset, int Length) StarTrailer = (508, 4);

    public const int GnuSparseOffset = 386;
    public const int GnuSparseCount = 4;
    public const int GnuSparseEntryLength = 24;
    public const int GnuSparseExtendedOffset = 482;
    public static readonly (int Offset, int Length) GnuRealSize = (483, 12);
    public const int GnuSparseBlockCount = 21;
    public const int GnuSparseBlockExtendedOffset = 504;

    public static ReadOnlySpan<byte> UstarMagic => "ustar\0"u8;

    public static ReadOnlySpan<byte> GnuMagic => "ustar  \0"u8;

    public static Span<byte> Field(this Span<byte> block, (int Offset, int Length) field) => block.Slice(field.Offset, field.Length);

    public static ReadOnlySpan<byte> Field(this ReadOnlySpan<byte> block, (int Offset, int Length) field) => block.Slice(field.Offset, field.Length);

    /// <summary>Text up to the first NUL.</summary>
    public static ReadOnlySpan<byte> Text(ReadOnlySpan<byte> field)
    {
        var end = field.IndexOf((byte)0);
        return end < 0 ? field : field[..end];
    }

    /// <summary>An octal number, or GNU's base 256 where the highest bit of the first byte is set.</summary>
    public static long Number(ReadOnlySpan<byte> field, string name)
    {
        if (field.Length > 0 && (field[0] & 0x80) != 0)
        {
            return Base256(field, name);
        }

        return TryNumber(field, out var value) ? value : throw new OciException($"archive/tar: invalid tar header: bad {name}");
    }

    /// <summary>As <see cref="Number"/> for an octal number; false where it is none.</summary>
    public static bool TryNumber(ReadOnlySpan<byte> field, out long value)
    {
        var digits = field.Trim(" \0"u8);
        digits = Text(digits).TrimEnd((byte)' ');
        value = 0;
        foreach (var digit in digits)
        {
            if (digit is < (byte)'0' or > (byte)'7' || value > long.MaxValue >> 3)
            {
                return false;
            }

            value = (value << 3) | (uint)(digit - '0');
        }

        return true;
    }

    /// <summary>The sum of all bytes with the checksum field as spaces; old implementations summed signed bytes.</summary>
    public static (long Unsigned, long Signed) Sums(ReadOnlySpan<byte> block)
    {
        // Every other byte of a word is a lane of 16 bits, which the 2 * 64 bytes that are added to it cannot overflow.
        const ulong Lanes = 0x00ff00ff00ff00ff, Signs = 0x8080808080808080;
        ulong lanes = 0;
        long negative = 0;
        foreach (var word in MemoryMarshal.Cast<byte, ulong>(block[..BlockSize]))
        {
            lanes += (word & Lanes) + ((word >> 8) & Lanes);
            negative += BitOperations.PopCount(word & Signs);
        }

        var unsigned = (long)((lanes & 0xffff) + ((lanes >> 16) & 0xffff) + ((lanes >> 32) & 0xffff) + (lanes >> 48));
        foreach (var value in block.Field(Checksum))
        {
            unsigned += ' ' - value;
            negative -= value >> 7;
        }

        return (unsigned, unsigned - (negative << 8));
    }

    private static long Base256(ReadOnlySpan<byte> field, string name)
    {
        // Two's complement, big-endian; bit 6 of the first byte is the sign, because bit 7 is the mark.
        var negative = (field[0] & 0x40) != 0;
        Span<byte> digits = stackalloc byte[16];
        digits.Fill(negative ? (byte)0xff : (byte)0);
        field.CopyTo(digits[^field.Length..]);
        digits[^field.Length] = negative ? (byte)(field[0] | 0x80) : (byte)(field[0] & 0x7f);
        var value = BinaryPrimitives.ReadInt128BigEndian(digits);
        return value >= long.MinValue && value <= long.MaxValue ? (long)value : throw new OciException($"archive/tar: invalid tar header: bad {name}");
    }
}
