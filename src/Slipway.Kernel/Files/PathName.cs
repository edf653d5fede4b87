using System.Globalization;
using System.Text;

namespace Slipway.Kernel.Files;

/// <summary>
/// A path or a name as the kernel knows it: bytes, not characters. Names in images need not be UTF-8. Converts from
/// <c>"…"u8</c>, from bytes and, as UTF-8, from a string.
/// </summary>
public readonly ref struct PathName(ReadOnlySpan<byte> bytes)
{
    /// <summary>PATH_MAX: bytes, the terminating NUL included (path_resolution(7)).</summary>
    public const int MaximumLength = 4096;

    /// <summary>The bytes, without a terminating NUL.</summary>
    public ReadOnlySpan<byte> Bytes { get; } = bytes;

    public bool IsEmpty => Bytes.IsEmpty;

    public static implicit operator PathName(ReadOnlySpan<byte> bytes) => new(bytes);

    public static implicit operator PathName(byte[] bytes) => new(bytes);

    public static implicit operator PathName(string text) => new(Encoding.UTF8.GetBytes(text));

    /// <summary>For people: UTF-8 where it is UTF-8, other bytes and control characters as <c>\xNN</c>.</summary>
    public override string ToString()
    {
        var text = new StringBuilder(Bytes.Length);
        ReadOnlySpan<byte> rest = Bytes;
        while (!rest.IsEmpty)
        {
            bool valid = Rune.DecodeFromUtf8(rest, out Rune rune, out int length) == System.Buffers.OperationStatus.Done;
            if (valid && !Rune.IsControl(rune))
            {
                text.Append(rune.ToString());
            }
            else
            {
                foreach (byte value in rest[..length])
                {
                    text.Append(CultureInfo.InvariantCulture, $"\\x{value:x2}");
                }
            }

            rest = rest[length..];
        }

        return text.ToString();
    }

    /// <summary>Copies the path and a NUL to a buffer of <see cref="MaximumLength"/> bytes.</summary>
    /// <exception cref="KernelException">ENAMETOOLONG, or EINVAL for a NUL inside: it would cut the path short.</exception>
    internal unsafe byte* Terminate(byte* buffer)
    {
        if (Bytes.Length >= MaximumLength)
        {
            throw new KernelException($"path of {Bytes.Length} bytes", Errno.ENAMETOOLONG);
        }

        if (Bytes.Contains((byte)0))
        {
            throw new KernelException($"path \"{ToString()}\"", Errno.EINVAL);
        }

        Bytes.CopyTo(new Span<byte>(buffer, MaximumLength));
        buffer[Bytes.Length] = 0;
        return buffer;
    }

    /// <summary>As <see cref="Terminate"/>, for one name inside a directory.</summary>
    /// <exception cref="KernelException">EINVAL for an empty name, <c>.</c>, <c>..</c> and one with a slash.</exception>
    internal unsafe byte* TerminateName(byte* buffer)
    {
        if (!IsEntryName)
        {
            throw new KernelException($"\"{ToString()}\" is not a name inside a directory", Errno.EINVAL);
        }

        return Terminate(buffer);
    }

    /// <summary>Whether this is one name, and neither <c>.</c> nor <c>..</c>.</summary>
    public bool IsEntryName => !Bytes.IsEmpty && !Bytes.Contains((byte)'/') && !Bytes.SequenceEqual("."u8) && !Bytes.SequenceEqual(".."u8);
}
