using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Slipway.Kernel;
using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>
/// The nf_tables table of one bridge: published ports, outbound NAT, and what must not pass. Everybody else's tables are left
/// alone; since a packet passes all tables, ours can forbid but not permit against others. Used by one thread.
/// </summary>
/// <remarks>
/// Published ports are elements of two maps, so that a packet costs one or two hash lookups however many there are, and a publish
/// is one element. The table's comment says which rules it has, and which settings of the host were changed with it: it lives exactly
/// as long as those settings do.
/// </remarks>
internal sealed class BridgeFirewall(NfTablesSession session, BridgeOptions options)
{
    /// <summary>Changes with the rules below: a table of another version is replaced.</summary>
    private const int RulesVersion = 1;

    private const string ByPort = "published";
    private const string ByAddress = "published-addresses";
    private const string TablePrefix = "slipway-";
    private const string Publish = "publish";

    private static readonly IPNetwork Loopback = new(new IPAddress([127, 0, 0, 0]), 8);
    private static readonly SetType[] Target = [SetType.Ipv4Address, SetType.Port];

    private readonly string _table = TablePrefix + options.BridgeName;
    private readonly string _bridge = options.BridgeName;

    /// <summary>What this network (not somebody else) changed at the host, by name: kept in the table's comment.</summary>
    public IReadOnlyList<string> ChangedSettings { get; private set; } = [];

    /// <summary>Creates the table, or adopts one that has the right rules; its published ports stay.</summary>
    /// <param name="changedSettings">Settings changed now; those noted in an existing table are added.</param>
    public void Ensure(IPNetwork subnet, IEnumerable<string> changedSettings)
    {
        NfTablesTable? existing = session.Tables().FirstOrDefault(table => table.Name == _table);
        string[] comment = existing?.Comment?.Split("; ") ?? [];
        ChangedSettings = [.. comment.Skip(1).SelectMany(part => part.Split(' ')).Concat(changedSettings).Distinct()];
        string rules = $"slipway rules {RulesVersion} for {subnet}{(options.Internal ? ", internal" : "")}{(options.Masquerade ? "" : ", routed")}";
        string wanted = ChangedSettings.Count == 0 ? rules : $"{rules}; {string.Join(' ', ChangedSettings)}";
        if (existing?.Comment == wanted)
        {
            return;
        }

        NfTablesBatch batch = session.Begin();
        if (existing is not null)
        {
            batch.DeleteTable(_table);
        }

        batch.AddTable(_table, wanted);
        AddPublishing(batch);
        AddNat(batch, subnet);
        AddProtection(batch);
        batch.Commit();
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
            foreach (string map in new[] { ByPort, ByAddress })
            {
                HashSet<string> keys = [.. unwanted.Where(e => e.Map == map).Select(e => Convert.ToHexString(e.Element.Key))];
                MapElement[] left = [.. ElementsIfAny(map).Where(e => keys.Contains(Convert.ToHexString(e.Key)))];
                if (left.Length > 0)
                {
                    session.Begin().DeleteElements(_table, map, left).Commit();
                }
            }
        }
    }

    /// <summary>Makes the published ports exactly these, touching only what differs.</summary>
    public void SynchronizePorts(IReadOnlyList<(IPAddress Container, IReadOnlyList<PublishedPort> Ports)> endpoints)
    {
        ILookup<string, MapElement> wanted = endpoints.SelectMany(e => Elements(e.Container, e.Ports)).ToLookup(e => e.Map, e => e.Element);
        const int Attempts = 10;
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                SynchronizeOnce(wanted);
                return;
            }
            catch (KernelException e) when (e.Errno == Errno.ERESTART && attempt < Attempts)
            {
                // Somebody changed some table between our look and our change.
                continue;
            }
        }
    }

    /// <summary>Removes the table. False if another network of this kind exists, which then needs the host's settings as they are.</summary>
    public bool Remove()
    {
        IReadOnlyList<NfTablesTable> tables = session.Tables();
        if (tables.Any(table => table.Name == _table))
        {
            session.Begin().DeleteTable(_table).Commit();
        }

        return !tables.Any(table => table.Name != _table && table.Name.StartsWith(TablePrefix, StringComparison.Ordinal));
    }

    private IReadOnlyList<MapElement> ElementsIfAny(string map)
    {
        try
        {
            return session.Elements(_table, map);
        }
        catch (KernelException e) when (e.Errno == Errno.ENOENT)
        {
            return [];
        }
    }

    private void SynchronizeOnce(ILookup<string, MapElement> wanted)
    {
        uint generation = session.Generation();
        (string Map, IReadOnlyList<MapElement> Elements)[] present =
            [(ByPort, session.Elements(_table, ByPort)), (ByAddress, session.Elements(_table, ByAddress))];
        NfTablesBatch batch = session.Begin(generation);
        bool changed = false;
        foreach ((string map, IReadOnlyList<MapElement> elements) in present)
        {
            MapElement[] obsolete = [.. elements.ExceptBy(wanted[map].Select(Identity), Identity)];
            MapElement[] missing = [.. wanted[map].ExceptBy(elements.Select(Identity), Identity)];
            batch.DeleteElements(_table, map, obsolete).AddElements(_table, map, missing);
            changed |= obsolete.Length + missing.Length > 0;
        }

        if (changed)
        {
            batch.Commit();
        }
    }

    private static string Identity(MapElement element) => Convert.ToHexString(element.Key) + Convert.ToHexString(element.Value);

    private static IEnumerable<(string Map, MapElement Element)> Elements(IPAddress container, IReadOnlyList<PublishedPort> ports)
    {
        foreach (PublishedPort port in ports)
        {
            // IPv6 is forwarded by the engine: a packet cannot be redirected to another family.
            if (port.HostAddress.AddressFamily == AddressFamily.InterNetwork)
            {
                byte[] target = [.. container.GetAddressBytes(), .. PortWord(port.ContainerPort)];
                byte[] key = [(byte)port.Protocol, 0, 0, 0, .. PortWord(port.HostPort)];
                yield return port.HostAddress.Equals(IPAddress.Any)
                    ? (ByPort, new MapElement(key, target))
                    : (ByAddress, new MapElement([.. port.HostAddress.GetAddressBytes(), .. key], target));
            }
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

        NfTablesBatch batch = session.Begin();
        foreach (IGrouping<string, MapElement> group in elements)
        {
            _ = add ? batch.AddElements(_table, group.Key, [.. group]) : batch.DeleteElements(_table, group.Key, [.. group]);
        }

        batch.Commit();
    }

    private void AddPublishing(NfTablesBatch batch) => batch
        .AddMap(_table, new NfTablesMap(ByPort, [SetType.TransportProtocol, SetType.Port], Target))
        .AddMap(_table, new NfTablesMap(ByAddress, [SetType.Ipv4Address, SetType.TransportProtocol, SetType.Port], Target))
        .AddChain(_table, Publish)
        .AddRule(_table, Publish, new Rule().RedirectByAddressAndPort(ByAddress))
        .AddRule(_table, Publish, new Rule().RedirectByPort(ByPort))

        // A packet from outside to 127.0.0.1 must not become one to a container before routing would reject it.
        .AddChain(_table, new BaseChain("prerouting", ChainType.Nat, NetfilterHook.Prerouting, ChainPriority.DestinationNat))
        .AddRule(_table, "prerouting", new Rule().DestinationIn(Loopback, negate: true).DestinationIsLocal().Jump(Publish))
        .AddChain(_table, new BaseChain("output", ChainType.Nat, NetfilterHook.Output, ChainPriority.DestinationNat))
        .AddRule(_table, "output", new Rule().DestinationIsLocal().Jump(Publish));

    private void AddNat(NfTablesBatch batch, IPNetwork subnet)
    {
        batch.AddChain(_table, new BaseChain("postrouting", ChainType.Nat, NetfilterHook.Postrouting, ChainPriority.SourceNat));
        if (options.Masquerade && !options.Internal)
        {
            batch.AddRule(_table, "postrouting", new Rule().SourceIn(subnet).OutputInterface(_bridge, negate: true).Masquerade());
        }

        batch
            .AddRule(_table, "postrouting", new Rule().SourceIn(Loopback).OutputInterface(_bridge).Masquerade().Because("published port reached by 127.0.0.1"))
            .AddRule(_table, "postrouting", new Rule().SourceIn(subnet).OutputInterface(_bridge).Redirected().Masquerade().Because("published port reached from the same network"));
    }

    private void AddProtection(NfTablesBatch batch)
    {
        // route_localnet is on for the bridge: what the kernel would have dropped as martian is dropped here (CVE-2020-8558).
        batch
            .AddChain(_table, new BaseChain("loopback", ChainType.Filter, NetfilterHook.Prerouting, ChainPriority.Raw))
            .AddRule(_table, "loopback", new Rule().InputInterface(_bridge).DestinationIn(Loopback).Drop())
            .AddRule(_table, "loopback", new Rule().InputInterface(_bridge).SourceIn(Loopback).Drop())
            .AddChain(_table, new BaseChain("forward", ChainType.Filter, NetfilterHook.Forward, ChainPriority.Filter));
        if (options.Internal)
        {
            batch
                .AddRule(_table, "forward", new Rule().OutputInterface(_bridge).InputInterface(_bridge, negate: true).Drop())
                .AddRule(_table, "forward", new Rule().InputInterface(_bridge).OutputInterface(_bridge, negate: true).Drop());
            return;
        }

        // From other networks only what was published, and answers.
        batch
            .AddRule(_table, "forward", new Rule().OutputInterface(_bridge).Established().Accept())
            .AddRule(_table, "forward", new Rule().OutputInterface(_bridge).Redirected().Accept())
            .AddRule(_table, "forward", new Rule().OutputInterface(_bridge).InputInterface(_bridge, negate: true).Drop());
    }
}
