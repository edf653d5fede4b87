using System.Security.Cryptography.X509Certificates;

namespace Slipway.Tests.Unit.Registry.Distribution;

/// <summary>A certs.d with what one host needs.</summary>
internal sealed class CertificateFolder : IDisposable
{
    public CertificateFolder(string host, X509Certificate2? authority = null, X509Certificate2? client = null)
    {
        Path = Directory.CreateTempSubdirectory("slipway-certs-").FullName;
        Host = Directory.CreateDirectory(System.IO.Path.Join(Path, host)).FullName;
        if (authority is not null)
        {
            Write("ca.crt", authority.ExportCertificatePem());
        }

        if (client is not null)
        {
            Write("client.cert", client.ExportCertificatePem());
            Write("client.key", client.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem());
        }
    }

    public string Path { get; }

    private string Host { get; }

    public void Write(string name, string content) => File.WriteAllText(System.IO.Path.Join(Host, name), content);

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
