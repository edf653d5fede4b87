using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.State;

namespace Slipway.Engine.Networks;

/// <summary>By which of its networks a container's packets leave.</summary>
/// <param name="hasDefaultIpv6">The default network has IPv6.</param>
internal sealed class RouteChoice(NetworkCatalog catalog, bool hasDefaultIpv6)
{
    /// <summary>
    /// The network of the default route, and of the published ports: one with IPv4 if there is one; not an internal one if there is another, the highest
    /// priority, then the first by name.
    /// </summary>
    public string? Default(ContainerSnapshot container, IEnumerable<string> names)
    {
        string[] ordered = [.. Ordered(container, names)];
        return ordered.FirstOrDefault(name => catalog.FindByName(name) is not { Document.Ipv4: null }) ?? ordered.FirstOrDefault();
    }

    /// <summary>The network of the IPv6 default route: chosen in the same way from those that have IPv6.</summary>
    public string? Ipv6(ContainerSnapshot container, IEnumerable<string> names) => Ordered(container, names)
        .FirstOrDefault(name => name == NamespaceModes.Bridge ? hasDefaultIpv6 : catalog.FindByName(name) is { Document.Ipv6: not null });

    private IEnumerable<string> Ordered(ContainerSnapshot container, IEnumerable<string> names) => names
        .OrderBy(name => catalog.FindByName(name)?.Document.Internal == true)
        .ThenByDescending(name => container.RequestedEndpoints.GetValueOrDefault(name)?.GwPriority ?? 0)
        .ThenBy(name => name, StringComparer.Ordinal);
}
