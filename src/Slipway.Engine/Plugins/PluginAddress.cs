using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;

namespace Slipway.Engine.Plugins;

/// <summary>Where a plugin answers: a unix socket, or TCP with or without TLS.</summary>
public sealed class PluginAddress
{
    private const string UnixScheme = "unix://";

    private readonly EndPoint _endPoint;
    private readonly PluginTls? _tls;

    private PluginAddress(EndPoint endPoint, PluginTls? tls) => (_endPoint, _tls) = (endPoint, tls);

    /// <param name="path">Absolute.</param>
    public static PluginAddress OfSocket(string path) => new(new UnixDomainSocketEndPoint(path), tls: null);

    /// <summary>
    /// Reads <c>unix:///path</c>, <c>tcp://host:port</c>, <c>http://host[:port]</c> or <c>https://host[:port]</c>; a path behind a host says nothing, as for dockerd. TLS is spoken by
    /// <c>https</c>, and by <c>tcp</c> where the file says how.
    /// </summary>
    /// <remarks>
    /// What a plugin is asked, and what is believed of its answers, is as good as root on this host: without TLS nobody but this host may answer. dockerd speaks plainly to any
    /// address, and verifies no server whose authority the file does not name.
    /// </remarks>
    /// <exception cref="FormatException">It is none of these; the message is a clause about the text.</exception>
    internal static PluginAddress Parse(string text, PluginTls? tls)
    {
        if (text.StartsWith(UnixScheme + "/", StringComparison.Ordinal) && !text.Contains('\0', StringComparison.Ordinal))
        {
            try
            {
                return OfSocket(text[UnixScheme.Length..]);
            }
            catch (ArgumentOutOfRangeException)
            {
                throw new FormatException($"\"{text}\" is too long for the path of a socket");
            }
        }

        if (!Uri.TryCreate(text, UriKind.Absolute, out Uri? address) || address.Scheme is not ("tcp" or "http" or "https") || address.Host.Length == 0 || address.UserInfo.Length > 0)
        {
            throw new FormatException($"\"{text}\" is no address of a plugin (unix:///path, tcp://host:port or https://host:port)");
        }

        if (address.Port <= 0)
        {
            throw new FormatException($"\"{text}\" names no port");
        }

        PluginTls? spoken = address.Scheme switch
        {
            "https" => tls ?? new PluginTls(),
            "tcp" => tls,
            _ => null,
        };
        return spoken is not null || IsThisHost(address.DnsSafeHost)
            ? new PluginAddress(new DnsEndPoint(address.DnsSafeHost, address.Port), spoken)
            : throw new FormatException($"\"{text}\" is beyond this host, where plugins are spoken to by TLS only (https://, or tcp:// with a TLSConfig)");
    }

    /// <exception cref="SocketException">Nobody listens.</exception>
    /// <exception cref="IOException">A file of the TLS configuration cannot be used.</exception>
    /// <exception cref="AuthenticationException">The other side is not who it should be.</exception>
    internal async ValueTask<Stream> ConnectAsync(CancellationToken cancellationToken)
    {
        Socket socket = _endPoint.AddressFamily == AddressFamily.Unix
            ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
            : new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(_endPoint, cancellationToken);
        }
        catch
        {
            socket.Dispose();
            throw;
        }

        NetworkStream plain = new(socket, ownsSocket: true);
        if (_tls is null)
        {
            return plain;
        }

        SslStream secure = new(plain, leaveInnerStreamOpen: false);
        try
        {
            // Read anew for each connection: certificates are renewed while the engine runs.
            await secure.AuthenticateAsClientAsync(_tls.Load(((DnsEndPoint)_endPoint).Host), cancellationToken);
            return secure;
        }
        catch
        {
            await secure.DisposeAsync();
            throw;
        }
    }

    private static bool IsThisHost(string host) => host == "localhost" || (IPAddress.TryParse(host, out IPAddress? address) && IPAddress.IsLoopback(address));
}
