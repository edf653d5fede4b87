using System.Net;

namespace Slipway.Registry.Distribution;

/// <summary>
/// Which proxy a request goes through, by the rules of dockerd (the Go library's): HTTP_PROXY and HTTPS_PROXY by the scheme of the request; NO_PROXY is a
/// list of hosts, domains with what is below them, addresses and networks, each with an optional port, or <c>*</c>; loopback is never proxied.
/// </summary>
public sealed class ProxySettings : IWebProxy
{
    private readonly Uri? _http;
    private readonly Uri? _https;
    private readonly string[] _exceptions;

    /// <exception cref="FormatException">An address that is none.</exception>
    public ProxySettings(string? httpProxy, string? httpsProxy, string? noProxy)
    {
        _http = ParseProxy(httpProxy);
        _https = ParseProxy(httpsProxy);
        _exceptions = (noProxy ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        Credentials = new ProxyCredentials(_http, _https);
    }

    public static ProxySettings None { get; } = new(null, null, null);

    /// <summary>User and password that a proxy's address carries.</summary>
    public ICredentials? Credentials { get; set; }

    /// <summary>HTTP_PROXY, HTTPS_PROXY and NO_PROXY, or their lower-case names; a value given here has precedence.</summary>
    public static ProxySettings FromEnvironment(string? httpProxy = null, string? httpsProxy = null, string? noProxy = null)
    {
        return new ProxySettings(httpProxy ?? Variable("HTTP_PROXY"), httpsProxy ?? Variable("HTTPS_PROXY"), noProxy ?? Variable("NO_PROXY"));

        static string? Variable(string name) =>
            Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : Environment.GetEnvironmentVariable(name.ToLowerInvariant());
    }

    public Uri? GetProxy(Uri destination) => IsBypassed(destination) ? null : ProxyFor(destination);

    public bool IsBypassed(Uri host) =>
        ProxyFor(host) is null || host.IsLoopback || host.IdnHost.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase) || _exceptions.Any(entry => Matches(entry, host));

    private Uri? ProxyFor(Uri destination) => destination.Scheme == Uri.UriSchemeHttps ? _https : _http;

    private static bool Matches(string entry, Uri destination)
    {
        if (entry == "*")
        {
            return true;
        }

        var host = destination.IdnHost;
        if (IPNetwork.TryParse(entry, out var network))
        {
            return IPAddress.TryParse(host, out var address) && network.Contains(address);
        }

        if (IPAddress.TryParse(entry, out var exact))
        {
            return IPAddress.TryParse(host, out var address) && address.Equals(exact);
        }

        var colon = entry.LastIndexOf(':');
        if (colon > 0 && ushort.TryParse(entry.AsSpan(colon + 1), out var port))
        {
            if (port != destination.Port)
            {
                return false;
            }

            entry = entry[..colon].Trim('[', ']');
        }

        var domain = entry.TrimStart('*');
        return domain.StartsWith('.')
            ? host.EndsWith(domain, StringComparison.OrdinalIgnoreCase)
            : host.Equals(domain, StringComparison.OrdinalIgnoreCase) || host.EndsWith("." + domain, StringComparison.OrdinalIgnoreCase);
    }

    private static Uri? ParseProxy(string? text)
    {
        if (string.IsNullOrWhiteSpace(text))
        {
            return null;
        }

        var address = text.Contains("://", StringComparison.Ordinal) ? text : "http://" + text;
        return Uri.TryCreate(address, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https" or "socks5" or "socks4" or "socks4a"
            ? uri
            : throw new FormatException("invalid proxy: the address of a proxy must be [http|https|socks5://][user:password@]host[:port]");
    }

    /// <summary>What the addresses of the two proxies say, and nothing for anyone else.</summary>
    private sealed class ProxyCredentials(Uri? http, Uri? https) : ICredentials
    {
        public NetworkCredential? GetCredential(Uri uri, string authType)
        {
            var proxy = uri.Authority == https?.Authority ? https : uri.Authority == http?.Authority ? http : null;
            if (proxy is not { UserInfo.Length: > 0 })
            {
                return null;
            }

            var parts = proxy.UserInfo.Split(':', 2);
            return new NetworkCredential(Uri.UnescapeDataString(parts[0]), parts.Length > 1 ? Uri.UnescapeDataString(parts[1]) : "");
        }
    }
}
