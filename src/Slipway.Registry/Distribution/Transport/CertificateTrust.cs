using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace Slipway.Registry.Distribution.Transport;

/// <summary>Whether a server's certificate is trusted: by the system, or by authorities that are configured for its host. Texts are dockerd's.</summary>
internal static class CertificateTrust
{
    /// <returns>True; a refusal is thrown, so that its reason reaches the user.</returns>
    /// <exception cref="AuthenticationException">The certificate is not for this host, expired, or of an unknown authority.</exception>
    public static bool Verify(string host, X509Certificate? certificate, X509Chain? presented, SslPolicyErrors errors, X509Certificate2Collection authorities)
    {
        if (errors == SslPolicyErrors.None)
        {
            return true;
        }

        if (certificate is not X509Certificate2 leaf || errors.HasFlag(SslPolicyErrors.RemoteCertificateNotAvailable))
        {
            throw Refusal("no certificate was presented");
        }

        if (errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch))
        {
            throw Refusal($"certificate is not valid for {host}");
        }

        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.AddRange(authorities);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.ApplicationPolicy.Add(new("1.3.6.1.5.5.7.3.1"));
        foreach (var element in presented?.ChainElements ?? Enumerable.Empty<X509ChainElement>())
        {
            chain.ChainPolicy.ExtraStore.Add(element.Certificate);
        }

        if (authorities.Count > 0 && chain.Build(leaf))
        {
            return true;
        }

        var status = authorities.Count > 0 ? chain.ChainStatus : presented?.ChainStatus ?? [];
        throw status.Any(problem => problem.Status.HasFlag(X509ChainStatusFlags.NotTimeValid))
            ? Refusal("certificate has expired or is not yet valid")
            : Refusal("certificate signed by unknown authority");
    }

    private static AuthenticationException Refusal(string reason) => new($"tls: failed to verify certificate: x509: {reason}");
}
