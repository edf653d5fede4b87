using System.Net;

namespace Slipway.Registry.Distribution.Authentication;

/// <summary>
/// Whom a registry may send us to for a token. A registry names its token server itself, so one that lies could have the
/// credentials of another sent anywhere (CVE-2026-33540, GHSA-9m43-p3cx-w8j5): a realm has to be on the registry's own host, below the same registrable
/// domain, or configured; and it has to be TLS where the registry is.
/// </summary>
internal static class TokenRealm
{
    /// <summary>Second-level names that registrars sell below, together with a country's two letters (<c>co.uk</c>).</summary>
    private static readonly HashSet<string> SecondLevel = ["ac", "co", "com", "edu", "go", "gob", "gov", "gouv", "ne", "net", "nom", "or", "org", "sch"];

    /// <summary>Domains whose subdomains belong to different customers.</summary>
    private static readonly HashSet<string> Shared =
    [
        "amazonaws.com", "appspot.com", "azurecontainer.io", "azurecr.io", "azurewebsites.net", "cloudapp.net", "cloudfront.net", "ddns.net", "duckdns.org",
        "fly.dev", "github.io", "gitlab.io", "herokuapp.com", "netlify.app", "ngrok.app", "ngrok.io", "nip.io", "onrender.com", "pages.dev", "pkg.dev", "run.app",
        "scw.cloud", "sslip.io", "ts.net", "vercel.app", "windows.net", "workers.dev", "xip.io",
    ];

    /// <summary>Reads and judges the realm of a challenge.</summary>
    /// <exception cref="RegistryException">Refused: the realm is no address, or not one that credentials may go to.</exception>
    public static Uri Check(string? realm, Uri registry, IReadOnlyList<string> configured)
    {
        if (!Uri.TryCreate(realm, UriKind.Absolute, out var address) || address.Scheme is not ("http" or "https") || address.UserInfo.Length > 0 || address.Host.Length == 0)
        {
            throw new RegistryException(RegistryErrorKind.Invalid, $"registry {registry.Authority} asks for a token but names no valid token server");
        }

        if (address.Scheme != Uri.UriSchemeHttps && registry.Scheme == Uri.UriSchemeHttps)
        {
            throw new RegistryException(
                RegistryErrorKind.Refused, $"registry {registry.Authority} asks for a token from {address.Scheme}://{address.Authority}, which is not encrypted: refused");
        }

        return IsAllowed(address, registry, configured)
            ? address
            : throw new RegistryException(
                RegistryErrorKind.Refused,
                $"registry {registry.Authority} asks for a token from {address.Authority}, which is not of its domain: nothing was sent there "
                + "(name it in \"token-realms\" of the registry if it is meant)");
    }

    private static bool IsAllowed(Uri realm, Uri registry, IReadOnlyList<string> configured) =>
        realm.IdnHost.Equals(registry.IdnHost, StringComparison.OrdinalIgnoreCase)
        || configured.Contains(realm.IdnHost, StringComparer.OrdinalIgnoreCase)
        || configured.Contains(realm.Authority, StringComparer.OrdinalIgnoreCase)
        || (RegistrableDomain(registry.IdnHost) is { } domain && domain == RegistrableDomain(realm.IdnHost));

    /// <summary>The domain that somebody registered, <c>example.co.uk</c>; null for an address, a name of one label and a name that is itself shared.</summary>
    internal static string? RegistrableDomain(string host)
    {
        if (IPAddress.TryParse(host, out _))
        {
            return null;
        }

        var labels = host.ToLowerInvariant().TrimEnd('.').Split('.');
        if (labels.Length < 2 || labels.Any(label => label.Length == 0))
        {
            return null;
        }

        var last = $"{labels[^2]}.{labels[^1]}";
        var owned = Shared.Contains(last) || (labels[^1].Length == 2 && SecondLevel.Contains(labels[^2])) ? 3 : 2;

        // Regions of Amazon's registries are one level further down, so nothing below amazonaws.com shares an owner.
        return labels.Length < owned || last == "amazonaws.com" ? null : string.Join('.', labels[^owned..]);
    }
}
