using System.Globalization;
using Slipway.Api.Containers;

namespace Slipway.Cli.Options;

/// <summary><c>-p [[ip:]hostPort[-last]:]containerPort[-last][/proto]</c> and <c>--expose</c>.</summary>
internal static class PortSpec
{
    /// <summary>Adds what a <c>-p</c> flag says to the exposed ports and their bindings.</summary>
    public static void Publish(string spec, Dictionary<string, EmptyObject> exposed, Dictionary<string, List<PortBinding>?> bindings)
    {
        (string ports, string protocol) = Protocol(spec);
        string address = "";
        if (ports.StartsWith('['))
        {
            int close = ports.IndexOf(']', StringComparison.Ordinal);
            if (close < 0 || close + 1 >= ports.Length || ports[close + 1] != ':')
            {
                throw Invalid(spec);
            }

            address = ports[1..close];
            ports = ports[(close + 2)..];
        }

        string[] parts = ports.Split(':');
        (address, string host, string container) = parts.Length switch
        {
            1 => (address, "", parts[0]),
            2 => (address, parts[0], parts[1]),
            3 when address.Length == 0 => (parts[0], parts[1], parts[2]),
            _ => throw Invalid(spec),
        };
        (int first, int last) = Range(container, spec);
        (int hostFirst, int hostLast) = host.Length == 0 ? (0, 0) : Range(host, spec);
        if (host.Length > 0 && hostLast - hostFirst != last - first && first != last)
        {
            throw new CommandException($"invalid ranges specified for container and host Ports: {container} and {host}");
        }

        for (int port = first; port <= last; port++)
        {
            string key = string.Create(CultureInfo.InvariantCulture, $"{port}/{protocol}");
            string hostPort = host.Length == 0 ? "" : first == last ? host : (hostFirst + port - first).ToString(CultureInfo.InvariantCulture);
            exposed[key] = new EmptyObject();
            if (!bindings.TryGetValue(key, out List<PortBinding>? list) || list is null)
            {
                bindings[key] = list = [];
            }

            list.Add(new PortBinding { HostIp = address, HostPort = hostPort });
        }
    }

    public static void Expose(string spec, Dictionary<string, EmptyObject> exposed)
    {
        (string ports, string protocol) = Protocol(spec);
        (int first, int last) = Range(ports, spec);
        for (int port = first; port <= last; port++)
        {
            exposed[string.Create(CultureInfo.InvariantCulture, $"{port}/{protocol}")] = new EmptyObject();
        }
    }

    private static (string Ports, string Protocol) Protocol(string spec)
    {
        int slash = spec.LastIndexOf('/');
        string protocol = slash < 0 ? "tcp" : spec[(slash + 1)..].ToLowerInvariant();
        return protocol is "tcp" or "udp" or "sctp" ? (slash < 0 ? spec : spec[..slash], protocol) : throw new CommandException($"invalid proto: {protocol}");
    }

    private static (int First, int Last) Range(string text, string spec)
    {
        string[] ends = text.Split('-');
        return ends.Length <= 2 && ushort.TryParse(ends[0], NumberStyles.None, CultureInfo.InvariantCulture, out ushort first)
            && ushort.TryParse(ends[^1], NumberStyles.None, CultureInfo.InvariantCulture, out ushort last) && first <= last
            ? (first, last)
            : throw Invalid(spec);
    }

    private static CommandException Invalid(string spec) => new($"invalid containerPort: {spec}");
}
