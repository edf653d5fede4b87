using System.Buffers.Text;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Slipway.Oci;
using Slipway.Registry.Server;
using Xunit;

namespace Slipway.Tests.Engine.Registry;

/// <summary>Docker Registry v2 authentication: tokens of others, and our own.</summary>
public sealed class TokenTests : IDisposable
{
    private const string Content = "content";

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("slipway-registry-token-");
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    public void Dispose()
    {
        _key.Dispose();
        _directory.Delete(recursive: true);
    }

    private async Task<RegistryUnderTest> StartWithForeignIssuerAsync()
    {
        string file = Path.Combine(_directory.FullName, "issuer.pem");
        await File.WriteAllTextAsync(file, _key.ExportSubjectPublicKeyInfoPem(), TestContext.Current.CancellationToken);
        return await RegistryUnderTest.StartAsync(configuration => configuration with
        {
            Auth = new AuthConfiguration { Token = new TokenConfiguration { Realm = "https://auth.test/token", Issuer = "issuer", Service = "service", TrustedKeys = [file] } },
        });
    }

    private static JsonObject Claims(Action<JsonObject>? change = null)
    {
        long now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        JsonObject claims = new()
        {
            ["iss"] = "issuer", ["aud"] = "service", ["sub"] = "alice", ["exp"] = now + 300, ["nbf"] = now - 5, ["iat"] = now,
            ["access"] = new JsonArray(new JsonObject { ["type"] = "repository", ["name"] = "app", ["actions"] = new JsonArray("pull", "push") }),
        };
        change?.Invoke(claims);
        return claims;
    }

    private static string Token(JsonObject header, JsonObject claims, Func<byte[], byte[]> sign)
    {
        string signed = $"{Base64Url.EncodeToString(Encoding.UTF8.GetBytes(header.ToJsonString()))}.{Base64Url.EncodeToString(Encoding.UTF8.GetBytes(claims.ToJsonString()))}";
        return $"{signed}.{Base64Url.EncodeToString(sign(Encoding.ASCII.GetBytes(signed)))}";
    }

    private string Token(JsonObject claims) => Token(new JsonObject { ["alg"] = "ES256", ["typ"] = "JWT" }, claims, bytes => _key.SignData(bytes, HashAlgorithmName.SHA256));

    private static Action<HttpRequestMessage> Bearer(string token) => request => request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);

    private static Task<Answer> PushAsync(RegistryUnderTest registry, string repository, string token) =>
        registry.SendAsync(HttpMethod.Post, $"/v2/{repository}/blobs/uploads/?digest={Digest.Of(Encoding.UTF8.GetBytes(Content))}", Encoding.UTF8.GetBytes(Content), Bearer(token));

    [Fact]
    public async Task The_challenge_names_realm_service_and_scope()
    {
        await using RegistryUnderTest registry = await StartWithForeignIssuerAsync();
        Assert.Equal("Bearer realm=\"https://auth.test/token\",service=\"service\"", (await registry.GetAsync("/v2/")).IsError(401, "UNAUTHORIZED").Header("WWW-Authenticate"));
        Answer push = (await registry.SendAsync(HttpMethod.Post, "/v2/team/app/blobs/uploads/")).IsError(401, "UNAUTHORIZED");
        Assert.Equal("Bearer realm=\"https://auth.test/token\",service=\"service\",scope=\"repository:team/app:pull,push\"", push.Header("WWW-Authenticate"));
        Assert.EndsWith("scope=\"registry:catalog:*\"", (await registry.GetAsync("/v2/_catalog")).Is(401).Header("WWW-Authenticate"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_token_allows_what_it_says_and_no_more()
    {
        await using RegistryUnderTest registry = await StartWithForeignIssuerAsync();
        string token = Token(Claims());
        (await registry.SendAsync(HttpMethod.Get, "/v2/", null, Bearer(token))).Is(200);
        (await PushAsync(registry, "app", token)).Is(201);
        Answer other = (await PushAsync(registry, "other", token)).IsError(401, "DENIED");
        Assert.Contains("scope=\"repository:other:pull,push\",error=\"insufficient_scope\"", other.Header("WWW-Authenticate"), StringComparison.Ordinal);
        (await registry.SendAsync(HttpMethod.Delete, $"/v2/app/blobs/{Digest.Of(Encoding.UTF8.GetBytes(Content))}", null, Bearer(token))).IsError(401, "DENIED");
        (await PushAsync(registry, "app", Token(Claims(claims => claims["aud"] = new JsonArray("x", "service"))))).Is(201);
    }

    public static TheoryData<string> BadClaims => ["expired", "early", "issuer", "audience", "no audience"];

    [Theory]
    [MemberData(nameof(BadClaims))]
    public async Task A_token_for_others_or_another_time_is_refused(string what)
    {
        await using RegistryUnderTest registry = await StartWithForeignIssuerAsync();
        long now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        string token = Token(Claims(claims =>
        {
            switch (what)
            {
                case "expired": claims["exp"] = now - 61; break;
                case "early": claims["nbf"] = now + 120; break;
                case "issuer": claims["iss"] = "another"; break;
                case "audience": claims["aud"] = "another"; break;
                default: claims.Remove("aud"); break;
            }
        }));
        Answer answer = (await PushAsync(registry, "app", token)).IsError(401, "UNAUTHORIZED");
        Assert.Contains("error=", answer.Header("WWW-Authenticate"), StringComparison.Ordinal);
    }

    /// <summary>A header is written by whoever wrote the token: keys it brings or names count for nothing, and algorithms must be those of the trusted keys.</summary>
    [Theory]
    [InlineData("jwk")]
    [InlineData("x5c")]
    [InlineData("kid")]
    [InlineData("none")]
    [InlineData("HS256 with the public key")]
    [InlineData("changed claims")]
    public async Task CVE_2025_24976_a_token_is_trusted_by_key_material_alone(string attack)
    {
        await using RegistryUnderTest registry = await StartWithForeignIssuerAsync();
        using ECDsa own = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        ECParameters point = own.ExportParameters(includePrivateParameters: false);
        byte[] SignOwn(byte[] bytes) => own.SignData(bytes, HashAlgorithmName.SHA256);
        JsonObject header = new() { ["alg"] = "ES256", ["typ"] = "JWT" };
        string token;
        switch (attack)
        {
            case "jwk":
                header["jwk"] = new JsonObject { ["kty"] = "EC", ["crv"] = "P-256", ["x"] = Base64Url.EncodeToString(point.Q.X), ["y"] = Base64Url.EncodeToString(point.Q.Y) };
                token = Token(header, Claims(), SignOwn);
                break;
            case "x5c":
                using (X509Certificate2 certificate = new CertificateRequest("CN=issuer", own, HashAlgorithmName.SHA256).CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1)))
                {
                    header["x5c"] = new JsonArray(Convert.ToBase64String(certificate.RawData));
                }

                token = Token(header, Claims(), SignOwn);
                break;
            case "kid":
                header["kid"] = Base64Url.EncodeToString(SHA256.HashData(_key.ExportSubjectPublicKeyInfo()));
                token = Token(header, Claims(), SignOwn);
                break;
            case "none":
                header["alg"] = "none";
                token = Token(header, Claims(), _ => []);
                break;
            case "changed claims":
                string[] parts = Token(Claims()).Split('.');
                parts[1] = Base64Url.EncodeToString(Encoding.UTF8.GetBytes(Claims(claims => claims["sub"] = "root").ToJsonString()));
                token = string.Join('.', parts);
                break;
            default:
                header["alg"] = "HS256";
                token = Token(header, Claims(), bytes => HMACSHA256.HashData(Encoding.ASCII.GetBytes(_key.ExportSubjectPublicKeyInfoPem()), bytes));
                break;
        }

        (await PushAsync(registry, "app", token)).IsError(401, "UNAUTHORIZED");
    }

    [Fact]
    public async Task Certificates_of_rsa_keys_are_trusted_keys_too()
    {
        using RSA rsa = RSA.Create(2048);
        string file = Path.Combine(_directory.FullName, "certificate.pem");
        using (X509Certificate2 certificate = new CertificateRequest("CN=x", rsa, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1).CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1)))
        {
            await File.WriteAllTextAsync(file, certificate.ExportCertificatePem(), TestContext.Current.CancellationToken);
        }

        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync(configuration => configuration with
        {
            Auth = new AuthConfiguration { Token = new TokenConfiguration { Realm = "https://auth.test/token", Issuer = "issuer", Service = "service", TrustedKeys = [file] } },
        });
        (await PushAsync(registry, "app", Token(new JsonObject { ["alg"] = "RS256" }, Claims(), bytes => rsa.SignData(bytes, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)))).Is(201);
    }

    [Fact]
    public async Task The_registry_gives_tokens_to_its_own_users()
    {
        string users = AccessTests.WriteUsers(_directory.FullName);
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync(configuration => configuration with
        {
            Auth = new AuthConfiguration
            {
                Htpasswd = users,
                Token = new TokenConfiguration(),
                Rules = [AccessTests.Rule("app", "alice", "pull,push"), AccessTests.Rule("app", "$anonymous", "pull")],
            },
        });
        string challenge = (await registry.SendAsync(HttpMethod.Post, "/v2/app/blobs/uploads/")).Is(401).Header("WWW-Authenticate");
        Assert.StartsWith($"Bearer realm=\"http://{registry.EndPoint}/token\",service=\"slipway-registry\"", challenge, StringComparison.Ordinal);
        const string Wanted = "/token?service=slipway-registry&scope=repository:app:pull,push,delete&scope=repository:other:pull";

        async Task<string> GetTokenAsync(Action<HttpRequestMessage>? who) => (string)(await registry.SendAsync(HttpMethod.Get, Wanted, null, who)).Is(200).Json["token"]!;
        string alice = await GetTokenAsync(AccessTests.As("alice", "wonderland"));
        (await PushAsync(registry, "app", alice)).Is(201);
        (await PushAsync(registry, "other", alice)).IsError(401, "DENIED");
        string nobody = await GetTokenAsync(null);
        string blob = $"/v2/app/blobs/{Digest.Of(Encoding.UTF8.GetBytes(Content))}";
        (await registry.SendAsync(HttpMethod.Get, blob, null, Bearer(nobody))).Is(200);
        (await PushAsync(registry, "app", nobody)).IsError(401, "DENIED");
        (await registry.SendAsync(HttpMethod.Delete, blob, null, Bearer(alice))).IsError(401, "DENIED");
        (await registry.SendAsync(HttpMethod.Get, Wanted, null, AccessTests.As("alice", "wrong"))).IsError(401, "UNAUTHORIZED");
        (await registry.GetAsync("/token?service=another")).Is(400);

        // The key is kept: tokens outlive a restart, but not their time.
        await registry.RestartAsync();
        (await registry.SendAsync(HttpMethod.Get, blob, null, Bearer(nobody))).Is(200);
        registry.Time.Ahead = TimeSpan.FromMinutes(7);
        (await registry.SendAsync(HttpMethod.Get, blob, null, Bearer(nobody))).IsError(401, "UNAUTHORIZED");
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(registry.Root, "token-key.pem")));
    }
}
