using System.Globalization;

namespace Slipway.Networking;

/// <summary>Kernel settings below /proc/sys/net (Documentation/networking/ip-sysctl.rst), of the calling thread's network namespace.</summary>
internal static class HostSettings
{
    private const string Ipv4 = "/proc/sys/net/ipv4";

    /// <summary>Whether the host forwards IPv4 packets between interfaces.</summary>
    public static bool Forwarding
    {
        get => ReadFlag($"{Ipv4}/ip_forward");
        set => WriteFlag($"{Ipv4}/ip_forward", value);
    }

    /// <summary>Whether there is IPv6 at all.</summary>
    public static bool HasIpv6 => File.Exists("/proc/thread-self/net/if_inet6") && !ReadFlag("/proc/sys/net/ipv6/conf/all/disable_ipv6");

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

    /// <inheritdoc cref="GetRouteLocalnet"/>
    public static void SetRouteLocalnet(string link, bool value) => WriteFlag(RouteLocalnet(link), value);

    // Interface names contain no slash (dev_valid_name), so the name is one component.
    private static string RouteLocalnet(string link) => $"{Ipv4}/conf/{link}/route_localnet";

    private static bool ReadFlag(string path) => File.ReadAllText(path).Trim() != "0";

    private static void WriteFlag(string path, bool value) => File.WriteAllText(path, value ? "1" : "0");
}
