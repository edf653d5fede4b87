using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Server.Kestrel.Https;

namespace Slipway.Registry.Server;

/// <summary>TLS as it is configured by files.</summary>
internal static class TlsFiles
{
    /// <exception cref="RegistryConfigurationException">A file cannot be read or is not what it should be.</exception>
    public static HttpsConnectionAdapterOptions Load(TlsConfiguration configuration)
    {
        try
        {
            X509Certificate2Collection chain = [];
            chain.ImportFromPemFile(configuration.Certificate);
            HttpsConnectionAdapterOptions options = new()
            {
                ServerCertificate = X509Certificate2.CreateFromPemFile(configuration.Certificate, configuration.Key),
                ServerCertificateChain = chain,
            };
            if (configuration.ClientCa is { } authorities)
            {
                X509Certificate2Collection trusted = [];
                trusted.ImportFromPemFile(authorities);
                options.ClientCertificateMode = ClientCertificateMode.RequireCertificate;
                options.ClientCertificateValidation = (certificate, _, _) => IsIssuedBy(certificate, trusted);
            }

            return options;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException)
        {
            throw new RegistryConfigurationException($"tls: {e.Message}", e);
        }
    }

    /// <summary>By the given authorities alone: those of the system have no say in who may come in.</summary>
    private static bool IsIssuedBy(X509Certificate2 certificate, X509Certificate2Collection authorities)
    {
        using X509Chain chain = new();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.AddRange(authorities);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.ApplicationPolicy.Add(new Oid("1.3.6.1.5.5.7.3.2")); // id-kp-clientAuth (RFC 5280, 4.2.1.12)
        return chain.Build(certificate);
    }
}
