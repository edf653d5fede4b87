using System.Net;
using System.Net.Sockets;

namespace Slipway.Client;

/// <summary>Where an engine listens: <c>unix:///path</c> or <c>tcp://host:port</c>.</summary>
public sealed record EngineAddress
{
    /// <summary>Where an engine listens unless told otherwise.</summary>
    public const string Default = "unix:///run/slipway.sock";

    private EngineAddress(string text, string? socketPath, DnsEndPoint? endPoint)
    {
        Text = text;
        SocketPath = socketPath;
        EndPoint = endPoint;
    }

    public string Text { get; }

    /// <summary>Path of the unix socket, or null.</summary>
    public string? SocketPath { get; }

    /// <summary>Host and port, or null.</summary>
    public DnsEndPoint? EndPoint { get; }

    /// <exception cref="FormatException">Neither form.</exception>
    public static EngineAddress Parse(string text)
    {
        if (text.StartsWith("unix://", StringComparison.Ordinal) && text.Length > 7)
        {
            return new EngineAddress(text, text[7..], null);
        }

        if (text.StartsWith("tcp://", StringComparison.Ordinal) && Uri.TryCreate(text, UriKind.Absolute, out Uri? uri))
        {
            return new EngineAddress(text, null, new DnsEndPoint(uri.DnsSafeHost, uri.Port < 0 ? 2375 : uri.Port));
        }

        throw new FormatException($"unable to parse engine host \"{text}\": use unix:///path or tcp://host:port");
    }

    /// <summary>Opens a connection.</summary>
    /// <exception cref="SocketException">No engine listens there.</exception>
    public async ValueTask<Socket> ConnectAsync(CancellationToken cancellationToken)
    {
        Socket socket = SocketPath is null
            ? new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true }
            : new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            EndPoint target = SocketPath is null ? EndPoint! : new UnixDomainSocketEndPoint(SocketPath);
            await socket.ConnectAsync(target, cancellationToken).ConfigureAwait(false);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
