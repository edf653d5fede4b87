using System.Globalization;

namespace Slipway.Networking;

/// <summary>Kernel settings below /proc/sys/net (Documentation/networking/ip-sysctl.rst), of the calling thread's network namespace.</summary>
internal static class HostSettings
{
    private const string Ipv4 = "/proc/sys/net/ipv4";
    private const string Ipv6 = "/proc/sys/net/ipv6";
    private const string All = "all";

    /// <summary>Whether the host forwards IPv4 packets between interfaces.</summary>
    public static bool Forwarding
    {
        get => ReadFlag($"{Ipv4}/ip_forward");
        set => WriteFlag($"{Ipv4}/ip_forward", value);
    }

    /// <summary>Whether the host forwards IPv6 packets. Setting it sets that of every interface.</summary>
    public static bool Forwarding6
    {
        get => GetForwarding6(All);
        set => SetForwarding6(All, value);
    }

    /// <summary>Whether there is IPv6 at all.</summary>
    public static bool HasIpv6 => File.Exists("/proc/thread-self/net/if_inet6") && !ReadFlag($"{Ipv6}/conf/all/disable_ipv6");

    /// <summary>The ports the kernel, and we, give where none is asked for.</summary>
    public static (ushort First, ushort Last) EphemeralPorts
    {
        get
        {
            string[] parts = File.ReadAllText($"{Ipv4}/ip_local_port_range").Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            return (ushort.Parse(parts[0], CultureInfo.InvariantCulture), ushort.Parse(parts[1], CultureInfo.InvariantCulture));
        }
    }

    /// <summary>Whether packets from and to 127.0.0.0/8 may pass the interface; needed to reach a container by 127.0.0.1.</summary>
    public static bool GetRouteLocalnet(string link) => ReadFlag(RouteLocalnet(link));

    /// <summary>Whether there is an interface with settings of IPv4.</summary>
    public static bool HasIpv4(string link) => File.Exists(RouteLocalnet(link));

    /// <inheritdoc cref="GetRouteLocalnet"/>
    public static void SetRouteLocalnet(string link, bool value) => WriteFlag(RouteLocalnet(link), value);

    /// <summary>Lets an interface answer no question for a hardware address (arp_ignore 8).</summary>
    public static void IgnoreArp(string link) => File.WriteAllText($"{Ipv4}/conf/{link}/arp_ignore", "8");

    /// <summary>Whether an interface has IPv6 switched on; one without the setting (its MTU is below 1280, or the kernel has no IPv6) has not.</summary>
    public static bool HasIpv6On(string link) => File.Exists(Conf6(link, "disable_ipv6")) && !ReadFlag(Conf6(link, "disable_ipv6"));

    /// <summary>Switches IPv6 on at an interface whose addresses are ours to give: no router's advertisements are followed.</summary>
    /// <exception cref="IOException">The kernel has no IPv6, or the interface's MTU is below 1280 bytes.</exception>
    public static void EnableIpv6(string link)
    {
        WriteFlag(Conf6(link, "accept_ra"), false);

        // An address that was another container's before comes with another hardware address: neighbours are told.
        WriteFlag(Conf6(link, "ndisc_notify"), true);
        WriteFlag(Conf6(link, "disable_ipv6"), false);
    }

    /// <summary>Of an interface; of one that has no IPv6, false.</summary>
    public static bool GetForwarding6(string link) => File.Exists(Conf6(link, "forwarding")) && ReadFlag(Conf6(link, "forwarding"));

    /// <inheritdoc cref="GetForwarding6"/>
    public static void SetForwarding6(string link, bool value) => WriteFlag(Conf6(link, "forwarding"), value);

    /// <summary>0: never; 1: unless the interface forwards; 2: always. Of an interface that has no IPv6, 0.</summary>
    public static int GetAcceptRouterAdvertisements(string link) =>
        File.Exists(Conf6(link, "accept_ra")) ? int.Parse(File.ReadAllText(Conf6(link, "accept_ra")), CultureInfo.InvariantCulture) : 0;

    /// <inheritdoc cref="GetAcceptRouterAdvertisements"/>
    public static void SetAcceptRouterAdvertisements(string link, int value) =>
        File.WriteAllText(Conf6(link, "accept_ra"), value.ToString(CultureInfo.InvariantCulture));

    // Interface names contain no slash (dev_valid_name), so the name is one component.
    private static string RouteLocalnet(string link) => $"{Ipv4}/conf/{link}/route_localnet";

    private static string Conf6(string link, string setting) => $"{Ipv6}/conf/{link}/{setting}";

    private static bool ReadFlag(string path) => File.ReadAllText(path).Trim() != "0";

    private static void WriteFlag(string path, bool value) => File.WriteAllText(path, value ? "1" : "0");
}
