using System.Text;

namespace Slipway.Kernel.Netlink;

/// <summary>
/// The comment in the user data of a table or rule: type 0, length including a NUL, text, as libnftnl writes it and nft shows
/// it (libnftnl/udata.h).
/// </summary>
internal static class UserdataComment
{
    private const byte CommentType = 0;
    private const int MaxLength = 127;

    public static byte[] Write(string comment)
    {
        int length = Encoding.UTF8.GetByteCount(comment);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, MaxLength, nameof(comment));
        byte[] bytes = new byte[2 + length + 1];
        bytes[0] = CommentType;
        bytes[1] = (byte)(length + 1);
        Encoding.UTF8.GetBytes(comment, bytes.AsSpan(2));
        return bytes;
    }

    public static string? Read(ReadOnlySpan<byte> userdata)
    {
        while (userdata.Length >= 2 && userdata.Length >= 2 + userdata[1])
        {
            if (userdata[0] == CommentType)
            {
                return AttributeReader.TextOf(userdata.Slice(2, userdata[1]));
            }

            userdata = userdata[(2 + userdata[1])..];
        }

        return null;
    }
}
