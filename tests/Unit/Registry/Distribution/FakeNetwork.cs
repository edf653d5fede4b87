using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Slipway.Registry.Distribution;

namespace Slipway.Tests.Unit.Registry.Distribution;

/// <summary>
/// Hosts with names, certificates of an authority of its own, and a proxy that leads to them: what a name resolves to is the
/// test's choice, and verification is as on any network.
/// </summary>
internal sealed class FakeNetwork : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly ConcurrentDictionary<string, int> _hosts = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly List<FakeRegistry> _registries = [];
    private readonly Task _running;

    public FakeNetwork()
    {
        var request = new CertificateRequest("CN=Test authority", _key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, false, 0, critical: true));
        Authority = request.CreateSelfSigned(Start, End);
        _listener.Start();
        _running = AcceptAsync();
    }

    private static DateTimeOffset Start => TimeProvider.System.GetUtcNow().AddDays(-1);

    private static DateTimeOffset End => TimeProvider.System.GetUtcNow().AddDays(1);

    public X509Certificate2 Authority { get; }

    /// <summary>Where CONNECT asked to go.</summary>
    public ConcurrentQueue<string> Connected { get; } = new();

    public string Proxy => $"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}";

    /// <summary>Through the proxy, with what <paramref name="certificates"/> holds.</summary>
    public RegistryConfiguration Configuration(CertificateFolder certificates) => new()
    {
        Proxies = new ProxySettings(null, Proxy, null),
        CertificateDirectories = [certificates.Path],
        Retry = DistributionTest.Patience,
    };

    /// <summary>A registry that speaks TLS as <paramref name="host"/>, port 443.</summary>
    public async Task<FakeRegistry> AddAsync(string host, string? certifiedFor = null, bool askForClient = false)
    {
        var registry = await FakeRegistry.StartAsync(Issue(certifiedFor ?? host, "1.3.6.1.5.5.7.3.1"), askForClient);
        _registries.Add(registry);
        _hosts[host] = registry.Port;
        return registry;
    }

    /// <summary>A certificate with its key, of the authority.</summary>
    public X509Certificate2 Issue(string name, string usage)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(name);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(usage)], critical: false));
        using var issued = request.Create(Authority, Start.AddHours(1), End.AddHours(-1), RandomNumberGenerator.GetBytes(8));
        return issued.CopyWithPrivateKey(key);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        await _running;
        foreach (var registry in _registries)
        {
            await registry.DisposeAsync();
        }

        _stop.Dispose();
        _key.Dispose();
    }

    private async Task AcceptAsync()
    {
        List<Task> tunnels = [];
        try
        {
            while (true)
            {
                tunnels.Add(TunnelAsync(await _listener.AcceptTcpClientAsync(_stop.Token)));
            }
        }
        catch (Exception error) when (error is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            await Task.WhenAll(tunnels);
        }
    }

    private async Task TunnelAsync(TcpClient client)
    {
        using (client)
        {
            try
            {
                var stream = client.GetStream();
                var head = await ReadHeadAsync(stream);
                var target = head.Split(' ')[1];
                Connected.Enqueue(target);
                if (!_hosts.TryGetValue(target.Split(':')[0], out var port))
                {
                    await stream.WriteAsync("HTTP/1.1 502 Bad Gateway\r\n\r\n"u8.ToArray(), _stop.Token);
                    return;
                }

                using var server = new TcpClient();
                await server.ConnectAsync(IPAddress.Loopback, port, _stop.Token);
                await stream.WriteAsync("HTTP/1.1 200 OK\r\n\r\n"u8.ToArray(), _stop.Token);
                await Task.WhenAny(stream.CopyToAsync(server.GetStream(), _stop.Token), server.GetStream().CopyToAsync(stream, _stop.Token));
            }
            catch (Exception error) when (error is OperationCanceledException or IOException or SocketException)
            {
                // One side is gone, and so is the tunnel.
            }
        }
    }

    private async Task<string> ReadHeadAsync(NetworkStream stream)
    {
        var head = new StringBuilder();
        var one = new byte[1];
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal) && await stream.ReadAsync(one, _stop.Token) > 0)
        {
            head.Append((char)one[0]);
        }

        return head.ToString();
    }
}
