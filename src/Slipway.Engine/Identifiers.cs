using System.Security.Cryptography;
using System.Text;

namespace Slipway.Engine;

/// <summary>Ids of containers, execs and volumes: 64 hexadecimal digits.</summary>
internal static class Identifiers
{
    /// <summary>A new random id. Its first twelve digits are not all decimal, since the short id serves as a host name.</summary>
    public static string New()
    {
        while (true)
        {
            string id = RandomNumberGenerator.GetHexString(64, lowercase: true);
            if (!ulong.TryParse(id.AsSpan(0, 12), out _))
            {
                return id;
            }
        }
    }

    /// <summary>An id that is the same for the same text: of the networks that always exist.</summary>
    public static string Of(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));

    /// <summary>Whether a text from outside is a whole id.</summary>
    public static bool IsFull(string? text) => text is { Length: 64 } && text.All(char.IsAsciiHexDigitLower);
}
