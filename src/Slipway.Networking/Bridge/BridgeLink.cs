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
internal sealed class BridgeLink(RouteSession session, string name)
{
    private const string OwnAlias = "slipway";
    private const int DefaultMtu = 1500;

    /// <summary>Of the bridge, after <see cref="Ensure"/>.</summary>
    public int Index { get; private set; }

    /// <summary>Bytes.</summary>
    public int Mtu { get; private set; }

    public bool Adopted { get; private set; }

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

    /// <summary>Creates or adopts the bridge, gives it its address and takes it up.</summary>
    /// <param name="address">Null: the one it has, or one of the pools.</param>
    /// <returns>The bridge's address and its prefix length in bits.</returns>
    public (IPAddress Address, int PrefixLength) Ensure((IPAddress Address, int PrefixLength)? address, IReadOnlyList<AddressPoolSource> pools, int mtu)
    {
        Link? existing = session.FindLink(name);
        if (existing is not null && existing.Kind != "bridge")
        {
            throw new NetworkException(NetworkErrorKind.InvalidParameter, $"existing interface {name} is not a bridge");
        }

        InterfaceAddress[] present = existing is null ? []
            : [.. session.Addresses().Where(a => a.LinkIndex == existing.Index && a.Address.AddressFamily == AddressFamily.InterNetwork)];
        (IPAddress Address, int PrefixLength) wanted = address ?? (present is [InterfaceAddress first, ..] ? (first.Address, first.PrefixLength) : ChooseAddress(pools));
        Adopted = existing is not null;
        if (existing is null)
        {
            Create(mtu == 0 ? DefaultMtu : mtu);
        }
        else
        {
            Use(existing, mtu);
        }

        try
        {
            if (!present.Any(a => a.Address.Equals(wanted.Address) && a.PrefixLength == wanted.PrefixLength))
            {
                session.Begin().AddAddress(new InterfaceAddress(Index, wanted.Address, wanted.PrefixLength)).Execute();
            }

            // Ours had another subnet before (--bip changed). What an administrator gave stays.
            foreach (InterfaceAddress old in present.Where(a => !a.Address.Equals(wanted.Address) && existing!.Alias == OwnAlias))
            {
                session.Begin().DeleteAddress(old).Execute();
            }
        }
        catch (KernelException) when (!Adopted)
        {
            session.Begin().DeleteLink(Index).Execute();
            throw;
        }

        return wanted;
    }

    /// <summary>The ends of endpoints: on the bridge, or taken off it and about to be removed.</summary>
    public IEnumerable<(string EndpointId, Link Link)> Endpoints()
    {
        string prefix = AliasOf("");
        return session.Links()
            .Where(link => link.Kind == "veth" && link.Alias?.StartsWith(prefix, StringComparison.Ordinal) == true)
            .Select(link => (link.Alias![prefix.Length..], link));
    }

    /// <summary>Names of links that were made for endpoints and never became any; none on a bridge that others may use too.</summary>
    public IEnumerable<string> PooledLinks() => session.FindLink(name) is not { Alias: OwnAlias } own ? []
        : session.Links(own.Index).Where(link => link is { Kind: "veth", Alias: null or "" }).Select(link => link.Name);

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

    /// <summary>Removes the bridge if it is ours.</summary>
    public void RemoveOwn()
    {
        if (session.FindLink(name) is { Alias: OwnAlias } own)
        {
            session.Begin().DeleteLink(own.Index).Execute();
        }
    }

    private void Create(int mtu)
    {
        // A fixed hardware address: otherwise the bridge takes the lowest of its ports', and with each container that comes and goes the others'
        // ARP caches are wrong. No IPv6 link-local address: it would be a way to the host that no rule of ours watches.
        session.Begin()
            .AddBridge(name, MacAddress.Random(), mtu)
            .SetLink(name, new LinkChange { Alias = OwnAlias, LinkLocalAddress = false })
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

    private (IPAddress Address, int PrefixLength) ChooseAddress(IReadOnlyList<AddressPoolSource> pools)
    {
        IPNetwork subnet = DefaultSubnets.Choose(pools, DefaultSubnets.Occupied(session));
        return (DefaultSubnets.FirstAddress(subnet), subnet.PrefixLength);
    }
}
