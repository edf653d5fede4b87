using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Slipway.Api.Containers;
using Slipway.Networking;

namespace Slipway.Engine.Containers.Create;

/// <summary>Port texts of the API: <c>80/tcp</c> as a key, host ports and ranges as values.</summary>
internal static class PortSpecs
{
    /// <summary>What the request publishes, for the network driver.</summary>
    /// <exception cref="EngineException">InvalidParameter.</exception>
    public static IReadOnlyList<PortRequest> Requests(ContainerConfig config, HostConfig hostConfig)
    {
        List<PortRequest> requests = [];
        HashSet<string> bound = new(StringComparer.Ordinal);
        foreach ((string key, List<PortBinding>? bindings) in hostConfig.PortBindings ?? [])
        {
            (ushort port, PortProtocol protocol) = ParseContainerPort(key);
            foreach (PortBinding binding in bindings ?? [])
            {
                (ushort first, ushort last) = ParseHostPort(binding.HostPort);
                requests.Add(new PortRequest(protocol, port, ParseAddress(binding.HostIp), first, last));
                bound.Add($"{port}/{protocol}");
            }
        }

        if (hostConfig.PublishAllPorts)
        {
            foreach ((ushort port, PortProtocol protocol) in Exposed(config))
            {
                if (bound.Add($"{port}/{protocol}"))
                {
                    requests.Add(new PortRequest(protocol, port));
                }
            }
        }

        return requests;
    }

    /// <summary>The ports a configuration exposes, ranges expanded.</summary>
    public static IEnumerable<(ushort Port, PortProtocol Protocol)> Exposed(ContainerConfig config)
    {
        foreach (string key in config.ExposedPorts?.Keys ?? Enumerable.Empty<string>())
        {
            (string range, PortProtocol protocol) = SplitProtocol(key);
            (ushort first, ushort last) = ParseRange(range);
            for (int port = first; port <= last; port++)
            {
                yield return ((ushort)port, protocol);
            }
        }
    }

    /// <summary>Reads <c>80/tcp</c>; without a protocol it is TCP.</summary>
    public static (ushort Port, PortProtocol Protocol) ParseContainerPort(string text)
    {
        (string number, PortProtocol protocol) = SplitProtocol(text);
        ushort port = ParsePort(number);
        return port > 0 ? (port, protocol) : throw InvalidPort(number);
    }

    /// <summary>Reads a host port: empty for any, a number, or a range.</summary>
    public static (ushort First, ushort Last) ParseHostPort(string text)
    {
        if (text.Length == 0)
        {
            return (0, 0);
        }

        (ushort first, ushort last) = ParseRange(text);
        return (first, last == first ? (ushort)0 : last);
    }

    /// <summary><c>80/tcp</c>.</summary>
    public static string Key(ushort port, PortProtocol protocol) => $"{port}/{Word(protocol)}";

    public static string Word(PortProtocol protocol) => protocol switch
    {
        PortProtocol.Udp => "udp",
        PortProtocol.Sctp => "sctp",
        _ => "tcp",
    };

    private static (string Number, PortProtocol Protocol) SplitProtocol(string text)
    {
        string[] parts = text.Split('/', 2);
        string protocol = parts.Length == 1 || parts[1].Length == 0 ? "tcp" : parts[1];
        return (parts[0], protocol.ToLowerInvariant() switch
        {
            "tcp" => PortProtocol.Tcp,
            "udp" => PortProtocol.Udp,
            "sctp" => PortProtocol.Sctp,
            _ => throw ContainerErrors.Invalid($"invalid port specification: \"{text}\": invalid proto: {protocol}"),
        });
    }

    private static (ushort First, ushort Last) ParseRange(string text)
    {
        string[] ends = text.Split('-', 2);
        ushort first = ParsePort(ends[0], text);
        ushort last = ends.Length == 1 ? first : ParsePort(ends[1], text);
        return last >= first ? (first, last) : throw InvalidPort(text);
    }

    private static ushort ParsePort(string text, string? whole = null) =>
        ushort.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ushort port) ? port : throw InvalidPort(whole ?? text);

    /// <summary>
    /// An address of the host. One of IPv4 in the form of IPv6 is that of IPv4: a socket that is bound to it takes no other. Shortened ones (<c>127.1</c>, <c>1</c>) and zones
    /// are refused, as by Docker: what was meant by them differs from program to program.
    /// </summary>
    private static IPAddress? ParseAddress(string text)
    {
        if (text.Length == 0)
        {
            return null;
        }

        if (!IPAddress.TryParse(text, out IPAddress? address) || text.AsSpan().ContainsAny('%', '[') || (address.AddressFamily == AddressFamily.InterNetwork && address.ToString() != text))
        {
            throw ContainerErrors.Invalid($"invalid IP address: {text}");
        }

        return address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
    }

    private static EngineException InvalidPort(string text) => ContainerErrors.Invalid($"invalid port specification: \"{text}\"");
}
