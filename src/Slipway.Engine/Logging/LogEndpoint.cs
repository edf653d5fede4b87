using System.Globalization;
using System.Net.Sockets;

namespace Slipway.Engine.Logging;

/// <summary>Where a remote driver sends to.</summary>
/// <param name="Protocol">udp, tcp, tcp+tls, tls, unix or unixgram.</param>
/// <param name="Address">Host and port, or the path of a socket.</param>
internal sealed record LogEndpoint(string Protocol, string Address)
{
    public bool IsUnix => Protocol is "unix" or "unixgram";

    public bool IsDatagram => Protocol is "udp" or "unixgram";

    public bool IsTls => Protocol is "tcp+tls" or "tls";

    public SocketType SocketType => IsDatagram ? SocketType.Dgram : SocketType.Stream;

    /// <summary>The host without brackets, and the port.</summary>
    public (string Host, int Port) Split()
    {
        int colon = Address.LastIndexOf(':');
        return (Address[..colon].Trim('[', ']'), int.Parse(Address.AsSpan(colon + 1), CultureInfo.InvariantCulture));
    }

    /// <summary>Splits <c>proto://rest</c>; null where there is no scheme.</summary>
    public static (string Name, string Remainder)? Scheme(string address) =>
        address.IndexOf("://", StringComparison.Ordinal) is > 0 and int end ? (address[..end], address[(end + 3)..]) : null;

    /// <summary>A host and a port, the port optional where there is a default.</summary>
    /// <exception cref="FormatException">Neither.</exception>
    public static string HostAndPort(string text, int? defaultPort)
    {
        string host = text.TrimEnd('/');
        int colon = host.LastIndexOf(':');
        bool hasPort = colon >= 0 && colon > host.LastIndexOf(']');
        if (!hasPort)
        {
            return defaultPort is { } port
                ? string.Create(CultureInfo.InvariantCulture, $"{host}:{port}")
                : throw new FormatException($"address {host}: missing port in address");
        }

        return ushort.TryParse(host.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out _) && !host[..colon].Trim('[', ']').Contains('/', StringComparison.Ordinal)
            ? host
            : throw new FormatException($"address {host}: invalid port");
    }
}
