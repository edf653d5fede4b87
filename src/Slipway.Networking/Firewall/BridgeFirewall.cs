using System.Buffers.Binary;
using System.Net;
using Slipway.Kernel;
using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>The part of an engine's table that is one network's. Used by one thread.</summary>
internal sealed class BridgeFirewall(FirewallTable table, string bridge)
{
    /// <summary>How often a change is tried while others change tables beside us.</summary>
    private const int Attempts = 10;

    /// <summary>Whether its rules are in this table.</summary>
    public bool IsIn(FirewallTable other) => table == other;

    /// <summary>Adds everything of the network to a table that has nothing of it.</summary>
    public void AddTo(NfTablesBatch batch, BridgePolicy policy, IReadOnlyList<(IPAddress Container, IReadOnlyList<PublishedPort> Ports)> endpoints)
    {
        AddChains(batch, policy);
        foreach (IGrouping<string, MapElement> group in BridgeRules.Elements(policy).Concat(endpoints.SelectMany(e => Elements(e.Container, e.Ports))).GroupBy(e => e.Map, e => e.Element))
        {
            batch.AddElements(table.Name, group.Key, [.. group]);
        }
    }

    /// <summary>Makes the network's rules exactly these, in one transaction; its published ports stay.</summary>
    public void Ensure(BridgePolicy policy)
    {
        bool current = table.IsCurrent;
        (string Map, MapElement Element)[] wanted = [.. BridgeRules.Elements(policy)];
        IReadOnlyList<(string Map, MapElement Element)> present = current ? Present(FirewallChains.OfPolicies) : [];
        NfTablesBatch batch = current ? table.Session.Begin() : table.BeginAnew(bridge);
        AddChains(batch, policy);
        foreach (string map in FirewallChains.OfPolicies)
        {
            Difference difference = new(present.Where(e => e.Map == map).Select(e => e.Element), wanted.Where(e => e.Map == map).Select(e => e.Element));
            batch.DeleteElements(table.Name, map, difference.Obsolete).AddElements(table.Name, map, difference.Missing);
        }

        try
        {
            batch.Commit();
        }
        catch (KernelException e) when (!current && e.Errno is Errno.ENOENT or Errno.EOPNOTSUPP)
        {
            const string Needed = "CONFIG_NFT_DUP_IPV4, CONFIG_NFT_DUP_IPV6 and CONFIG_NF_CONNTRACK_ZONES";
            throw new NetworkException(
                NetworkErrorKind.Unavailable, $"{e.Message}: this kernel lacks something of nf_tables; the host's input chain can decide about published ports only with {Needed}, else set \"published-ports\" to \"forward\"", e);
        }
    }

    /// <summary>Redirects host ports to a container.</summary>
    public void PublishPorts(IPAddress container, IReadOnlyList<PublishedPort> ports) => Change(container, ports, add: true);

    /// <summary>Ends the redirection.</summary>
    public void UnpublishPorts(IPAddress container, IReadOnlyList<PublishedPort> ports)
    {
        try
        {
            Change(container, ports, add: false);
        }
        catch (KernelException e) when (e.Errno == Errno.ENOENT)
        {
            // Something was removed by hand, and with it the whole transaction failed: what is left goes by comparison.
            (string Map, MapElement Element)[] unwanted = [.. Elements(container, ports)];
            foreach (string map in FirewallChains.OfPorts)
            {
                HashSet<string> places = [.. unwanted.Where(e => e.Map == map).Select(e => e.Element.Place)];
                MapElement[] left = [.. table.Elements(map).Where(e => places.Contains(e.Place))];
                if (left.Length > 0)
                {
                    table.Session.Begin().DeleteElements(table.Name, map, left).Commit();
                }
            }
        }
    }

    /// <summary>Makes the network's published ports exactly these, touching only what differs.</summary>
    public void SynchronizePorts(IReadOnlyList<(IPAddress Container, IReadOnlyList<PublishedPort> Ports)> endpoints)
    {
        ILookup<string, MapElement> wanted = endpoints.SelectMany(e => Elements(e.Container, e.Ports)).ToLookup(e => e.Map, e => e.Element);
        Retry(() => SynchronizeOnce(wanted));
    }

    /// <summary>Removes what is the network's, and the table with the last one. False if another network needs the host's settings as they are.</summary>
    public bool Remove()
    {
        bool last = true;
        Retry(() => last = RemoveOnce());
        return last && !table.HasOthers;
    }

    private void AddChains(NfTablesBatch batch, BridgePolicy policy)
    {
        string chain = BridgeRules.SourceChain(bridge);
        batch.AddChain(table.Name, chain).FlushChain(table.Name, chain);
        foreach (Rule rule in BridgeRules.SourceRules(policy))
        {
            batch.AddRule(table.Name, chain, rule);
        }

        if (policy.Extensions.Count > 0)
        {
            FirewallChains.AddExtended(batch, table.Name);
        }
    }

    private static void Retry(Action change)
    {
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                change();
                return;
            }
            catch (KernelException e) when (e.Errno == Errno.ERESTART && attempt < Attempts)
            {
                // Somebody changed some table between our look and our change.
                continue;
            }
        }
    }

    /// <returns>Whether the table has no network any more.</returns>
    private bool RemoveOnce()
    {
        uint generation = table.Session.Generation();
        if (!table.Session.Tables().Any(existing => existing.Name == table.Name))
        {
            return true;
        }

        IReadOnlyList<MapElement> bridges = table.Elements(FirewallChains.Bridges);
        if (bridges.All(element => element.Comment == bridge))
        {
            table.Session.Begin(generation).DeleteTable(table.Name).Commit();
            return true;
        }

        if (bridges.All(element => element.Comment != bridge))
        {
            return false;
        }

        IReadOnlyList<(string Map, MapElement Element)> present = Present([.. FirewallChains.OfPolicies, .. FirewallChains.OfPorts]);
        NfTablesBatch batch = table.Session.Begin(generation);
        foreach (IGrouping<string, MapElement> group in present.GroupBy(e => e.Map, e => e.Element))
        {
            batch.DeleteElements(table.Name, group.Key, [.. group]);
        }

        batch.DeleteChain(table.Name, BridgeRules.SourceChain(bridge)).Commit();
        return false;
    }

    private IReadOnlyList<(string Map, MapElement Element)> Present(IEnumerable<string> maps) => table.ElementsOf(bridge, maps);

    private void SynchronizeOnce(ILookup<string, MapElement> wanted)
    {
        uint generation = table.Session.Generation();
        (string Map, IReadOnlyList<MapElement> Elements)[] present = [.. FirewallChains.OfPorts.Select(map => (map, table.Elements(map)))];
        NfTablesBatch batch = table.Session.Begin(generation);
        bool changed = false;
        foreach ((string map, IReadOnlyList<MapElement> elements) in present)
        {
            // A place that another network of ours had, and did not give back when its engine ended, is not its any more: the host's port is bound for us.
            HashSet<string> places = [.. wanted[map].Select(element => element.Place)];
            Difference difference = new(elements.Where(element => element.Comment == bridge || places.Contains(element.Place)), wanted[map]);
            batch.DeleteElements(table.Name, map, difference.Obsolete).AddElements(table.Name, map, difference.Missing);
            changed |= !difference.IsEmpty;
        }

        if (changed)
        {
            batch.Commit();
        }
    }

    /// <summary>The elements of this family's ports: a packet cannot be redirected to another family.</summary>
    private IEnumerable<(string Map, MapElement Element)> Elements(IPAddress container, IReadOnlyList<PublishedPort> ports)
    {
        foreach (PublishedPort port in ports.Where(port => port.HostAddress.AddressFamily == table.Addresses))
        {
            MapElement Owned(byte[] key, byte[] value) => new(key, value) { Comment = bridge };
            if (port.HostPort == 0)
            {
                yield return (FirewallChains.Opened, Owned([.. container.GetAddressBytes(), (byte)port.Protocol, 0, 0, 0, .. PortWord(port.ContainerPort)], []));
                continue;
            }

            byte[] target = [.. container.GetAddressBytes(), .. PortWord(port.ContainerPort)];
            byte[] key = [(byte)port.Protocol, 0, 0, 0, .. PortWord(port.HostPort)];
            yield return port.HostAddress.Equals(IPAddress.Any) || port.HostAddress.Equals(IPAddress.IPv6Any)
                ? (FirewallChains.ByPort, Owned(key, target))
                : (FirewallChains.ByAddress, Owned([.. port.HostAddress.GetAddressBytes(), .. key], target));
        }
    }

    /// <summary>Network byte order at the start of a word of four bytes, as it lies in a register.</summary>
    private static byte[] PortWord(ushort port)
    {
        byte[] word = new byte[4];
        BinaryPrimitives.WriteUInt16BigEndian(word, port);
        return word;
    }

    private void Change(IPAddress container, IReadOnlyList<PublishedPort> ports, bool add)
    {
        ILookup<string, MapElement> elements = Elements(container, ports).ToLookup(e => e.Map, e => e.Element);
        if (elements.Count == 0)
        {
            return;
        }

        NfTablesBatch batch = table.Session.Begin();
        foreach (IGrouping<string, MapElement> group in elements)
        {
            _ = add ? batch.AddElements(table.Name, group.Key, [.. group]) : batch.DeleteElements(table.Name, group.Key, [.. group]);
        }

        batch.Commit();
    }

    /// <summary>What has to go and to come so that what is present becomes what is wanted.</summary>
    private sealed class Difference(IEnumerable<MapElement> present, IEnumerable<MapElement> wanted)
    {
        public IReadOnlyList<MapElement> Obsolete { get; } = [.. present.ExceptBy(wanted.Select(e => e.Identity), e => e.Identity)];

        public IReadOnlyList<MapElement> Missing { get; } = [.. wanted.ExceptBy(present.Select(e => e.Identity), e => e.Identity)];

        public bool IsEmpty => Obsolete.Count + Missing.Count == 0;
    }
}
