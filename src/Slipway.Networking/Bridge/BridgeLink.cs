using System.Net;
using System.Net.Sockets;
using System.Text;
using Slipway.Kernel;
using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>
/// The bridge itself, and the names of what hangs on it. A bridge we made carries the alias <see cref="OwnAlias"/>; one that an
/// administrator made is used but never removed. Used by one thread.
/// </summary>
internal sealed class BridgeLink(RouteSession session, string name, NetworkNamespace home)
{
    public const string OwnAlias = "slipway";
    public const string RetiredAlias = "slipway removed";
    private const int DefaultMtu = 1500;

    /// <summary>Bytes (RFC 8200 section 5); an interface with less has no IPv6 at all, and refuses settings of it.</summary>
    public const int MinIpv6Mtu = 1280;
    public const int LinkLocalPrefixLength = 64;

    /// <summary>Of the bridge, after <see cref="Ensure"/>.</summary>
    public int Index { get; private set; }

    /// <summary>Bytes.</summary>
    public int Mtu { get; private set; }

    public bool Adopted { get; private set; }

    /// <summary>The ports of the network, which may be on several bridges.</summary>
    public BridgePorts Ports { get; } = new(session, name, home);

    /// <summary>We made it, now or earlier.</summary>
    public bool IsOwn { get; private set; }

    /// <summary>Refuses a name that is no interface name (dev_valid_name, net/core/dev.c).</summary>
    /// <exception cref="NetworkException">The name cannot be used.</exception>
    public static void CheckName(string name)
    {
        if (name is "" or "." or ".." or "all" or "default" || Encoding.UTF8.GetByteCount(name) > 15 || name.Any(c => c is '/' or ':' or '"' || char.IsWhiteSpace(c) || char.IsControl(c)))
        {
            throw new NetworkException(NetworkErrorKind.InvalidParameter, $"invalid bridge name {name}: at most 15 bytes, without spaces, slashes, colons and quotes");
        }
    }

    /// <summary>The alias by which the host's end of an endpoint is found again.</summary>
    public string AliasOf(string endpointId) => $"slipway:{name}:{endpointId}";

    /// <summary>Creates or adopts the bridge, and takes it up. Addresses are <see cref="Assign"/>ed.</summary>
    public void Ensure(int mtu)
    {
        Link? existing = session.FindLink(name);
        if (existing is { Kind: "bridge", Alias: RetiredAlias })
        {
            Remove(session, [existing.Index]);
            existing = null;
        }

        if (existing is not null && existing.Kind != "bridge")
        {
            throw new NetworkException(NetworkErrorKind.InvalidParameter, $"existing interface {name} is not a bridge");
        }

        Adopted = existing is not null;
        IsOwn = existing is null || existing.Alias == OwnAlias;
        if (existing is null)
        {
            Create(mtu == 0 ? DefaultMtu : mtu);
        }
        else
        {
            Use(existing, mtu);
        }

        Ports.Open(Index, Mtu, Adopted);
    }

    /// <summary>Gives the bridge its address of a family; others that it had of us before it loses (<c>--bip</c> changed).</summary>
    /// <param name="address">Null: the one it has, or one of the pools.</param>
    /// <returns>The bridge's address and its prefix length in bits.</returns>
    public (IPAddress Address, int PrefixLength) Assign(AddressFamily family, (IPAddress Address, int PrefixLength)? address, IReadOnlyList<AddressPoolSource> pools)
    {
        IReadOnlyList<InterfaceAddress> present = Adopted ? Present(family) : [];
        (IPAddress Address, int PrefixLength) wanted = address ?? (present is [InterfaceAddress first, ..] ? (first.Address, first.PrefixLength) : ChooseAddress(pools, family));
        if (family == AddressFamily.InterNetworkV6)
        {
            EnableIpv6();
        }

        if (!present.Any(a => a.Address.Equals(wanted.Address) && a.PrefixLength == wanted.PrefixLength))
        {
            session.Begin().AddAddress(new InterfaceAddress(Index, wanted.Address, wanted.PrefixLength)).Execute();
        }

        Remove(present.Where(a => !a.Address.Equals(wanted.Address)));
        return wanted;
    }

    /// <summary>Takes back all addresses of a family that the bridge had of us before.</summary>
    /// <returns>False where there were none.</returns>
    public bool Unassign(AddressFamily family)
    {
        IReadOnlyList<InterfaceAddress> present = Adopted && IsOwn ? Present(family) : [];
        Remove(present);
        return present.Count > 0;
    }

    /// <summary>The ends of endpoints: on the bridge, or taken off it and about to be removed.</summary>
    public IEnumerable<(string EndpointId, Link Link)> Endpoints()
    {
        string prefix = AliasOf("");
        return session.Links()
            .Where(link => link.Kind == "veth" && link.Alias?.StartsWith(prefix, StringComparison.Ordinal) == true)
            .Select(link => (link.Alias![prefix.Length..], link));
    }

    /// <summary>Indexes of links that were made for endpoints and never became any; none on a bridge that others may use too.</summary>
    public IEnumerable<int> PooledLinks() => session.FindLink(name) is not { Alias: OwnAlias } ? []
        : session.Links().Where(link => link is { Kind: "veth", Alias: null or "" } && Ports.Contains(link.Master)).Select(link => link.Index);

    /// <summary>Removes links; it does not matter if one went away by itself, with its namespace.</summary>
    public static void Remove(RouteSession session, IEnumerable<string> links)
    {
        foreach (string link in links)
        {
            try
            {
                session.Begin().DeleteLink(link).Execute();
            }
            catch (KernelException e) when (e.Errno == Errno.ENODEV)
            {
                continue;
            }
        }
    }

    /// <summary>Removes links; it does not matter if one went away by itself.</summary>
    public static void Remove(RouteSession session, IEnumerable<int> links)
    {
        foreach (int link in links)
        {
            try
            {
                session.Begin().DeleteLink(link).Execute();
            }
            catch (KernelException e) when (e.Errno == Errno.ENODEV)
            {
                continue;
            }
        }
    }

    /// <summary>What was <see cref="Retire"/>d, and whose removal did not come to its end.</summary>
    public static IReadOnlyList<int> Retired(RouteSession session) =>
        [.. session.Links().Where(link => link is { Kind: "bridge" or "veth", Alias: RetiredAlias }).Select(link => link.Index)];

    /// <summary>
    /// Takes a bridge of ours out of use: without addresses and routes, and marked so that it is removed, if not by us then by the next engine. The removal itself
    /// waits for grace periods of the kernel (about 45 ms).
    /// </summary>
    /// <returns>The link to remove; null where there is none of ours.</returns>
    public int? Retire()
    {
        if (session.FindLink(name) is not { Alias: OwnAlias } link)
        {
            return null;
        }

        InterfaceAddress[] addresses = [.. session.Addresses().Where(a => a.LinkIndex == link.Index && !a.Address.IsIPv6LinkLocal)];
        RouteBatch batch = session.Begin().SetLink(link.Index, new LinkChange { Alias = RetiredAlias });
        foreach (InterfaceAddress address in addresses)
        {
            batch.DeleteAddress(address);
        }

        batch.Execute();
        return link.Index;
    }

    private void Create(int mtu)
    {
        // A fixed hardware address: otherwise the bridge takes the lowest of its ports', and with each container that comes and goes the others'
        // ARP caches are wrong. No IPv6 link-local address: it would be a way to the host that no rule of ours watches.
        session.Begin()
            .AddBridge(name, MacAddress.Random(), mtu)
            .SetLink(name, new LinkChange { Alias = OwnAlias, LinkLocalAddress = mtu < MinIpv6Mtu ? null : false })
            .SetLink(name, new LinkChange { Up = true })
            .Execute();
        Link created = session.FindLink(name) ?? throw new KernelException($"get link {name}", Errno.ENODEV);
        (Index, Mtu) = (created.Index, created.Mtu);
    }

    private void Use(Link existing, int mtu)
    {
        if (!existing.IsUp || (mtu != 0 && mtu != existing.Mtu))
        {
            session.Begin().SetLink(existing.Index, new LinkChange { Up = true, Mtu = mtu == 0 ? null : mtu }).Execute();
        }

        (Index, Mtu) = (existing.Index, mtu == 0 ? existing.Mtu : mtu);
    }

    /// <summary>Addresses of the bridge, without those that IPv6 makes of its hardware address.</summary>
    private IReadOnlyList<InterfaceAddress> Present(AddressFamily family) =>
        [.. session.Addresses().Where(a => a.LinkIndex == Index && a.Address.AddressFamily == family && !a.Address.IsIPv6LinkLocal)];

    /// <summary>What an administrator gave stays.</summary>
    private void Remove(IEnumerable<InterfaceAddress> addresses)
    {
        foreach (InterfaceAddress old in IsOwn ? addresses : [])
        {
            session.Begin().DeleteAddress(old).Execute();
        }
    }

    /// <summary>
    /// With the link-local address that <see cref="Create"/> keeps the kernel from making, which would wait a second for others that have it: without one no
    /// neighbour is looked for on behalf of packets that pass through (ndisc_send_ns).
    /// </summary>
    private void EnableIpv6()
    {
        HostSettings.EnableIpv6(name);
        if (IsOwn && session.FindLink(name)?.Address is { } hardware && hardware.ToLinkLocal() is var linkLocal
            && !session.Addresses().Any(a => a.LinkIndex == Index && a.Address.Equals(linkLocal)))
        {
            session.Begin().AddAddress(new InterfaceAddress(Index, linkLocal, LinkLocalPrefixLength)).Execute();
        }
    }

    private (IPAddress Address, int PrefixLength) ChooseAddress(IReadOnlyList<AddressPoolSource> pools, AddressFamily family)
    {
        IPNetwork subnet = DefaultSubnets.Choose(pools, DefaultSubnets.Occupied(session), family);
        return (DefaultSubnets.FirstAddress(subnet), subnet.PrefixLength);
    }
}
