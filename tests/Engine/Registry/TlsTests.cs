using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Slipway.Oci;
using Slipway.Registry.Server;
using Xunit;

namespace Slipway.Tests.Engine.Registry;

public sealed class TlsTests : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("slipway-registry-tls-");

    public void Dispose() => _directory.Delete(recursive: true);

    private string In(string name) => Path.Combine(_directory.FullName, name);

    private TlsConfiguration Certificate()
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using X509Certificate2 certificate = new CertificateRequest("CN=registry.test", key, HashAlgorithmName.SHA256).CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        File.WriteAllText(In("cert.pem"), certificate.ExportCertificatePem());
        File.WriteAllText(In("key.pem"), key.ExportPkcs8PrivateKeyPem());
        return new TlsConfiguration { Certificate = In("cert.pem"), Key = In("key.pem") };
    }

    [Fact]
    public async Task Blobs_and_manifests_go_over_tls()
    {
        TlsConfiguration tls = Certificate();
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync(configuration => configuration with { Tls = tls });
        byte[] large = RandomNumberGenerator.GetBytes(2_000_000);
        Digest digest = await registry.PushBlobAsync("app", large);
        Assert.Equal(large, (await registry.GetAsync($"/v2/app/blobs/{digest}")).Is(200).Body);
        byte[] manifest = await registry.PushImageAsync("app", "1");
        Assert.Equal(manifest, (await registry.GetAsync("/v2/app/manifests/1")).Is(200).Body);
    }

    [Fact]
    public async Task A_client_without_the_wanted_certificate_is_not_let_in()
    {
        TlsConfiguration tls = Certificate() with { ClientCa = In("cert.pem") };
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync(configuration => configuration with { Tls = tls });
        await Assert.ThrowsAsync<HttpRequestException>(() => registry.GetAsync("/v2/"));
    }

    [Fact]
    public async Task A_client_with_a_certificate_of_the_authority_is_let_in_and_one_of_another_is_not()
    {
        using ECDsa authorityKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        CertificateRequest authority = new("CN=authority", authorityKey, HashAlgorithmName.SHA256);
        authority.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        using X509Certificate2 root = authority.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-2), DateTimeOffset.UtcNow.AddDays(2));
        await File.WriteAllTextAsync(In("ca.pem"), root.ExportCertificatePem(), TestContext.Current.CancellationToken);
        TlsConfiguration tls = Certificate() with { ClientCa = In("ca.pem") };
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync(configuration => configuration with { Tls = tls });

        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        CertificateRequest request = new("CN=client", key, HashAlgorithmName.SHA256);
        using X509Certificate2 issued = request.Create(root, DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1), [1, 2, 3]);
        using X509Certificate2 good = issued.CopyWithPrivateKey(key);
        using X509Certificate2 own = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        Assert.Equal(System.Net.HttpStatusCode.OK, await AskAsync(registry, good));
        await Assert.ThrowsAsync<HttpRequestException>(() => AskAsync(registry, own));
    }

    private static async Task<System.Net.HttpStatusCode> AskAsync(RegistryUnderTest registry, X509Certificate2 client)
    {
        using SocketsHttpHandler handler = new();
        handler.SslOptions.RemoteCertificateValidationCallback = (_, shown, _, _) => shown?.Subject == "CN=registry.test";
        handler.SslOptions.ClientCertificateContext = System.Net.Security.SslStreamCertificateContext.Create(client, null, offline: true);
        using HttpClient http = new(handler);
        using HttpResponseMessage answer = await http.GetAsync(new Uri($"https://{registry.EndPoint}/v2/"), TestContext.Current.CancellationToken);
        return answer.StatusCode;
    }

    [Fact]
    public async Task Missing_files_are_named()
    {
        RegistryConfigurationException error = await Assert.ThrowsAsync<RegistryConfigurationException>(
            () => RegistryUnderTest.StartAsync(configuration => configuration with { Tls = new TlsConfiguration { Certificate = "/no/such/cert.pem", Key = "/no/such/key.pem" } }));
        Assert.Contains("/no/such/cert.pem", error.Message, StringComparison.Ordinal);
    }
}
