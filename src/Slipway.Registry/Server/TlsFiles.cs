using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Slipway.Registry.Server;

/// <summary>TLS as it is configured by files.</summary>
internal static class TlsFiles
{
    /// <exception cref="RegistryConfigurationException">A file cannot be read or is not what it should be.</exception>
    public static SslServerAuthenticationOptions Load(TlsConfiguration configuration)
    {
        try
        {
            X509Certificate2 certificate = X509Certificate2.CreateFromPemFile(configuration.Certificate, configuration.Key);
            X509Certificate2Collection chain = [];
            chain.ImportFromPemFile(configuration.Certificate);
            SslServerAuthenticationOptions options = new()
            {
                EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
                ServerCertificateContext = SslStreamCertificateContext.Create(certificate, chain, offline: true),
            };
            if (configuration.ClientCa is { } authorities)
            {
                X509Certificate2Collection trusted = [];
                trusted.ImportFromPemFile(authorities);
                options.ClientCertificateRequired = true;
                options.RemoteCertificateValidationCallback = (_, shown, _, _) => shown is X509Certificate2 client && IsIssuedBy(client, trusted);
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
