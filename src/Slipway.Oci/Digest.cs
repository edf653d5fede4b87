using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Slipway.Oci;

/// <summary>
/// A content digest, <c>sha256:</c> or <c>sha512:</c> and lowercase hexadecimal digits (image-spec, descriptor.md, "Digests").
/// A value that exists has been validated, so it is safe as a file name; <c>default</c> stands for "none".
/// </summary>
[JsonConverter(typeof(DigestJsonConverter))]
public readonly record struct Digest : IComparable<Digest>
{
    public const string Sha256 = "sha256";
    public const string Sha512 = "sha512";

    private readonly string? _value;

    private Digest(string value) => _value = value;

    public bool IsNone => _value is null;

    public string Algorithm => Value[..Value.IndexOf(':', StringComparison.Ordinal)];

    /// <summary>The digits, without the algorithm.</summary>
    public string Hex => Value[(Value.IndexOf(':', StringComparison.Ordinal) + 1)..];

    /// <summary>The first twelve digits, as Docker prints them.</summary>
    public string Short => Hex[..12];

    private string Value => _value ?? throw new InvalidOperationException("a digest that was never set has no value");

    /// <exception cref="OciException">The text is no digest of a supported algorithm.</exception>
    public static Digest Parse(string text)
    {
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        if (colon <= 0)
        {
            throw new OciException("invalid checksum digest format");
        }

        var length = HexLength(text.AsSpan(0, colon));
        if (length == 0)
        {
            throw new OciException("unsupported digest algorithm");
        }

        if (text.Length - colon - 1 != length)
        {
            throw new OciException("invalid checksum digest length");
        }

        return IsLowerHex(text.AsSpan(colon + 1)) ? new Digest(text) : throw new OciException("invalid checksum digest format");
    }

    public static bool TryParse(string? text, out Digest digest)
    {
        digest = default;
        var colon = text?.IndexOf(':', StringComparison.Ordinal) ?? -1;
        if (colon <= 0 || text!.Length - colon - 1 != HexLength(text.AsSpan(0, colon)) || !IsLowerHex(text.AsSpan(colon + 1)))
        {
            return false;
        }

        digest = new Digest(text);
        return true;
    }

    /// <summary>The SHA-256 digest of <paramref name="content"/>.</summary>
    public static Digest Of(ReadOnlySpan<byte> content) => FromHash(SHA256.HashData(content));

    /// <param name="hash">32 bytes for SHA-256, 64 for SHA-512.</param>
    public static Digest FromHash(ReadOnlySpan<byte> hash) => hash.Length switch
    {
        SHA256.HashSizeInBytes => new Digest($"{Sha256}:{Convert.ToHexStringLower(hash)}"),
        SHA512.HashSizeInBytes => new Digest($"{Sha512}:{Convert.ToHexStringLower(hash)}"),
        _ => throw new ArgumentException("a hash has 32 or 64 bytes", nameof(hash)),
    };

    /// <summary>A hash that computes digests of this algorithm.</summary>
    public IncrementalHash CreateHash() =>
        IncrementalHash.CreateHash(Algorithm == Sha512 ? HashAlgorithmName.SHA512 : HashAlgorithmName.SHA256);

    public int CompareTo(Digest other) => string.CompareOrdinal(_value, other._value);

    /// <summary><c>sha256:…</c>; empty for none.</summary>
    public override string ToString() => _value ?? "";

    public static bool operator <(Digest left, Digest right) => left.CompareTo(right) < 0;

    public static bool operator <=(Digest left, Digest right) => left.CompareTo(right) <= 0;

    public static bool operator >(Digest left, Digest right) => left.CompareTo(right) > 0;

    public static bool operator >=(Digest left, Digest right) => left.CompareTo(right) >= 0;

    /// <summary>Whether all characters are lowercase hexadecimal digits.</summary>
    public static bool IsLowerHex(ReadOnlySpan<char> text)
    {
        foreach (var c in text)
        {
            if (!char.IsAsciiHexDigitLower(c))
            {
                return false;
            }
        }

        return true;
    }

    private static int HexLength(ReadOnlySpan<char> algorithm) => algorithm switch
    {
        Sha256 => 2 * SHA256.HashSizeInBytes,
        Sha512 => 2 * SHA512.HashSizeInBytes,
        _ => 0,
    };
}

/// <summary>A digest as a string; the empty string is none.</summary>
public sealed class DigestJsonConverter : JsonConverter<Digest>
{
    public override Digest Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        var text = reader.TokenType == JsonTokenType.String ? reader.GetString()! : throw new JsonException("a digest must be a string");
        return text.Length == 0 ? default : Digest.TryParse(text, out var digest) ? digest : throw new JsonException($"invalid digest \"{text}\"");
    }

    public override void Write(Utf8JsonWriter writer, Digest value, JsonSerializerOptions options) => writer.WriteStringValue(value.ToString());
}
