using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Slipway.Registry.Server.Access;

/// <summary>The claims of a registry's token (Docker Registry v2 authentication, "Token Authentication Implementation").</summary>
internal sealed record TokenClaims
{
    [JsonPropertyName("iss")]
    public string? Issuer { get; init; }

    [JsonPropertyName("sub")]
    public string? Subject { get; init; }

    /// <summary>A string or a list of strings (RFC 7519, 4.1.3).</summary>
    [JsonPropertyName("aud")]
    [JsonConverter(typeof(Oci.StringOrListJsonConverter))]
    public IReadOnlyList<string>? Audience { get; init; }

    /// <summary>Seconds since the epoch.</summary>
    [JsonPropertyName("exp")]
    public long Expires { get; init; }

    [JsonPropertyName("nbf")]
    public long NotBefore { get; init; }

    [JsonPropertyName("iat")]
    public long IssuedAt { get; init; }

    [JsonPropertyName("jti")]
    public string? Id { get; init; }

    [JsonPropertyName("access")]
    public IReadOnlyList<TokenGrant>? Access { get; init; }
}

/// <summary>What a token allows with one resource.</summary>
internal sealed record TokenGrant(
    [property: JsonPropertyName("type")] string? Type,
    [property: JsonPropertyName("name")] string? Name,
    [property: JsonPropertyName("actions")] IReadOnlyList<string>? Actions);

/// <summary>The only member of a token's header that is looked at: keys that a header names or brings (jwk, jku, x5c, x5u, kid) are its author's word (CVE-2025-24976).</summary>
internal sealed record TokenHeader([property: JsonPropertyName("alg")] string? Algorithm);

[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, AllowDuplicateProperties = false)]
[JsonSerializable(typeof(TokenClaims))]
[JsonSerializable(typeof(TokenHeader))]
[JsonSerializable(typeof(TokenAnswer))]
internal sealed partial class AccessJson : JsonSerializerContext;

/// <summary>JSON web tokens in the compact form (RFC 7515, RFC 7519), signed by RSA or ECDSA.</summary>
internal static class Jwt
{
    private const int MaximumLength = 64 * 1024;

    /// <summary>The claims of a token that one of the keys has signed, with an algorithm that belongs to that key; null for any other.</summary>
    public static TokenClaims? Verify(string token, IReadOnlyList<AsymmetricAlgorithm> keys)
    {
        string[] parts = token.Split('.');
        if (token.Length > MaximumLength || parts.Length != 3
            || !TryDecode(parts[0], out byte[] header) || !TryDecode(parts[1], out byte[] payload) || !TryDecode(parts[2], out byte[] signature))
        {
            return null;
        }

        byte[] signed = Encoding.ASCII.GetBytes(token[..token.LastIndexOf('.')]);
        try
        {
            string algorithm = JsonSerializer.Deserialize(header, AccessJson.Default.TokenHeader)?.Algorithm ?? "";
            return keys.Any(key => IsSigned(key, algorithm, signed, signature)) ? JsonSerializer.Deserialize(payload, AccessJson.Default.TokenClaims) : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>Signs with ES256.</summary>
    public static string Sign(TokenClaims claims, ECDsa key)
    {
        string signed = $"{Base64Url.EncodeToString("""{"alg":"ES256","typ":"JWT"}"""u8)}.{Base64Url.EncodeToString(JsonSerializer.SerializeToUtf8Bytes(claims, AccessJson.Default.TokenClaims))}";
        byte[] signature = key.SignData(Encoding.ASCII.GetBytes(signed), HashAlgorithmName.SHA256);
        return $"{signed}.{Base64Url.EncodeToString(signature)}";
    }

    /// <summary>RFC 7518, 3.3 to 3.5. The key decides what an algorithm's name may mean; "none" and HMAC have no key here.</summary>
    private static bool IsSigned(AsymmetricAlgorithm key, string algorithm, byte[] signed, byte[] signature) => (key, algorithm) switch
    {
        (RSA rsa, "RS256") => rsa.VerifyData(signed, signature, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1),
        (RSA rsa, "RS384") => rsa.VerifyData(signed, signature, HashAlgorithmName.SHA384, RSASignaturePadding.Pkcs1),
        (RSA rsa, "RS512") => rsa.VerifyData(signed, signature, HashAlgorithmName.SHA512, RSASignaturePadding.Pkcs1),
        (RSA rsa, "PS256") => rsa.VerifyData(signed, signature, HashAlgorithmName.SHA256, RSASignaturePadding.Pss),
        (ECDsa { KeySize: 256 } ec, "ES256") => ec.VerifyData(signed, signature, HashAlgorithmName.SHA256),
        (ECDsa { KeySize: 384 } ec, "ES384") => ec.VerifyData(signed, signature, HashAlgorithmName.SHA384),
        (ECDsa { KeySize: 521 } ec, "ES512") => ec.VerifyData(signed, signature, HashAlgorithmName.SHA512),
        _ => false,
    };

    private static bool TryDecode(string text, out byte[] bytes)
    {
        bytes = [];
        if (!Base64Url.IsValid(text))
        {
            return false;
        }

        bytes = Base64Url.DecodeFromChars(text);
        return true;
    }
}
