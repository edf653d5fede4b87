using System.Net;

namespace Slipway.Networking;

/// <summary>What one container's names are looked up in. Replaced as a whole when its networks change.</summary>
public sealed record ResolverZones
{
    /// <summary>The networks the container is on, the one of its default route first.</summary>
    public IReadOnlyList<NetworkNames> Networks { get; init; } = [];

    /// <summary>Names only this container knows (<c>--link</c> on a network of one's own), with the names they stand for.</summary>
    public IReadOnlyDictionary<string, string> Aliases { get; init; } = new Dictionary<string, string>();

    /// <summary>What <c>host.docker.internal</c> is, of either family; none where the container has no way to the host.</summary>
    public IReadOnlyList<IPAddress> Host { get; init; } = [];

    /// <summary>The same for <c>gateway.docker.internal</c>.</summary>
    public IReadOnlyList<IPAddress> Gateway { get; init; } = [];

    /// <summary>
    /// Whether what is not known here is asked of other servers. Not for a container that has only internal networks: by its questions it
    /// could tell the world what it must not (CVE-2024-29018).
    /// </summary>
    public bool Forwards { get; init; } = true;

    /// <summary>The addresses of a name, or null for one that is not known here.</summary>
    internal IReadOnlyList<IPAddress>? Find(string name)
    {
        if (Host.Count > 0 && name.Equals("host.docker.internal", StringComparison.OrdinalIgnoreCase))
        {
            return Host;
        }

        if (Gateway.Count > 0 && name.Equals("gateway.docker.internal", StringComparison.OrdinalIgnoreCase))
        {
            return Gateway;
        }

        string wanted = Aliases.GetValueOrDefault(name) ?? name;
        foreach (NetworkNames network in Networks)
        {
            IReadOnlyList<IPAddress> found = network.Find(wanted);
            if (found.Count == 0 && WithoutDomain(wanted, network.NetworkName) is { } host)
            {
                found = network.Find(host);
            }

            if (found.Count > 0)
            {
                return found;
            }
        }

        return null;
    }

    /// <summary>The full name of an address, or null.</summary>
    internal string? NameOf(IPAddress address)
    {
        foreach (NetworkNames network in Networks)
        {
            if (network.NameOf(address) is { } name)
            {
                return $"{name}.{network.NetworkName}";
            }
        }

        return null;
    }

    private static string? WithoutDomain(string name, string domain) =>
        name.Length > domain.Length + 1 && name[^(domain.Length + 1)] == '.' && name.EndsWith(domain, StringComparison.OrdinalIgnoreCase) ? name[..^(domain.Length + 1)] : null;
}

/// <summary>A server that questions are passed on to.</summary>
/// <param name="FromContainer">It is asked from inside the container's network namespace: the user named it for this container (<c>--dns</c>).</param>
public sealed record UpstreamServer(IPAddress Address, bool FromContainer);
