using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>
/// The setting of a bridge by which containers are reached from 127.0.0.1. That it was off before is noted in an empty table, which lives exactly as long as the
/// setting does. Used by one thread, in the host's namespace.
/// </summary>
internal sealed class RouteLocalnet(NfTablesSession session, string bridge) : IRepairable
{
    private readonly string _note = "slipway.route_localnet." + bridge;
    private bool _isNoted;

    public bool IsIntact => !_isNoted || HasNote;

    private bool HasNote => session.Tables().Any(table => table.Name == _note);

    /// <summary>Switches it on where it is off.</summary>
    /// <param name="noted">Of a bridge that is not ours to remove.</param>
    public void Ensure(bool noted)
    {
        if (HostSettings.GetRouteLocalnet(bridge))
        {
            _isNoted = noted && HasNote;
            return;
        }

        if (noted)
        {
            Repair();
        }

        HostSettings.SetRouteLocalnet(bridge, true);
    }

    /// <summary>Notes that it was off.</summary>
    public void Repair()
    {
        session.Begin().AddTable(_note, $"slipway: net.ipv4.conf.{bridge}.route_localnet was 0").Commit();
        _isNoted = true;
    }

    /// <summary>Puts it back if <see cref="Ensure"/> changed it, in this engine or an earlier one; of a bridge that is gone only the note is left.</summary>
    public void Restore()
    {
        _isNoted = false;
        if (!HasNote)
        {
            return;
        }

        if (HostSettings.HasIpv4(bridge))
        {
            HostSettings.SetRouteLocalnet(bridge, false);
        }

        session.Begin().DeleteTable(_note).Commit();
    }
}
