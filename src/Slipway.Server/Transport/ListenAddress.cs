using System.Net;
using System.Net.Sockets;
using Slipway.Engine;

namespace Slipway.Server.Transport;

/// <summary>Where to listen: a value of <c>-H</c>, validated.</summary>
/// <param name="Text">As given.</param>
/// <param name="EndPoint">A unix or loopback address; null for the sockets systemd passed (<c>fd://</c>).</param>
internal sealed record ListenAddress(string Text, EndPoint? EndPoint)
{
    public const string DefaultPath = "/run/slipway.sock";

    /// <summary>docker's port for plain HTTP.</summary>
    private const int DefaultPort = 2375;

    /// <summary>docker's port for TLS.</summary>
    private const int DefaultTlsPort = 2376;

    /// <summary>sockaddr_un.sun_path with its terminating zero (unix(7)).</summary>
    private const int MaxPathBytes = 107;

    /// <summary>Reads <c>unix:///path</c>, <c>tcp://127.0.0.1:2375</c> or <c>fd://</c>.</summary>
    /// <exception cref="EngineException">InvalidParameter.</exception>
    /// <param name="tls">How TCP is protected; null for not at all.</param>
    public static ListenAddress Parse(string text, ServerTls? tls = null)
    {
        int separator = text.IndexOf("://", StringComparison.Ordinal);
        string scheme = separator < 0 ? "" : text[..separator];
        string rest = separator < 0 ? text : text[(separator + 3)..];
        return scheme switch
        {
            "unix" => new ListenAddress(text, ParseUnix(text, rest)),
            "tcp" => new ListenAddress(text, ParseTcp(text, rest, tls)),
            "fd" when rest is "" or "*" => new ListenAddress(text, null),
            _ => throw Invalid($"invalid bind address format: {text}: it must be unix:///path, tcp://127.0.0.1:port or fd://"),
        };
    }

    private static UnixDomainSocketEndPoint ParseUnix(string text, string path)
    {
        if (path.Length == 0)
        {
            path = DefaultPath;
        }

        if (!Path.IsPathRooted(path) || path.Contains('\0', StringComparison.Ordinal))
        {
            throw Invalid($"invalid bind address: {text}: the path of a unix socket must be absolute");
        }

        return System.Text.Encoding.UTF8.GetByteCount(path) <= MaxPathBytes
            ? new UnixDomainSocketEndPoint(path)
            : throw Invalid($"invalid bind address: {text}: a unix socket's path has at most {MaxPathBytes} bytes");
    }

    /// <summary>
    /// Whoever reaches the API is root on the host, and TCP without client certificates asks nobody who he is: only the loopback interface, which
    /// containers do not share, may carry it (CVE-2025-9074).
    /// </summary>
    private static IPEndPoint ParseTcp(string text, string rest, ServerTls? tls)
    {
        int colon = rest.LastIndexOf(':');
        bool hasPort = colon >= 0 && rest.IndexOf(']', colon) < 0;
        string host = hasPort ? rest[..colon] : rest;
        int port = tls is null ? DefaultPort : DefaultTlsPort;
        if (hasPort && (!int.TryParse(rest.AsSpan(colon + 1), out port) || port is < 0 or > ushort.MaxValue))
        {
            throw Invalid($"invalid bind address: {text}: no valid port");
        }

        IPAddress? address = host is "" or "localhost" ? IPAddress.Loopback : IPAddress.TryParse(host.Trim('[', ']'), out IPAddress? parsed) ? parsed : null;
        return address is null ? throw Invalid($"invalid bind address: {text}: {host} is no IP address")
            : IPAddress.IsLoopback(address) || tls is { VerifiesClients: true } ? new IPEndPoint(address, port)
            : throw Invalid($"refusing to listen on {text}: without client certificates (--tlsverify) everyone who reaches the address is root on this host; use them, a unix socket, a loopback address, or an SSH tunnel");
    }

    private static EngineException Invalid(string message) => new(ErrorKind.InvalidParameter, message);
}
