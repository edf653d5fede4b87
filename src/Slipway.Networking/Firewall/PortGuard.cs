using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>Keeps the containers of one network from sending as each other, where that is asked for. Used by one thread.</summary>
/// <param name="table">Of the bridge family.</param>
internal sealed class PortGuard(FirewallTable table, string bridge, bool wanted)
{
    private readonly HashSet<string> _guarded = [];

    /// <summary>Whether ports of the network are in this table.</summary>
    public bool IsIn(FirewallTable other) => other == table && _guarded.Count > 0;

    /// <summary>Adds the ports of these endpoints to a table that has none of them.</summary>
    public void AddTo(NfTablesBatch batch, IReadOnlyCollection<EndpointInfo> endpoints) =>
        AddTo(batch, endpoints.Where(endpoint => _guarded.Contains(endpoint.HostLink)).SelectMany(endpoint => Elements(endpoint.HostLink, endpoint)));

    /// <summary>Guards the port of an endpoint; to be called before the container can use it.</summary>
    /// <param name="link">Name of the port.</param>
    public void Add(string link, EndpointInfo endpoint)
    {
        if (wanted)
        {
            Change([.. Elements(link, endpoint)], []);
            _guarded.Add(link);
        }
    }

    /// <summary>Forgets the port of an endpoint.</summary>
    public void Remove(string link)
    {
        if (wanted)
        {
            _guarded.Remove(link);
            byte[] port = Rule.InterfaceBytes(link);
            Change([], [.. Present().Where(e => e.Element.Key.AsSpan().StartsWith(port))]);
        }
    }

    /// <summary>Guards exactly the ports of these endpoints, or none where that is not asked for any more.</summary>
    public void Synchronize(IReadOnlyCollection<EndpointInfo> endpoints)
    {
        if (!wanted && !table.IsCurrent)
        {
            return; // also where the kernel has no tables of the bridge family
        }

        _guarded.Clear();
        if (wanted)
        {
            _guarded.UnionWith(endpoints.Select(endpoint => endpoint.HostLink));
        }

        (string Map, MapElement Element)[] all = wanted ? [.. endpoints.SelectMany(endpoint => Elements(endpoint.HostLink, endpoint))] : [];
        IReadOnlyList<(string Map, MapElement Element)> present = Present();
        Change(
            [.. all.ExceptBy(present.Select(Identity), Identity)],
            [.. present.ExceptBy(all.Select(Identity), Identity)]);
    }

    private static string Identity((string Map, MapElement Element) entry) => $"{entry.Map} {entry.Element.Identity}";

    private IReadOnlyList<(string Map, MapElement Element)> Present() => table.ElementsOf(bridge, GuardChains.All);

    private IEnumerable<(string Map, MapElement Element)> Elements(string link, EndpointInfo endpoint)
    {
        byte[] port = Rule.InterfaceBytes(link);
        MapElement Pair(ReadOnlySpan<byte> address) => new([.. port, .. address], []) { Comment = bridge };

        yield return (GuardChains.Guarded, Pair([]));
        if (MacAddress.TryParse(endpoint.MacAddress, out MacAddress mac))
        {
            byte[] hardware = new byte[8]; // six bytes, in words of four
            mac.CopyTo(hardware);
            yield return (GuardChains.Hardware, Pair(hardware));
        }

        if (endpoint.Ipv4 is { } ipv4)
        {
            yield return (GuardChains.Ipv4, Pair(ipv4.Address.GetAddressBytes()));
        }

        if (endpoint.Ipv6 is { } ipv6)
        {
            yield return (GuardChains.Ipv6, Pair(ipv6.Address.GetAddressBytes()));
            yield return (GuardChains.Ipv6, Pair(mac.ToLinkLocal().GetAddressBytes()));
        }
    }

    /// <summary>Adds and removes in one transaction. The table is made for the first port, and goes with the last.</summary>
    private void Change(IReadOnlyList<(string Map, MapElement Element)> added, IReadOnlyList<(string Map, MapElement Element)> removed)
    {
        if (added.Count + removed.Count == 0)
        {
            return;
        }

        if (added.Count == 0 && table.Elements(GuardChains.Guarded).Count <= removed.Count(e => e.Map == GuardChains.Guarded))
        {
            table.Session.Begin().DeleteTable(table.Name).Commit();
            return;
        }

        NfTablesBatch batch = table.IsCurrent ? table.Session.Begin() : table.BeginAnew(bridge);
        foreach (IGrouping<string, MapElement> group in removed.GroupBy(e => e.Map, e => e.Element))
        {
            batch.DeleteElements(table.Name, group.Key, [.. group]);
        }

        AddTo(batch, added);
        batch.Commit();
    }

    private void AddTo(NfTablesBatch batch, IEnumerable<(string Map, MapElement Element)> added)
    {
        foreach (IGrouping<string, MapElement> group in added.GroupBy(e => e.Map, e => e.Element))
        {
            batch.AddElements(table.Name, group.Key, [.. group]);
        }
    }
}
