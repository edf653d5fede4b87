using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Slipway.Registry.Peers;

namespace Slipway.Tests.Unit.Registry.Peers;

/// <summary>An authority that certifies engines, and the files they have of it.</summary>
internal sealed class PeerAuthority : IDisposable
{
    private const string Server = "1.3.6.1.5.5.7.3.1";
    private const string Client = "1.3.6.1.5.5.7.3.2";

    private readonly string _directory = Directory.CreateTempSubdirectory("slipway-peers-").FullName;
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly X509Certificate2 _certificate;

    public PeerAuthority()
    {
        var request = new CertificateRequest("CN=Engines", _key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, false, 0, critical: true));
        _certificate = request.CreateSelfSigned(Now.AddDays(-1), Now.AddDays(1));
        File.WriteAllText(PathOf("ca.pem"), _certificate.ExportCertificatePem());
    }

    private static DateTimeOffset Now => TimeProvider.System.GetUtcNow();

    /// <summary>What an engine is configured with.</summary>
    /// <param name="address">Its address; null for 127.0.0.1.</param>
    /// <param name="authority">Whom it believes; null for this authority.</param>
    public PeerTls Issue(string name, bool isServer = true, bool isClient = true, PeerAuthority? authority = null, bool isExpired = false, IPAddress? address = null)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(address ?? IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        OidCollection usages = [];
        if (isServer)
        {
            usages.Add(new Oid(Server));
        }

        if (isClient)
        {
            usages.Add(new Oid(Client));
        }

        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension(usages, critical: false));
        using var issued = request.Create(_certificate, Now.AddHours(-2), isExpired ? Now.AddHours(-1) : Now.AddHours(2), RandomNumberGenerator.GetBytes(8));
        File.WriteAllText(PathOf($"{name}.pem"), issued.ExportCertificatePem());
        File.WriteAllText(PathOf($"{name}.key"), key.ExportPkcs8PrivateKeyPem());
        return new PeerTls { CertificateAuthority = (authority ?? this).PathOf("ca.pem"), Certificate = PathOf($"{name}.pem"), Key = PathOf($"{name}.key") };
    }

    public void Dispose()
    {
        _certificate.Dispose();
        _key.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    private string PathOf(string name) => Path.Join(_directory, name);
}
