using System.Net;
using Slipway.Oci;
using Slipway.Registry.Distribution;
using Slipway.Registry.Distribution.Transport;
using Xunit;

namespace Slipway.Tests.Unit.Registry.Distribution;

/// <summary>Mirrors, insecure registries, certificates, proxies.</summary>
public sealed class ConfigurationTests : DistributionTest
{
    [Fact]
    public void Docker_Hub_has_a_host_of_its_own_and_mirrors_for_pulls()
    {
        var directory = new EndpointDirectory(new RegistryConfiguration { Mirrors = ["https://mirror.example.com/hub"] }, Time);
        Assert.Equal(
            ["https://mirror.example.com/hub/", "https://registry-1.docker.io/"], directory.Find("docker.io", RegistryAccess.Pull).Select(endpoint => endpoint.Address.ToString()));
        Assert.Equal([true, false], directory.Find("docker.io", RegistryAccess.Pull).Select(endpoint => endpoint.IsMirror));
        Assert.Single(directory.Find("docker.io", RegistryAccess.Push));
        Assert.Single(directory.Find("r.example.com", RegistryAccess.Pull));
    }

    [Theory]
    [InlineData("127.0.0.1:5000", true)]
    [InlineData("127.9.9.9", true)]
    [InlineData("[::1]:5000", true)]
    [InlineData("localhost:5000", true)]
    [InlineData("10.1.2.3:80", true)]
    [InlineData("10.2.0.1", false)]
    [InlineData("r.example.com", true)]
    [InlineData("r.example.com:5000", false)]
    [InlineData("other.example.com:5000", true)]
    [InlineData("docker.io", false)]
    [InlineData("localhost.example.com", false)]
    public void Which_registries_are_insecure(string domain, bool isInsecure)
    {
        var directory = new EndpointDirectory(
            new RegistryConfiguration
            {
                InsecureRegistries = ["r.example.com", "10.1.0.0/16"],
                Registries = new Dictionary<string, RegistrySettings> { ["other.example.com:5000"] = new() { Insecure = true } },
            },
            Time);
        var addresses = directory.AddressesOf(directory.Find(domain, RegistryAccess.Pull)[^1]);
        Assert.Equal(isInsecure ? ["https", "http"] : ["https"], addresses.Select(address => address.Scheme));
    }

    [Fact]
    public async Task A_name_is_insecure_where_it_stands_for_an_address_in_such_a_network()
    {
        var directory = new EndpointDirectory(new RegistryConfiguration { InsecureRegistries = ["127.0.0.0/8", "::1/128"] }, Time);
        var name = new Uri($"https://{Dns.GetHostName()}:5000/");
        var isLoopback = (await Dns.GetHostAddressesAsync(name.Host, Cancellation)).Any(IPAddress.IsLoopback);
        await directory.LearnAsync(name, Cancellation);
        Assert.Equal(isLoopback ? InsecureReason.Network : InsecureReason.None, directory.InsecureBecause(name));
    }

    [Theory]
    [InlineData("mirror", "invalid mirror: \"mirror\" is not a valid URI")]
    [InlineData("ftp://mirror", "invalid mirror: unsupported scheme \"ftp\" in \"ftp://mirror\"")]
    [InlineData("https://user:word@mirror", "invalid mirror: username/password not allowed in URI \"https://xxxxx@mirror/\"")]
    [InlineData("https://mirror/?a=b", "invalid mirror: query or fragment at end of the URI \"https://mirror/?a=b\"")]
    public void A_mirror_that_cannot_be_meant_is_refused(string mirror, string text) =>
        Assert.Equal(text, Assert.Throws<FormatException>(() => new DistributionClient(new RegistryConfiguration { Mirrors = [mirror] })).Message);

    [Theory]
    [InlineData("http://registry")]
    [InlineData("10.0.0.0/33")]
    [InlineData("a b")]
    [InlineData("user@host")]
    public void An_insecure_registry_that_cannot_be_meant_is_refused(string entry) =>
        Assert.Throws<FormatException>(() => new DistributionClient(new RegistryConfiguration { InsecureRegistries = [entry] }));

    [Fact]
    public async Task A_registry_that_is_not_insecure_must_have_a_certificate_of_a_known_authority()
    {
        await using var network = new FakeNetwork();
        var registry = await network.AddAsync("registry.example.com");
        using var nothing = new CertificateFolder("other.example.com");
        using var authorities = new CertificateFolder("registry.example.com", network.Authority);
        registry.AddManifest("app", "v1", ManifestJson());
        var name = Reference.Parse("registry.example.com/app");

        await using var distrusting = Client(network.Configuration(nothing)).Open(name, RegistryAccess.Pull, Credentials);
        var error = await RefusedAsync(RegistryErrorKind.Unavailable, () => distrusting.GetManifestAsync("v1", Cancellation));
        Assert.Equal("Get \"https://registry.example.com/v2/\": tls: failed to verify certificate: x509: certificate signed by unknown authority", error.Message);
        Assert.Empty(registry.Requests);

        await using var trusting = Client(network.Configuration(authorities)).Open(name, RegistryAccess.Pull, null);
        await trusting.GetManifestAsync("v1", Cancellation);
        Assert.Contains("registry.example.com:443", network.Connected);
    }

    [Fact]
    public async Task A_certificate_for_another_name_is_refused()
    {
        await using var network = new FakeNetwork();
        await network.AddAsync("registry.example.com", certifiedFor: "other.example.com");
        using var authorities = new CertificateFolder("registry.example.com", network.Authority);
        await using var repository = Client(network.Configuration(authorities)).Open(Reference.Parse("registry.example.com/app"), RegistryAccess.Pull, Credentials);
        var error = await RefusedAsync(RegistryErrorKind.Unavailable, () => repository.GetManifestAsync("v1", Cancellation));
        Assert.EndsWith("x509: certificate is not valid for registry.example.com", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_insecure_registry_may_have_any_certificate()
    {
        await using var network = new FakeNetwork();
        var registry = await network.AddAsync("registry.example.com", certifiedFor: "other.example.com");
        registry.AddManifest("app", "v1", ManifestJson());
        using var nothing = new CertificateFolder("other.example.com");
        await using var repository = Client(network.Configuration(nothing) with { InsecureRegistries = ["registry.example.com"] })
            .Open(Reference.Parse("registry.example.com/app"), RegistryAccess.Pull, null);
        await repository.GetManifestAsync("v1", Cancellation);
    }

    [Fact]
    public async Task A_client_certificate_is_presented_to_the_host_it_is_for()
    {
        await using var network = new FakeNetwork();
        var registry = await network.AddAsync("registry.example.com", askForClient: true);
        var storage = await network.AddAsync("storage.example.com", askForClient: true);
        var content = RandomBytes(100);
        var blob = storage.AddBlob(content);
        registry.Answer = context =>
        {
            (context.Response.StatusCode, context.Response.Headers.Location) = (307, $"https://storage.example.com/v2/x/blobs/{blob.Digest}");
            return Task.FromResult(true);
        };
        using var folder = new CertificateFolder("registry.example.com", network.Authority, network.Issue("engine", "1.3.6.1.5.5.7.3.2"));
        Directory.CreateDirectory(Path.Join(folder.Path, "storage.example.com"));
        await File.WriteAllTextAsync(Path.Join(folder.Path, "storage.example.com", "ca.crt"), network.Authority.ExportCertificatePem(), Cancellation);
        await using var repository = Client(network.Configuration(folder)).Open(Reference.Parse("registry.example.com/app"), RegistryAccess.Pull, null);

        Assert.Equal(content, await ReadAsync(await repository.OpenBlobAsync(blob, 0, Cancellation)));
        Assert.Equal("CN=engine", Assert.Single(registry.Requests).Client?.Subject);
        Assert.Null(Assert.Single(storage.Requests).Client);
    }

    [Theory]
    [InlineData("client.cert", "missing key client.key for client certificate client.cert. CA certificates must use the extension .crt")]
    [InlineData("client.key", "missing client certificate client.cert for key client.key")]
    [InlineData("ca.crt", "")]
    public async Task Certificates_that_cannot_be_read_are_named(string file, string text)
    {
        using var folder = new CertificateFolder("127.0.0.1:1");
        folder.Write(file, "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n");
        await using var repository = Client(new() { Retry = Patience, CertificateDirectories = [folder.Path] }).Open(Reference.Parse("127.0.0.1:1/app"), RegistryAccess.Pull, null);
        var error = await RefusedAsync(RegistryErrorKind.Unavailable, () => repository.GetManifestAsync("v1", Cancellation));
        Assert.StartsWith("the certificates for 127.0.0.1:1 cannot be read: ", error.Message, StringComparison.Ordinal);
        Assert.Contains(file, error.Message, StringComparison.Ordinal);
        Assert.EndsWith(text, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("https://registry.example.com/", "http://secure-proxy:3128/")]
    [InlineData("http://registry.example.com/", "http://plain-proxy/")]
    [InlineData("https://127.0.0.1:5000/", null)]
    [InlineData("https://localhost/", null)]
    [InlineData("https://internal.corp/", null)]
    [InlineData("https://r.internal.corp/", null)]
    [InlineData("https://xinternal.corp/", "http://secure-proxy:3128/")]
    [InlineData("https://sub.only.example.org/", null)]
    [InlineData("https://only.example.org/", "http://secure-proxy:3128/")]
    [InlineData("https://10.1.2.3/", null)]
    [InlineData("https://10.2.2.3/", "http://secure-proxy:3128/")]
    [InlineData("https://192.0.2.1/", null)]
    [InlineData("https://ported.example.net:8443/", null)]
    [InlineData("https://ported.example.net/", "http://secure-proxy:3128/")]
    public void The_proxy_of_a_request(string address, string? proxy) => Assert.Equal(
        proxy,
        new ProxySettings("plain-proxy", "http://secure-proxy:3128", "internal.corp, .only.example.org,10.1.0.0/16,192.0.2.1,ported.example.net:8443").GetProxy(new Uri(address))?.ToString());

    [Fact]
    public void A_proxys_password_is_for_that_proxy()
    {
        var settings = new ProxySettings(null, "http://ann:p%40ss@proxy:3128", "*");
        Assert.Null(settings.GetProxy(new Uri("https://r.example.com/")));
        var credentials = settings.Credentials!.GetCredential(new Uri("http://proxy:3128/"), "Basic");
        Assert.Equal(("ann", "p@ss"), (credentials!.UserName, credentials.Password));
        Assert.Null(settings.Credentials.GetCredential(new Uri("http://other:3128/"), "Basic"));
        Assert.Throws<FormatException>(() => new ProxySettings("ftp://proxy", null, null));
    }
}
