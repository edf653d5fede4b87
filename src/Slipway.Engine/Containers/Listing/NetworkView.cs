using Slipway.Api.Containers;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.State;
using Slipway.Engine.Networks;

namespace Slipway.Engine.Containers.Listing;

/// <summary>A container's network as the API shows it.</summary>
internal static class NetworkView
{
    public static Dictionary<string, EndpointSettings?> Networks(ContainerSnapshot container, EngineServices services)
    {
        Dictionary<string, EndpointSettings?> networks = [];
        foreach ((string name, EndpointSettings? requested) in container.RequestedEndpoints)
        {
            EndpointSettings settings = (requested ?? new EndpointSettings()) with { };
            if (container.State.IsLive)
            {
                settings.NetworkID = services.NetworkId(name);
            }

            if (!NamespaceModes.IsPredefined(name))
            {
                settings.DNSNames = ContainerNetworks.DnsNames(container, name);
            }

            if (container.State.Attached.Find(name) is { } endpoint)
            {
                settings.EndpointID = endpoint.EndpointId;
                settings.Gateway = endpoint.Gateway;
                settings.IPAddress = endpoint.Address;
                settings.IPPrefixLen = endpoint.PrefixLength;
                settings.IPv6Gateway = endpoint.Ipv6Gateway ?? "";
                settings.GlobalIPv6Address = endpoint.Ipv6Address ?? "";
                settings.GlobalIPv6PrefixLen = endpoint.Ipv6PrefixLength;
                settings.MacAddress = endpoint.MacAddress;
            }

            networks[name] = settings;
        }

        return networks;
    }

    public static NetworkSettings Settings(ContainerSnapshot container, EngineServices services)
    {
        StoredEndpoint? endpoint = container.State.Endpoint;
        return new NetworkSettings
        {
            SandboxID = container.State.IsLive ? container.Id : "",
            SandboxKey = container.State.IsLive ? $"/proc/{container.State.Pid}/ns/net" : "",
            Ports = Ports(container),
            EndpointID = endpoint?.EndpointId ?? "",
            Gateway = endpoint?.Gateway ?? "",
            IPAddress = endpoint?.Address ?? "",
            IPPrefixLen = endpoint?.PrefixLength ?? 0,
            IPv6Gateway = endpoint?.Ipv6Gateway ?? "",
            GlobalIPv6Address = endpoint?.Ipv6Address ?? "",
            GlobalIPv6PrefixLen = endpoint?.Ipv6PrefixLength ?? 0,
            MacAddress = endpoint?.MacAddress ?? "",
            Networks = Networks(container, services),
        };
    }

    /// <summary>Exposed ports with what they are published as; null for one that is only exposed.</summary>
    private static Dictionary<string, List<PortBinding>?> Ports(ContainerSnapshot container)
    {
        Dictionary<string, List<PortBinding>?> ports = [];
        StoredEndpoint[] endpoints = [.. container.State.Attached.All.Select(entry => entry.Value)];
        if (endpoints.Length == 0)
        {
            return ports;
        }

        foreach ((ushort port, Networking.PortProtocol protocol) in PortSpecs.Exposed(container.Config))
        {
            ports[PortSpecs.Key(port, protocol)] = null;
        }

        foreach (StoredPort published in endpoints.SelectMany(endpoint => endpoint.Ports))
        {
            string key = PortSpecs.Key(published.ContainerPort, published.Protocol);
            List<PortBinding> bindings = ports.GetValueOrDefault(key) ?? [];
            bindings.Add(new PortBinding { HostIp = published.HostAddress, HostPort = $"{published.HostPort}" });
            ports[key] = bindings;
        }

        return ports;
    }
}
