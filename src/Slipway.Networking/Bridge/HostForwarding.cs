using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>
/// The host's forwarding of packets of one family, which all networks share, also those of other engines: switched on for the first, off after the last. What was
/// changed is noted in empty tables, because those live exactly as long as the settings do. Used by one thread, in the host's namespace.
/// </summary>
/// <remarks>
/// Switching it on for IPv6 changes every interface (ip-sysctl.rst, conf/all/forwarding): those that configured themselves by router advertisements would lose
/// their routes, as a router takes none by default. They are told to go on taking them (accept_ra 2).
/// </remarks>
/// <param name="session">Of the family.</param>
internal sealed class HostForwarding(NfTablesSession session, RouteSession route) : IRepairable
{
    private const string Marker = "slipway.forwarding";
    private const string ForwardedBefore = Marker + ".";
    private const string TookAdvertisements = "slipway.accept_ra.";
    private const string Default = "default";

    /// <summary>What is noted, as far as this engine knows: another program may delete it.</summary>
    private IReadOnlyList<NfTablesTable> _noted = [];

    public bool IsIntact => !_noted.ExceptBy(session.Tables().Select(table => table.Name), note => note.Name).Any();

    public void Repair()
    {
        NfTablesBatch batch = session.Begin();
        foreach (NfTablesTable note in _noted)
        {
            batch.AddTable(note.Name, note.Comment ?? "");
        }

        batch.Commit();
    }

    /// <summary>Switches it on where it is off.</summary>
    /// <returns>False where it was on.</returns>
    public bool Ensure()
    {
        bool enabled = Enable();
        _noted = [.. session.Tables().Where(table => IsNote(table.Name))];
        return enabled;
    }

    private bool Enable()
    {
        if (session.Family == NfTablesFamily.Ipv6)
        {
            return !HostSettings.Forwarding6 && EnableIpv6();
        }

        if (HostSettings.Forwarding)
        {
            return false;
        }

        session.Begin().AddTable(Marker, "slipway: net.ipv4.ip_forward was 0").Commit();
        return HostSettings.Forwarding = true;
    }

    /// <summary>Puts back what <see cref="Ensure"/> changed, in this engine or an earlier one. To be called when no network needs it.</summary>
    public void Restore()
    {
        _noted = [];
        string[] notes = [.. session.Tables().Select(table => table.Name).Where(IsNote)];
        if (!notes.Contains(Marker))
        {
            return;
        }

        if (session.Family == NfTablesFamily.Ipv6)
        {
            RestoreIpv6(notes);
        }
        else
        {
            HostSettings.Forwarding = false;
        }

        NfTablesBatch batch = session.Begin();
        foreach (string note in notes)
        {
            batch.DeleteTable(note);
        }

        batch.Commit();
    }

    private static bool IsNote(string table) =>
        table == Marker || table.StartsWith(ForwardedBefore, StringComparison.Ordinal) || table.StartsWith(TookAdvertisements, StringComparison.Ordinal);

    private static IEnumerable<string> Noted(IEnumerable<string> notes, string prefix) =>
        notes.Where(note => note.StartsWith(prefix, StringComparison.Ordinal)).Select(note => note[prefix.Length..]);

    private bool EnableIpv6()
    {
        IReadOnlyList<Link> links = route.Links();
        string[] forwarding = [.. links.Select(link => link.Name).Append(Default).Where(HostSettings.GetForwarding6)];
        string[] advertised = [.. links.Where(ConnectsHost).Select(link => link.Name).Except(forwarding).Where(link => HostSettings.GetAcceptRouterAdvertisements(link) == 1)];
        NfTablesBatch batch = session.Begin().AddTable(Marker, "slipway: net.ipv6.conf.all.forwarding was 0");
        foreach (string link in forwarding)
        {
            batch.AddTable(ForwardedBefore + link, $"slipway: net.ipv6.conf.{link}.forwarding was 1");
        }

        foreach (string link in advertised)
        {
            batch.AddTable(TookAdvertisements + link, $"slipway: net.ipv6.conf.{link}.accept_ra was 1");
        }

        batch.Commit();
        foreach (string link in advertised)
        {
            HostSettings.SetAcceptRouterAdvertisements(link, 2);
        }

        return HostSettings.Forwarding6 = true;
    }

    private void RestoreIpv6(string[] notes)
    {
        HashSet<string> links = [.. route.Links().Select(link => link.Name), Default];
        HostSettings.Forwarding6 = false;
        foreach (string link in Noted(notes, ForwardedBefore).Where(links.Contains))
        {
            HostSettings.SetForwarding6(link, true);
        }

        foreach (string link in Noted(notes, TookAdvertisements).Where(links.Contains).Where(link => HostSettings.GetAcceptRouterAdvertisements(link) == 2))
        {
            HostSettings.SetAcceptRouterAdvertisements(link, 1);
        }
    }

    /// <summary>Whether the host itself may be connected by an interface.</summary>
    private static bool ConnectsHost(Link link) =>
        link is { IsUp: true, Master: 0, Name: not "lo" } && link.Kind != "veth" && link.Alias != BridgeLink.OwnAlias;
}
