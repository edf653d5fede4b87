using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Slipway.Oci;

namespace Slipway.Registry.Distribution.Transport;

/// <summary>Which hosts are spoken to for the domain of an image's name.</summary>
internal sealed class EndpointDirectory(RegistryConfiguration configuration, TimeProvider clock)
{
    private const string DockerHubHost = "registry-1.docker.io";

    /// <summary>Names of Docker Hub that are no host of a registry: the domain of names, and the key that logins have.</summary>
    private static readonly string[] DockerHubNames = [Reference.DefaultDomain, "index.docker.io", "registry.hub.docker.com", DockerHubHost];

    /// <summary>How long it is remembered that an insecure registry speaks plain HTTP: longer than a command takes, shorter than its operator's patience.</summary>
    private static readonly TimeSpan Memory = TimeSpan.FromMinutes(1);

    private readonly ConcurrentDictionary<string, bool> _namesInNetworks = new();
    private readonly ConcurrentDictionary<string, DateTimeOffset> _plain = new();
    private readonly IReadOnlyList<IPNetwork> _insecureNetworks = configuration.InsecureNetworks;

    /// <summary>Mirrors first where something is read, then the registry.</summary>
    public IReadOnlyList<RegistryEndpoint> Find(string domain, RegistryAccess access)
    {
        List<RegistryEndpoint> endpoints = [];
        if (access == RegistryAccess.Pull)
        {
            var mirrors = domain == Reference.DefaultDomain ? configuration.Mirrors : [];
            endpoints.AddRange(mirrors.Concat(Settings(domain)?.Mirrors ?? []).Select(Mirror));
        }

        endpoints.Add(Registry(domain));
        return endpoints;
    }

    /// <summary>The registry of a login: the address is a host, or an address whose scheme and path do not count.</summary>
    public RegistryEndpoint FindLogin(string serverAddress)
    {
        var text = serverAddress.Trim();
        var scheme = text.IndexOf("://", StringComparison.Ordinal);
        text = scheme < 0 ? text : text[(scheme + 3)..];
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        text = slash < 0 ? text : text[..slash];
        return Registry(text.Length == 0 || DockerHubNames.Contains(text) ? Reference.DefaultDomain : text);
    }

    /// <summary>
    /// Finds out whether a name stands for an address in an insecure network, if there are any besides loopback; has to be asked before
    /// <see cref="AddressesOf"/> and <see cref="InsecureBecause"/> know it.
    /// </summary>
    public async ValueTask LearnAsync(Uri address, CancellationToken cancellationToken)
    {
        if (InsecureBecause(address) != InsecureReason.None || !configuration.InsecureRegistries.Any(entry => entry.Contains('/', StringComparison.Ordinal))
            || IPAddress.TryParse(address.IdnHost, out _) || configuration.Proxies.GetProxy(address) is not null)
        {
            return;
        }

        try
        {
            var found = await Dns.GetHostAddressesAsync(address.IdnHost, cancellationToken).ConfigureAwait(false);
            if (found.Any(IsInsecureAddress))
            {
                _namesInNetworks.TryAdd(address.IdnHost, true);
            }
        }
        catch (SocketException)
        {
            // A name that cannot be resolved is in no network; the connection will fail and say so.
        }
    }

    /// <summary>Whether what this host presents as its certificate is taken as it is.</summary>
    public InsecureReason InsecureBecause(Uri address)
    {
        var host = address.IdnHost;
        var authority = address.Authority;
        if (configuration.InsecureRegistries.Contains(authority) || (Settings(authority)?.Insecure ?? false) || host == "localhost")
        {
            return InsecureReason.Host;
        }

        if (IPAddress.TryParse(host, out var ip))
        {
            return IsInsecureAddress(ip) ? InsecureReason.Host : InsecureReason.None;
        }

        return _namesInNetworks.ContainsKey(host) ? InsecureReason.Network : InsecureReason.None;
    }

    /// <summary>The addresses to try, in order: where a registry is insecure also plain HTTP, after TLS unless that failed a moment ago.</summary>
    public IReadOnlyList<Uri> AddressesOf(RegistryEndpoint endpoint)
    {
        if (endpoint.PlainAddress is not { } plain || InsecureBecause(endpoint.Address) == InsecureReason.None)
        {
            return [endpoint.Address];
        }

        return _plain.TryGetValue(plain.Authority, out var until) && until > clock.GetUtcNow() ? [plain, endpoint.Address] : [endpoint.Address, plain];
    }

    /// <summary>An address has answered.</summary>
    public void Remember(RegistryEndpoint endpoint, Uri address)
    {
        if (address == endpoint.PlainAddress)
        {
            _plain[address.Authority] = clock.GetUtcNow() + Memory;
        }
    }

    public bool IsInsecureAddress(IPAddress address)
    {
        var plain = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
        return _insecureNetworks.Any(network => network.Contains(plain));
    }

    public RegistrySettings? Settings(string authority) => configuration.Registries.GetValueOrDefault(authority);

    private RegistryEndpoint Registry(string domain)
    {
        var host = domain == Reference.DefaultDomain ? DockerHubHost : domain;
        if (!Uri.TryCreate($"https://{host}/", UriKind.Absolute, out var address) || address.UserInfo.Length > 0 || address.AbsolutePath != "/")
        {
            throw new RegistryException(RegistryErrorKind.Refused, $"invalid registry address \"{domain}\"");
        }

        // Without a port in the name, TLS means 443 and plain HTTP 80.
        return new RegistryEndpoint { Address = address, PlainAddress = new Uri($"http://{host}/"), TokenRealms = Settings(domain)?.TokenRealms ?? [] };
    }

    private RegistryEndpoint Mirror(string text)
    {
        var address = new Uri(text.EndsWith('/') ? text : text + "/");
        return new RegistryEndpoint { Address = address, IsMirror = true, TokenRealms = Settings(address.Authority)?.TokenRealms ?? [] };
    }
}

/// <summary>Why a host's certificate is not verified.</summary>
internal enum InsecureReason
{
    None,

    /// <summary>Configured by name or address.</summary>
    Host,

    /// <summary>The name stands for an address in a network that is configured; only such an address may be connected to.</summary>
    Network,
}
