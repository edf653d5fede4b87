using System.Net;
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
    /// <param name="gateway">What <c>host-gateway</c> stands for; null without a network.</param>
    /// <param name="links">Containers whose names it is to know.</param>
    public static void Write(string directory, ContainerSnapshot container, StoredEndpoint? endpoint, IPAddress? gateway, IReadOnlyList<ResolvedLink> links)
    {
        ContainerConfig config = container.Config;
        HostConfig host = container.HostConfig;
        IReadOnlyList<(string Name, string Address)> extra = [.. (host.ExtraHosts ?? []).Select(entry => Resolve(entry, gateway))];
        bool hostNetwork = host.NetworkMode == NamespaceModes.Host;
        string hosts = hostNetwork
            ? Read(HostHosts) + string.Concat(extra.Select(entry => $"{entry.Address}\t{entry.Name}\n"))
            : ContainerFiles.Hosts(config.Hostname, config.Domainname, endpoint is null ? null : IPAddress.Parse(endpoint.Address), extra)
                + string.Concat(links.Select(link => $"{link.Address}\t{link.HostNames}\n"));
        DnsOptions dns = new() { Servers = host.Dns ?? [], Search = host.DnsSearch ?? [], Options = host.DnsOptions ?? [] };
        bool asHost = hostNetwork && dns is { Servers.Count: 0, Search.Count: 0, Options.Count: 0 };
        string resolvConf = asHost
            ? Read(HostResolvConf)
            : ContainerFiles.ResolvConf(ContainerFiles.HostResolvConf(Read(HostResolvConf), File.Exists(ResolvedConf) ? Read(ResolvedConf) : null), dns);
        using SafeFileHandle parent = new HostPath(directory).Open(OpenFlags.Path | OpenFlags.Directory);
        Write(parent, Hostname, ContainerFiles.Hostname(config.Hostname));
        Write(parent, Hosts, hosts);
        Write(parent, ResolvConf, resolvConf);
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

    private static (string Name, string Address) Resolve(string entry, IPAddress? gateway)
    {
        ExtraHost extra = ExtraHost.Parse(entry);
        return (extra.Name, extra.Address != ExtraHost.Gateway ? extra.Address
            : gateway?.ToString() ?? throw ContainerErrors.Invalid($"unable to derive the IP value for {ExtraHost.Gateway}"));
    }

    private static string Read(string path) => File.Exists(path) ? File.ReadAllText(path) : "";
}
