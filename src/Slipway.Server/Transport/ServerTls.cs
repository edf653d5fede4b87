using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Slipway.Engine;

namespace Slipway.Server.Transport;

/// <summary>TLS of the API as it is configured by files (dockerd's <c>--tlsverify --tlscacert --tlscert --tlskey</c>).</summary>
/// <param name="Certificate">The server's, with intermediates (PEM).</param>
/// <param name="ClientAuthorities">Who certifies clients (PEM); null: anyone may connect, on loopback only.</param>
public sealed record ServerTls(string Certificate, string Key, string? ClientAuthorities)
{
    /// <summary>Only who shows a certificate may speak to the API.</summary>
    public bool VerifiesClients => ClientAuthorities is not null;

    /// <summary>Finds out what is wrong with the files before anything is started.</summary>
    /// <exception cref="EngineException">InvalidParameter: a file cannot be read, or is not what it should be.</exception>
    public void Validate() => _ = Load();

    /// <summary>Reads the files.</summary>
    /// <exception cref="EngineException">InvalidParameter: a file cannot be read, or is not what it should be.</exception>
    internal SslServerAuthenticationOptions Load()
    {
        try
        {
            X509Certificate2 certificate = X509Certificate2.CreateFromPemFile(Certificate, Key);
            X509Certificate2Collection chain = [];
            chain.ImportFromPemFile(Certificate);
            SslServerAuthenticationOptions options = new()
            {
                EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
                ServerCertificateContext = SslStreamCertificateContext.Create(certificate, chain, offline: true),
            };
            if (ClientAuthorities is not null)
            {
                X509Certificate2Collection authorities = [];
                authorities.ImportFromPemFile(ClientAuthorities);
                options.ClientCertificateRequired = true;
                options.RemoteCertificateValidationCallback = (_, shown, _, _) => shown is X509Certificate2 client && IsIssuedBy(client, authorities);
            }

            return options;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException)
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"could not load the TLS files: {e.Message}", e);
        }
    }

    /// <summary>By the given authorities alone: those of the system have no say in who is root here.</summary>
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
