using System.Globalization;
using System.Runtime.InteropServices;
using Slipway.Kernel;
using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>The host's link under a stacked network. One that was made for the network says so by its alias, and is removed with the network. Used by one thread.</summary>
internal sealed class ParentLink(RouteSession session, StackedOptions options)
{
    private const int LastVlan = 4094;

    /// <summary>
    /// What a parent that leads nowhere is made of. A dummy drops what is sent by it; so does an intermediate functional block where no traffic control
    /// feeds it (drivers/net/ifb.c), for a kernel without dummies.
    /// </summary>
    private static readonly string[] s_leadingNowhere = ["dummy", "ifb"];

    private readonly string _ownAlias = $"slipway:{options.NetworkId}";

    /// <summary>Finds the link, or makes one that can be made.</summary>
    /// <exception cref="NetworkException">There is none, and it cannot be made. The message is the one Docker gives.</exception>
    public (Link Link, bool Found) Ensure()
    {
        if (session.FindLink(options.Parent) is { } existing)
        {
            if (!existing.IsUp && existing.Alias == _ownAlias)
            {
                session.Begin().SetLink(existing.Index, new LinkChange { Up = true }).Execute();
            }

            return (existing, true);
        }

        if (options.HasOwnParent)
        {
            MakeOwn();
        }
        else
        {
            MakeVlan();
        }

        try
        {
            session.Begin()
                .SetLink(options.Parent, new LinkChange { Alias = _ownAlias, LinkLocalAddress = false })
                .SetLink(options.Parent, new LinkChange { Up = true })
                .Execute();
            return (Find(), false);
        }
        catch (KernelException e)
        {
            session.Begin().DeleteLink(options.Parent).Execute();
            throw Failure($"failed to enable {options.Parent} the {options.Mode.Kind} parent link", e);
        }
    }

    /// <summary>The link, which <see cref="Ensure"/> has found or made.</summary>
    /// <exception cref="NetworkException">It is gone.</exception>
    public Link Find() => session.FindLink(options.Parent)
        ?? throw new NetworkException(NetworkErrorKind.Unavailable, $"the requested parent interface {options.Parent} was not found on the Docker host");

    /// <summary>Removes the link if it was made here.</summary>
    public void RemoveOwn()
    {
        if (session.FindLink(options.Parent) is { } own && own.Alias == _ownAlias)
        {
            session.Begin().DeleteLink(own.Index).Execute();
        }
    }

    /// <summary>A failure in the words Docker has, with the kernel's.</summary>
    public static NetworkException Failure(string what, KernelException cause) =>
        new(NetworkErrorKind.Unavailable, $"{what}: {Marshal.GetPInvokeErrorMessage(cause.Errno).ToLowerInvariant()}", cause);

    private void MakeOwn()
    {
        KernelException? failure = null;
        foreach (string kind in s_leadingNowhere)
        {
            try
            {
                session.Begin().AddLink(options.Parent, kind).Execute();
                return;
            }
            catch (KernelException e) when (e.Errno == Errno.EOPNOTSUPP)
            {
                failure = e; // not a kind of this kernel
            }
        }

        throw new NetworkException(
            NetworkErrorKind.Unavailable, $"this kernel has no links of kind {string.Join(" or ", s_leadingNowhere)}: name a parent interface with -o parent", failure);
    }

    private void MakeVlan()
    {
        string[] parts = options.Parent.Split('.');
        if (parts.Length == 1)
        {
            throw Invalid($"invalid subinterface vlan name {options.Parent}, example formatting is eth0.10");
        }

        if (parts.Length != 2)
        {
            throw Invalid($"required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead received {options.Parent}");
        }

        if (!int.TryParse(parts[1], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int id))
        {
            throw Invalid($"unable to parse a valid vlan id from: {parts[1]} (ex. eth0.10 for vlan 10)");
        }

        Link carrier = session.FindLink(parts[0]) ?? throw Invalid($"-o parent interface was not found on the host: {parts[0]}");
        if (id is < 1 or > LastVlan)
        {
            throw Invalid($"vlan id must be between 1-{LastVlan}, received: {id}");
        }

        try
        {
            session.Begin().AddVlan(options.Parent, carrier.Index, (ushort)id).Execute();
        }
        catch (KernelException e)
        {
            throw Failure($"failed to create {options.Parent} vlan link", e);
        }
    }

    private static NetworkException Invalid(string message) => new(NetworkErrorKind.InvalidParameter, message);
}
