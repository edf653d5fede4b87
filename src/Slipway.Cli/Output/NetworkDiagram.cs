using System.Text;
using Slipway.Api.Containers;
using Slipway.Api.Networks;

namespace Slipway.Cli.Output;

/// <summary>The picture of a network in text: the host's link, and what hangs on it.</summary>
internal static class NetworkDiagram
{
    private const int IdDigits = 12;

    /// <param name="containers">Those on the network, as they are inspected.</param>
    public static string Draw(Network network, IEnumerable<ContainerInspect> containers)
    {
        StringBuilder text = new();
        string[] marks = [.. Marks(network)];
        text.Append($"network {network.Name} ({network.Driver}{string.Concat(marks.Select(mark => $", {mark}"))})\n");
        foreach (IPAMConfig config in network.IPAM.Config ?? [])
        {
            text.Append($"│   subnet {config.Subnet}{Part(", addresses from ", config.IPRange)}{Part(", gateway ", config.Gateway)}\n");
        }

        text.Append("│\n");
        if (HostLink(network) is { } link)
        {
            text.Append($"●   {link}\n│\n");
        }

        ContainerInspect[] ordered = [.. containers.OrderBy(container => container.Name, StringComparer.Ordinal)];
        if (ordered.Length == 0)
        {
            return text.Append("└── no containers\n").ToString();
        }

        for (int i = 0; i < ordered.Length; i++)
        {
            Draw(text, network, ordered[i], isLast: i == ordered.Length - 1);
        }

        return text.ToString();
    }

    private static void Draw(StringBuilder text, Network network, ContainerInspect container, bool isLast)
    {
        string name = container.Name.TrimStart('/');
        NetworkContainer? place = network.Containers.GetValueOrDefault(container.Id);
        EndpointSettings? endpoint = container.NetworkSettings.Networks.GetValueOrDefault(network.Name);
        string[] addresses = [.. new[] { place?.IPv4Address, place?.IPv6Address, place?.MacAddress }.OfType<string>().Where(address => address.Length > 0)];
        text.Append($"{(isLast ? '└' : '├')}── {name}{string.Concat(addresses.Select(address => $"  {address}"))}\n");
        string[] details =
        [
            .. Ports(container.NetworkSettings),
            .. Line("also called ", (endpoint?.DNSNames ?? []).Where(other => other != name && !container.Id.StartsWith(other, StringComparison.Ordinal))),
            .. Line("also on ", container.NetworkSettings.Networks.Keys.Where(other => other != network.Name)),
        ];
        for (int i = 0; i < details.Length; i++)
        {
            text.Append($"{(isLast ? ' ' : '│')}   {(i == details.Length - 1 ? '└' : '├')}── {details[i]}\n");
        }
    }

    /// <summary>Published ports, each as the host has it and as the container has it.</summary>
    private static IEnumerable<string> Ports(NetworkSettings settings) =>
        from port in settings.Ports ?? []
        orderby port.Key.Length, port.Key
        from binding in port.Value ?? []
        let address = binding.HostIp.Contains(':', StringComparison.Ordinal) ? $"[{binding.HostIp}]" : binding.HostIp
        select $"{address}:{binding.HostPort} → {port.Key}";

    private static IEnumerable<string> Line(string start, IEnumerable<string> words)
    {
        string[] all = [.. words.Order(StringComparer.Ordinal)];
        return all.Length > 0 ? [start + string.Join(", ", all)] : [];
    }

    private static IEnumerable<string> Marks(Network network)
    {
        if (network.Internal)
        {
            yield return "internal";
        }

        if (network.EnableIPv6)
        {
            yield return "IPv6";
        }
    }

    private static string Part(string start, string? value) => string.IsNullOrEmpty(value) ? "" : start + value;

    /// <summary>The link of the host that the containers' links are joined to; null for networks that have none.</summary>
    private static string? HostLink(Network network)
    {
        Dictionary<string, string> options = network.Options ?? [];
        string id = network.Id[..Math.Min(IdDigits, network.Id.Length)];
        return network.Driver switch
        {
            "bridge" => $"{options.GetValueOrDefault("com.docker.network.bridge.name") ?? $"br-{id}"}  this host's bridge",
            "macvlan" => $"{options.GetValueOrDefault("parent") ?? $"dm-{id}"}  this host's link",
            "ipvlan" => $"{options.GetValueOrDefault("parent") ?? $"di-{id}"}  this host's link",
            _ => null,
        };
    }
}
