using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace Slipway.Tests.Harness;

/// <summary>Lets a plugin that listens on a unix socket be reached by TCP at loopback, by TLS where it is given a certificate.</summary>
public sealed class PluginRelay : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly string _socket;
    private readonly string? _certificate;
    private readonly Task _serving;

    /// <param name="certificate">The path of the server's PEM file without its extension (<see cref="TestCertificates.Issue"/>); null: no TLS.</param>
    public PluginRelay(string socket, string? certificate = null)
    {
        (_socket, _certificate) = (socket, certificate);
        _listener.Start();
        _serving = ServeAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>The subjects of the certificates that clients have shown; empty for one that showed none.</summary>
    public List<string> Clients { get; } = [];

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _serving;
        _listener.Dispose();
        _stop.Dispose();
    }

    private async Task ServeAsync()
    {
        List<Task> connections = [];
        try
        {
            while (true)
            {
                connections.Add(RelayAsync(await _listener.AcceptSocketAsync(_stop.Token)));
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException)
        {
            await Task.WhenAll(connections);
        }
    }

    private async Task RelayAsync(Socket accepted)
    {
        await using NetworkStream near = new(accepted, ownsSocket: true);
        try
        {
            await using var client = await SecureAsync(near);
            using Socket far = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await far.ConnectAsync(new UnixDomainSocketEndPoint(_socket), _stop.Token);
            await using NetworkStream plugin = new(far);
            var asked = client.CopyToAsync(plugin, _stop.Token);
            await plugin.CopyToAsync(client, _stop.Token);
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException or SocketException or AuthenticationException)
        {
            // The engine does not trust this server, or the test is over.
        }
    }

    private async Task<Stream> SecureAsync(NetworkStream plain)
    {
        if (_certificate is null)
        {
            return plain;
        }

        SslStream secure = new(plain);
        using var certificate = X509Certificate2.CreateFromPemFile($"{_certificate}.pem", $"{_certificate}-key.pem");
        await secure.AuthenticateAsServerAsync(
            new SslServerAuthenticationOptions { ServerCertificate = certificate, ClientCertificateRequired = true, RemoteCertificateValidationCallback = (_, shown, _, _) => shown is null or { Subject.Length: > 0 } }, _stop.Token);
        Clients.Add(secure.RemoteCertificate?.Subject ?? "");
        return secure;
    }
}
