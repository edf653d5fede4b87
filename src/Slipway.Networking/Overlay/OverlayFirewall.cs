using System.Buffers.Binary;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using Slipway.Kernel;
using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>
/// The nf_tables table that says whose VXLAN packets are believed: a packet with the number of one of our networks passes only if it comes from another host of
/// the cluster, by the way that leads to it. The kernel itself would take one from anybody, a container included; and one that a container sends to another host
/// would there be this host's, whose address it gets on the way. Those of encrypted networks, which have a port and a table of their own, pass only if they
/// were, or will be, in packets of IPsec: also when its policies are deleted. Used by the host's thread.
/// </summary>
internal sealed class OverlayFirewall(NfTablesSession session, bool encrypted)
{
    private const string Plain = "slipway.vxlan";
    private const string Encrypted = "slipway.vxlan.esp";
    private const string Members = "members";
    private const string Numbers = "numbers";
    private const string Incoming = "incoming";
    private const string Outgoing = "outgoing";
    private const string Leaving = "leaving";

    /// <summary>Changes with the rules: a table of another version is replaced.</summary>
    private const int Version = 1;

    public string Table { get; } = encrypted ? Encrypted : Plain;

    /// <summary>Of all chains.</summary>
    private int RuleCount { get; } = encrypted ? 4 : 3;

    public static bool IsTable(string name) => name is Plain or Encrypted;

    /// <summary>Admits a network's packets between this host and others.</summary>
    public void Ensure(OverlayOptions options)
    {
        NfTablesTable? existing = session.Tables().FirstOrDefault(table => table.Name == Table);
        string comment = Comment(options);
        IReadOnlyList<MapElement> numbers = existing is null ? [] : Elements(Numbers);
        MapElement own = Number(options.Number);
        if (existing?.Comment == comment && IsComplete(options))
        {
            if (!numbers.Any(element => element.Key.SequenceEqual(own.Key)))
            {
                session.Begin().AddElements(Table, Numbers, [own]).Commit();
            }

            return;
        }

        NfTablesBatch batch = session.Begin();
        if (existing is not null)
        {
            batch.DeleteTable(Table);
        }

        batch.AddTable(Table, comment);
        AddRules(batch, options);
        batch.AddElements(Table, Numbers, [.. numbers.Where(element => !element.Key.SequenceEqual(own.Key)), own]);
        batch.Commit();
    }

    /// <summary>Whether the rules are there, and admit a network's packets.</summary>
    public bool IsIntact(OverlayOptions options) => IsComplete(options) && Elements(Numbers).Any(element => element.Key.SequenceEqual(Number(options.Number).Key));

    /// <summary>Whether no other network is in the table.</summary>
    public bool IsLast(int number) => Elements(Numbers).All(element => element.Key.SequenceEqual(Number(number).Key));

    /// <summary>Takes a network out, and with the last the table.</summary>
    public void Remove(int number)
    {
        try
        {
            MapElement own = Number(number);
            IReadOnlyList<MapElement> numbers = session.Elements(Table, Numbers);
            NfTablesBatch batch = session.Begin();
            if (numbers.All(element => element.Key.SequenceEqual(own.Key)))
            {
                batch.DeleteTable(Table).Commit();
            }
            else if (numbers.Any(element => element.Key.SequenceEqual(own.Key)))
            {
                batch.DeleteElements(Table, Numbers, [own]).Commit();
            }
        }
        catch (KernelException e) when (e.Errno == Errno.ENOENT)
        {
            return; // there is no such table
        }
    }

    /// <summary>Whether nobody has taken out what all networks share. Engines beside this one have the same table: who made it again because it was made again would never end.</summary>
    private bool IsComplete(OverlayOptions options) =>
        session.RuleCount(Table) == RuleCount && Elements(Members).Select(element => new IPAddress(element.Key)).ToHashSet().SetEquals(options.Hosts);

    private IReadOnlyList<MapElement> Elements(string map)
    {
        try
        {
            return session.Elements(Table, map);
        }
        catch (KernelException e) when (e.Errno == Errno.ENOENT)
        {
            return [];
        }
    }

    private void AddRules(NfTablesBatch batch, OverlayOptions options)
    {
        Rule fromMember = new Rule().UdpDestinationPort(options.Port);
        fromMember = (encrypted ? fromMember.WasDecrypted() : fromMember).SourceOf(Members).SourceIsRoutedBack().Return();
        batch
            .AddMap(Table, new NfTablesMap(Members, [SetType.Ipv4Address], [SetType.Integer]))
            .AddMap(Table, new NfTablesMap(Numbers, [SetType.Integer], [SetType.Integer]))
            .AddElements(Table, Members, [.. options.Hosts.Distinct().Select(host => new MapElement(host.GetAddressBytes(), new byte[4]))])
            .AddChain(Table, new BaseChain(Incoming, ChainType.Filter, NetfilterHook.Prerouting, ChainPriority.Raw))
            .AddRule(Table, Incoming, fromMember)
            .AddRule(Table, Incoming, new Rule().UdpDestinationPort(options.Port).VxlanNumberOf(Numbers).Drop().Because(encrypted ? "not from a member, not by the way to it, or in clear text" : "not from a member, or not by the way to it"))
            .AddChain(Table, new BaseChain(Outgoing, ChainType.Filter, NetfilterHook.Output, ChainPriority.Raw))
            .AddRule(Table, Outgoing, new Rule().UdpDestinationPort(options.Port).FromProgram().VxlanNumberOf(Numbers).Drop().Because("only the kernel speaks for this host"));
        if (encrypted)
        {
            // After everybody who may send a packet another way.
            batch
                .AddChain(Table, new BaseChain(Leaving, ChainType.Filter, NetfilterHook.Postrouting, ChainPriority.BeforeConfirmation))
                .AddRule(Table, Leaving, new Rule().UdpDestinationPort(options.Port).VxlanNumberOf(Numbers).IsToBeEncrypted(negate: true).Drop().Because("in clear text"));
        }
    }

    private static string Comment(OverlayOptions options) =>
        $"slipway vxlan {Version} on {options.Port}, members {Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(string.Join(' ', options.Hosts)))[..8])}";

    /// <summary>As it lies in the VXLAN header: three bytes, and one that is zero.</summary>
    private static MapElement Number(int number)
    {
        byte[] key = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(key, number << 8);
        return new MapElement(key, new byte[4]);
    }
}

/// <summary>What a network has of the table.</summary>
internal sealed record OverlayRules(NfTablesSession Session, OverlayOptions Options) : IRepairable
{
    public bool IsIntact => new OverlayFirewall(Session, Options.Encrypted).IsIntact(Options);

    public void Repair() => new OverlayFirewall(Session, Options.Encrypted).Ensure(Options);
}
