using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Slipway.Networking;

/// <summary>The DNS options of a container and the daemon (<c>--dns</c>, <c>--dns-search</c>, <c>--dns-option</c>). Empty: as the host has it.</summary>
public sealed record DnsOptions
{
    public IReadOnlyList<string> Servers { get; init; } = [];

    /// <summary>A single <c>.</c> means none.</summary>
    public IReadOnlyList<string> Search { get; init; } = [];

    public IReadOnlyList<string> Options { get; init; } = [];
}

/// <summary>
/// The contents of the three files the engine gives a container with a network of its own: /etc/resolv.conf, /etc/hosts and
/// /etc/hostname. Pure functions.
/// </summary>
public static class ContainerFiles
{
    /// <summary>Used when the host's own name servers cannot be reached from a container, as Docker does.</summary>
    private static readonly string[] PublicServers = ["8.8.8.8", "8.8.4.4"];

    /// <summary>
    /// /etc/resolv.conf of a container on the default bridge: the host's, with what <paramref name="dns"/> says instead, and without servers
    /// at loopback addresses of the host, which are not the container's.
    /// </summary>
    /// <param name="hostFile">The host's /etc/resolv.conf; empty where it has none.</param>
    /// <exception cref="NetworkException">A setting is no single word.</exception>
    /// <param name="ipv6">Whether the container has IPv6: if not, IPv6 servers are of no use to it.</param>
    public static string ResolvConf(string hostFile, DnsOptions dns, bool ipv6 = false)
    {
        foreach (string value in (string[])[.. dns.Servers, .. dns.Search, .. dns.Options])
        {
            CheckWord(value, "DNS setting");
        }

        ResolvConf host = Networking.ResolvConf.Parse(hostFile);
        IReadOnlyList<string> servers = dns.Servers.Count > 0 ? dns.Servers : [.. host.Servers.Where(server => IsReachable(server, ipv6))];
        return new ResolvConf
        {
            Servers = servers.Count > 0 ? servers : PublicServers,
            Search = dns.Search.Count == 0 ? host.Search : dns.Search is ["."] ? [] : dns.Search,
            Options = dns.Options.Count > 0 ? dns.Options : host.Options,
            Others = host.Others,
        }.ToString();
    }

    /// <summary>
    /// /etc/resolv.conf of a container on a network of one's own: the embedded name server, which asks the others. Names without a dot
    /// are complete there, hence ndots:0.
    /// </summary>
    /// <exception cref="NetworkException">A setting is no single word.</exception>
    public static string ResolvConf(string hostFile, DnsOptions dns, IPAddress embedded)
    {
        foreach (string value in (string[])[.. dns.Servers, .. dns.Search, .. dns.Options])
        {
            CheckWord(value, "DNS setting");
        }

        ResolvConf host = Networking.ResolvConf.Parse(hostFile);
        IReadOnlyList<string> options = dns.Options.Count > 0 ? dns.Options : host.Options;
        return new ResolvConf
        {
            Servers = [embedded.ToString()],
            Search = dns.Search.Count == 0 ? host.Search : dns.Search is ["."] ? [] : dns.Search,
            Options = options.Any(option => option.StartsWith("ndots:", StringComparison.Ordinal)) ? options : [.. options, "ndots:0"],
            Others = host.Others,
        }.ToString();
    }

    /// <summary>The name servers of a host, as it uses them itself.</summary>
    public static IReadOnlyList<IPAddress> HostServers(string hostFile) =>
    [
        .. from server in Networking.ResolvConf.Parse(hostFile).Servers
           let address = IPAddress.TryParse(server, out IPAddress? parsed) ? parsed : null
           where address is not null
           select address,
    ];

    /// <summary>
    /// The host's /etc/resolv.conf to use: where systemd-resolved answers at 127.0.0.53, a container needs the servers behind it, which are in
    /// another file (systemd-resolved(8)).
    /// </summary>
    /// <param name="hostFile">/etc/resolv.conf.</param>
    /// <param name="resolvedFile">/run/systemd/resolve/resolv.conf, or null where there is none.</param>
    public static string HostResolvConf(string hostFile, string? resolvedFile) =>
        resolvedFile is not null && Networking.ResolvConf.Parse(hostFile).Servers is ["127.0.0.53"] ? resolvedFile : hostFile;

    /// <summary>/etc/hosts.</summary>
    /// <exception cref="NetworkException">A name or address is no single word.</exception>
    /// <param name="addresses">The container's; where it has none (network none) the file names only the loopback device.</param>
    /// <param name="extraHosts">Name and address of each <c>--add-host</c>, in order; the caller has replaced <c>host-gateway</c>.</param>
    public static string Hosts(string hostName, string? domainName, IEnumerable<IPAddress> addresses, IEnumerable<(string Name, string Address)> extraHosts)
    {
        StringBuilder file = new();
        file.Append("127.0.0.1\tlocalhost\n")
            .Append("::1\tlocalhost ip6-localhost ip6-loopback\n")
            .Append("fe00::\tip6-localnet\n")
            .Append("ff00::\tip6-mcastprefix\n")
            .Append("ff02::1\tip6-allnodes\n")
            .Append("ff02::2\tip6-allrouters\n");
        foreach ((string name, string target) in extraHosts)
        {
            CheckWord(name, "extra host");
            CheckWord(target, "extra host");
            file.Append(target).Append('\t').Append(name).Append('\n');
        }

        foreach (IPAddress address in addresses)
        {
            CheckWord(hostName, "hostname");
            file.Append(address).Append('\t');
            if (!string.IsNullOrEmpty(domainName))
            {
                CheckWord(domainName, "domain name");
                file.Append(hostName).Append('.').Append(domainName).Append(' ');
            }

            file.Append(hostName).Append('\n');
        }

        return file.ToString();
    }

    /// <summary>/etc/hostname.</summary>
    public static string Hostname(string hostName) => hostName + "\n";

    /// <summary>These files have a line, and words, for everything: what breaks out of its word would be a line of somebody's own.</summary>
    private static void CheckWord(string value, string what)
    {
        if (value.Length == 0 || value.Any(c => char.IsWhiteSpace(c) || char.IsControl(c)))
        {
            throw new NetworkException(NetworkErrorKind.InvalidParameter, $"invalid {what} \"{value}\"");
        }
    }

    private static bool IsReachable(string server, bool ipv6) =>
        IPAddress.TryParse(server.Split('%')[0], out IPAddress? address)
        && !IPAddress.IsLoopback(address)
        && (address.AddressFamily == AddressFamily.InterNetwork || ipv6);
}
