using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Slipway.Registry.Peers;

/// <summary>Who this engine is, and which other engines are believed: those with a certificate of the configured authorities, and nobody else.</summary>
internal sealed class PeerCertificates
{
    private const string ServerUsage = "1.3.6.1.5.5.7.3.1"; // RFC 5280, 4.2.1.12
    private const string ClientUsage = "1.3.6.1.5.5.7.3.2";

    private readonly X509Certificate2Collection _authorities = [];
    private readonly SslStreamCertificateContext _context;

    /// <param name="name">Of the configuration, for messages.</param>
    /// <exception cref="FormatException">A file cannot be read or is no certificate.</exception>
    public PeerCertificates(PeerTls tls, string name = "layer-tls")
    {
        try
        {
            _authorities.ImportFromPemFile(tls.CertificateAuthority);
            X509Certificate2Collection chain = [];
            chain.ImportFromPemFile(tls.Certificate);
            _context = SslStreamCertificateContext.Create(X509Certificate2.CreateFromPemFile(tls.Certificate, tls.Key), chain, offline: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or CryptographicException)
        {
            throw new FormatException($"{name}: {error.Message}", error);
        }

        if (_authorities.Count == 0)
        {
            throw new FormatException($"{name}: {tls.CertificateAuthority} holds no certificate");
        }
    }

    /// <summary>As a client: the server must have the right name, and a certificate of ours.</summary>
    public SslClientAuthenticationOptions ClientOptions() => new()
    {
        ClientCertificateContext = _context,
        RemoteCertificateValidationCallback = (_, certificate, chain, errors) =>
            certificate is X509Certificate2 leaf && (errors & ~SslPolicyErrors.RemoteCertificateChainErrors) == SslPolicyErrors.None && IsIssued(leaf, chain, ServerUsage),
    };

    /// <summary>As a server: the client must have a certificate of ours.</summary>
    public SslServerAuthenticationOptions ServerOptions() => new()
    {
        EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
        ServerCertificateContext = _context,
        ClientCertificateRequired = true,
        RemoteCertificateValidationCallback = (_, certificate, chain, _) => certificate is X509Certificate2 leaf && IsIssued(leaf, chain, ClientUsage),
    };

    private bool IsIssued(X509Certificate2 certificate, X509Chain? presented, string usage)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.AddRange(_authorities);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.ApplicationPolicy.Add(new Oid(usage));
        foreach (var element in presented?.ChainElements ?? Enumerable.Empty<X509ChainElement>())
        {
            chain.ChainPolicy.ExtraStore.Add(element.Certificate);
        }

        return chain.Build(certificate);
    }
}
