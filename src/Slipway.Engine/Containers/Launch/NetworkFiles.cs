using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Api.Containers;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.Links;
using Slipway.Engine.Containers.State;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Networking;

namespace Slipway.Engine.Containers.Launch;

/// <summary>The files of a container's network identity, bound over those of the same names in /etc.</summary>
internal static class NetworkFiles
{
    public const string ResolvConf = "resolv.conf";
    public const string Hosts = "hosts";
    public const string Hostname = "hostname";

    private const uint Mode = 0x1a4; // 0644

    private const string HostResolvConf = "/etc/resolv.conf";
    private const string HostHosts = "/etc/hosts";
    private const string ResolvedConf = "/run/systemd/resolve/resolv.conf";

    /// <summary>Writes the three files anew, as Docker does on every start.</summary>
    /// <param name="gateways">What <c>host-gateway</c> stands for; empty without a network.</param>
    /// <param name="links">Containers whose names it is to know.</param>
    /// <param name="networks">On which the container is.</param>
    public static void Write(string directory, ContainerSnapshot container, AttachedNetworks networks, IReadOnlyList<IPAddress> gateways, IReadOnlyList<ResolvedLink> links)
    {
        bool hostNetwork = container.HostConfig.NetworkMode == NamespaceModes.Host;
        IReadOnlyList<(string Name, string Address)> extra = [.. (container.HostConfig.ExtraHosts ?? []).SelectMany(entry => Resolve(entry, gateways))];
        string hosts = hostNetwork
            ? Read(HostHosts) + string.Concat(extra.Select(entry => $"{entry.Address}\t{entry.Name}\n"))
            : ContainerFiles.Hosts(container.Config.Hostname, container.Config.Domainname, networks.All.SelectMany(entry => entry.Value.Addresses), extra)
                + string.Concat(links.Select(link => $"{link.Address}\t{link.HostNames}\n"));
        hosts += string.Concat(NamesOfHost(container, networks, gateways).Select(line => line + '\n'));
        using SafeFileHandle parent = new HostPath(directory).Open(OpenFlags.Path | OpenFlags.Directory);
        Write(parent, Hostname, ContainerFiles.Hostname(container.Config.Hostname));
        Write(parent, Hosts, hosts);
        Write(parent, ResolvConf, ResolverFile(container, networks));
    }

    /// <summary>
    /// The networks of a running container have changed: in place, as the files are bound into it. It may have written them itself; its own lines stay, and a
    /// resolv.conf that is not as it was written here stays as it is.
    /// </summary>
    public static void Update(string directory, ContainerSnapshot before, ContainerSnapshot after, IReadOnlyList<IPAddress> gateways)
    {
        (AttachedNetworks old, AttachedNetworks now) = (before.State.Attached, after.State.Attached);
        using SafeFileHandle parent = new HostPath(directory).Open(OpenFlags.Path | OpenFlags.Directory);
        if (ReadLimited(parent, Hosts) is { } hosts)
        {
            string[] had = [.. Lines(before, old.All.ExceptBy(now.Names, entry => entry.Key)), .. NamesOfHost(before, old, gateways)];
            IEnumerable<string> kept = hosts.Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(line => !had.Contains(line));
            IEnumerable<string> added = [.. Lines(after, now.All.ExceptBy(old.Names, entry => entry.Key)), .. NamesOfHost(after, now, gateways)];
            Write(parent, Hosts, string.Concat(kept.Concat(added).Select(line => line + '\n')));
        }

        string former = ResolverFile(before, old);
        string wanted = ResolverFile(after, now);
        if (former != wanted && ReadLimited(parent, ResolvConf) == former)
        {
            Write(parent, ResolvConf, wanted);
        }

        static IEnumerable<string> Lines(ContainerSnapshot container, IEnumerable<KeyValuePair<string, StoredEndpoint>> endpoints) => endpoints.SelectMany(entry => entry.Value.Addresses).Select(address =>
            $"{address}\t{(container.Config.Domainname.Length > 0 ? $"{container.Config.Hostname}.{container.Config.Domainname} " : "")}{container.Config.Hostname}");
    }

    /// <summary>
    /// <c>host.docker.internal</c> and <c>gateway.docker.internal</c>, where there is no embedded name server that knows them: on the default bridge and the host's
    /// network. What the container was told of those names counts instead.
    /// </summary>
    private static IEnumerable<string> NamesOfHost(ContainerSnapshot container, AttachedNetworks networks, IReadOnlyList<IPAddress> gateways)
    {
        bool hostNetwork = container.HostConfig.NetworkMode == NamespaceModes.Host;
        if (networks.Networks.Count > 0 || (networks.Endpoint is null && !hostNetwork))
        {
            return [];
        }

        bool ipv6 = hostNetwork || networks.Endpoint?.Ipv6Address is not null;
        IEnumerable<string> host = gateways.Where(address => ipv6 || address.AddressFamily == AddressFamily.InterNetwork).Select(address => $"{address}\thost.docker.internal");
        IEnumerable<string> gateway = (networks.Endpoint?.Gateways ?? gateways).Select(address => $"{address}\tgateway.docker.internal");
        HashSet<string> told = new((container.HostConfig.ExtraHosts ?? []).Select(entry => ExtraHost.Parse(entry).Name), StringComparer.OrdinalIgnoreCase);
        return host.Concat(gateway).Where(line => !told.Contains(line.Split('\t')[1]));
    }

    private static string ResolverFile(ContainerSnapshot container, AttachedNetworks networks)
    {
        HostConfig host = container.HostConfig;
        DnsOptions dns = new() { Servers = host.Dns ?? [], Search = host.DnsSearch ?? [], Options = host.DnsOptions ?? [] };
        bool asHost = host.NetworkMode == NamespaceModes.Host && dns is { Servers.Count: 0, Search.Count: 0, Options.Count: 0 };
        return asHost ? Read(HostResolvConf)
            : networks.Networks.Count > 0 ? ContainerFiles.ResolvConf(Read(HostResolvConf), dns, SandboxResolver.Address)
            : ContainerFiles.ResolvConf(ContainerFiles.HostResolvConf(Read(HostResolvConf), File.Exists(ResolvedConf) ? Read(ResolvedConf) : null), dns, ipv6: networks.Endpoint?.Ipv6Address is not null);
    }

    /// <summary>
    /// A file made anew is not truncated: closing a truncated one makes ext4 write it to the disk at once (ext4(5), auto_da_alloc).
    /// </summary>
    private static void Write(SafeFileHandle directory, string name, string content)
    {
        if (DirectoryEntry.TryOpen(directory, name, OpenFlags.WriteOnly | OpenFlags.Create | OpenFlags.Exclusive, out SafeFileHandle? file, Mode) is var errno and not 0)
        {
            file = errno == Errno.EEXIST
                ? DirectoryEntry.Open(directory, name, OpenFlags.WriteOnly | OpenFlags.Truncate)
                : throw new KernelException($"create {name}", errno);
        }

        using (file)
        {
            Descriptors.Write(file!, Encoding.UTF8.GetBytes(content));
        }
    }

    private static IEnumerable<(string Name, string Address)> Resolve(string entry, IReadOnlyList<IPAddress> gateways)
    {
        ExtraHost extra = ExtraHost.Parse(entry);
        return extra.Address != ExtraHost.Gateway ? [(extra.Name, extra.Address)]
            : gateways.Count > 0 ? gateways.Select(gateway => (extra.Name, gateway.ToString()))
            : throw ContainerErrors.Invalid($"unable to derive the IP value for {ExtraHost.Gateway}");
    }

    /// <summary>A file the container may have written anything into; null for one that is larger than any of its kind.</summary>
    private static string? ReadLimited(SafeFileHandle directory, string name)
    {
        const int Limit = 1 << 20;
        using SafeFileHandle file = DirectoryEntry.Open(directory, name, OpenFlags.ReadOnly);
        long length = RandomAccess.GetLength(file);
        if (length > Limit)
        {
            return null;
        }

        byte[] content = new byte[length];
        return Encoding.UTF8.GetString(content, 0, RandomAccess.Read(file, content, 0));
    }

    private static string Read(string path) => File.Exists(path) ? File.ReadAllText(path) : "";
}
