using System.Net;
using System.Net.Sockets;
using Slipway.Api.Containers;
using Slipway.Engine.Networks;

namespace Slipway.Engine.Containers.Create;

/// <summary>What a request asks of its networks.</summary>
internal static class EndpointValidation
{
    /// <summary>Checks the settings of one network.</summary>
    /// <param name="network">Null for one that always is.</param>
    /// <exception cref="EngineException">InvalidParameter, with everything that is wrong.</exception>
    public static void Validate(string name, UserNetwork? network, EndpointSettings? settings)
    {
        List<string> errors = [];
        EndpointIPAMConfig? ipam = settings?.IPAMConfig;
        if (network is null)
        {
            if (ipam is { IPv4Address.Length: > 0 } or { IPv6Address.Length: > 0 })
            {
                errors.Add("user specified IP address is supported on user defined networks only");
            }

            if (settings?.Aliases is { Count: > 0 } || settings?.Links is { Count: > 0 })
            {
                errors.Add("network-scoped aliases are only supported for user-defined networks");
            }
        }
        else
        {
            CheckAddress(AddressFamily.InterNetwork, network.Document.Ipv4, ipam?.IPv4Address, errors);
            CheckAddress(AddressFamily.InterNetworkV6, network.Document.Ipv6, ipam?.IPv6Address, errors);
        }

        if (ipam?.LinkLocalIPs is { Count: > 0 })
        {
            errors.Add("link-local addresses are not supported");
        }

        if (settings?.Links?.FirstOrDefault(link => link.Split(':') is not ([{ Length: > 0 }] or [{ Length: > 0 }, { Length: > 0 }])) is { } bad)
        {
            errors.Add($"bad format for links: {bad}");
        }

        if (settings?.MacAddress is { Length: > 0 } mac && !Kernel.Netlink.MacAddress.TryParse(mac, out _))
        {
            errors.Add($"invalid MAC address: {mac}");
        }

        _ = EndpointOptions.Parse(settings, errors);
        if (errors.Count > 0)
        {
            throw ContainerErrors.Invalid($"invalid config for network {name}: invalid endpoint settings:\n{string.Join('\n', errors)}");
        }
    }

    /// <param name="subnet">The network's; null where it has none of the family.</param>
    private static void CheckAddress(AddressFamily family, NetworkSubnet? subnet, string? text, List<string> errors)
    {
        if (string.IsNullOrEmpty(text))
        {
            return;
        }

        if (!IPAddress.TryParse(text, out IPAddress? address) || address.AddressFamily != family || address.IsIPv4MappedToIPv6)
        {
            errors.Add($"invalid {(family == AddressFamily.InterNetwork ? "IPv4" : "IPv6")} address: {text}");
        }
        else if (subnet is { IsOwn: false })
        {
            errors.Add("user specified IP address is supported only when connecting to networks with user configured subnets");
        }
        else if (subnet?.Range.Contains(address) != true)
        {
            errors.Add($"no configured subnet or ip-range contain the IP address {text}");
        }
    }
}
