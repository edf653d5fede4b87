using Slipway.Oci;
using Slipway.Registry.Distribution;
using Slipway.Registry.Distribution.Authentication;
using Xunit;

namespace Slipway.Tests.Unit.Registry.Distribution;

/// <summary>Where a registry may send us for a token.</summary>
public sealed class TokenRealmTests : DistributionTest
{
    [Theory]
    [InlineData("https://registry-1.docker.io/", "https://auth.docker.io/token")]
    [InlineData("https://registry.example.com/", "https://registry.example.com/token?x=y")]
    [InlineData("https://registry.example.com/", "https://example.com/token")]
    [InlineData("https://registry.example.com/", "https://login.eu.example.com:8443/token")]
    [InlineData("https://registry.example.co.uk/", "https://auth.example.co.uk/token")]
    [InlineData("https://mine.azurecr.io/", "https://mine.azurecr.io/oauth2/token")]
    [InlineData("https://10.0.0.1:5000/", "https://10.0.0.1:5001/token")]
    [InlineData("http://localhost:5000/", "http://localhost:5001/token")]
    [InlineData("https://registry.example.com/", "https://TOKENS.partner.org/token")]
    public void Realms_of_the_registrys_domain_and_configured_ones_are_allowed(string registry, string realm) =>
        Assert.Equal(new Uri(realm), TokenRealm.Check(realm, new Uri(registry), ["tokens.partner.org"]));

    [Theory]
    [InlineData("https://registry.example.com/", "https://evil.com/token")]
    [InlineData("https://registry.example.com/", "https://registry.example.com.evil.com/token")]
    [InlineData("https://registry.example.com/", "https://notexample.com/token")]
    [InlineData("https://registry.example.com/", "http://registry.example.com/token")]
    [InlineData("https://registry.example.com/", "https://user:word@registry.example.com/token")]
    [InlineData("https://registry.example.com/", "https://10.0.0.1/token")]
    [InlineData("https://one.co.uk/", "https://two.co.uk/token")]
    [InlineData("https://one.azurecr.io/", "https://two.azurecr.io/token")]
    [InlineData("https://1.dkr.ecr.eu-west-1.amazonaws.com/", "https://x.s3.amazonaws.com/token")]
    [InlineData("https://10.0.0.1/", "https://10.0.0.2/token")]
    [InlineData("http://localhost/", "http://127.0.0.1/token")]
    [InlineData("http://one/", "http://two/token")]
    [InlineData("https://registry.example.com/", "file:///etc/passwd")]
    [InlineData("https://registry.example.com/", "token")]
    [InlineData("https://registry.example.com/", "")]
    [InlineData("https://registry.example.com/", null)]
    public void CVE_2026_33540_other_realms_are_refused(string registry, string? realm) =>
        Assert.Throws<RegistryException>(() => TokenRealm.Check(realm, new Uri(registry), []));

    [Fact]
    public async Task CVE_2026_33540_a_foreign_realm_is_sent_nothing()
    {
        await using var thief = await FakeRegistry.StartAsync();
        Registry.Answer = Bearer(() => $"http://localhost:{thief.Port}/token", () => "token");
        await using var repository = Pull(Credentials);

        var error = await RefusedAsync(RegistryErrorKind.Refused, () => repository.GetManifestAsync("v1", Cancellation));
        Assert.Equal(
            $"registry {Registry.Host} asks for a token from localhost:{thief.Port}, which is not of its domain: nothing was sent there (name it in \"token-realms\" of the registry if it is meant)",
            error.Message);
        Assert.Empty(thief.Requests);
    }

    [Fact]
    public async Task CVE_2026_33540_a_configured_realm_is_asked()
    {
        await using var tokens = await FakeRegistry.StartAsync();
        tokens.Answer = context => GiveTokenAsync(context, new { token = "good" });
        Registry.AddManifest("app/one", "v1", ManifestJson());
        Registry.Answer = Bearer(() => $"http://localhost:{tokens.Port}/token", () => "good");
        await using var repository = Pull(Credentials, new()
        {
            Retry = Patience,
            Registries = new Dictionary<string, RegistrySettings> { [Registry.Host] = new() { TokenRealms = ["localhost"] } },
        });

        await repository.GetManifestAsync("v1", Cancellation);
        Assert.Single(tokens.Requests);
    }

    [Fact]
    public async Task GHSA_9m43_p3cx_w8j5_a_login_sends_nothing_to_a_foreign_realm()
    {
        await using var thief = await FakeRegistry.StartAsync();
        Registry.Answer = Bearer(() => $"http://localhost:{thief.Port}/token", () => "token");

        await RefusedAsync(RegistryErrorKind.Refused, () => Client().LoginAsync(Credentials with { ServerAddress = Registry.Host }, Cancellation));
        Assert.Empty(thief.Requests);
    }

    [Fact]
    public async Task GHSA_9m43_p3cx_w8j5_a_token_realm_on_a_registry_with_TLS_must_have_TLS()
    {
        await using var network = new FakeNetwork();
        var registry = await network.AddAsync("registry.example.com");
        registry.Answer = Bearer(() => $"http://registry.example.com:{Registry.Port}/token", () => "token");
        using var authorities = new CertificateFolder("registry.example.com", network.Authority);
        await using var repository = Client(network.Configuration(authorities)).Open(Reference.Parse("registry.example.com/app"), RegistryAccess.Pull, Credentials);

        var error = await RefusedAsync(RegistryErrorKind.Refused, () => repository.GetManifestAsync("v1", Cancellation));
        Assert.Contains("not encrypted", error.Message, StringComparison.Ordinal);
        Assert.Empty(Registry.Requests);
    }

    [Theory]
    [InlineData("Bearer realm=\"https://a/token\",service=\"s\"", "bearer realm=https://a/token service=s")]
    [InlineData("bearer  REALM = \"x\" , scope=\"repository:a:pull,push\"", "bearer realm=x scope=repository:a:pull,push")]
    [InlineData("Basic realm=\"a \\\"b\\\" c\"", "basic realm=a \"b\" c")]
    [InlineData("Basic realm=x, Bearer realm=y,service=z", "basic realm=x|bearer realm=y service=z")]
    [InlineData("Negotiate, Basic realm=x", "negotiate|basic realm=x")]
    [InlineData("Basic", "basic")]
    [InlineData("Bearer realm=\"unfinished", "bearer realm=unfinished")]
    [InlineData("Bearer realm=", "bearer realm=")]
    [InlineData("Bearer realm=a,realm=b", "bearer realm=a")]
    [InlineData("", "")]
    [InlineData("=,=\"", "")]
    public void Challenges_are_read(string header, string expected) => Assert.Equal(
        expected,
        string.Join('|', AuthenticationChallenge.Parse(header).Select(challenge => string.Join(' ', challenge.Parameters.Select(pair => $"{pair.Key}={pair.Value}").Prepend(challenge.Scheme)))));

    [Fact]
    public void Challenges_of_any_kind_are_read_without_failing()
    {
        const string Alphabet = "Bearer Basic=,\"\\realm \t;\u00e4";
        var random = new Random(20);
        for (var i = 0; i < 20_000; i++)
        {
            var header = new string([.. Enumerable.Range(0, random.Next(40)).Select(_ => Alphabet[random.Next(Alphabet.Length)])]);
            Assert.All(AuthenticationChallenge.Parse(header), challenge => Assert.NotEqual("", challenge.Scheme));
        }
    }
}
