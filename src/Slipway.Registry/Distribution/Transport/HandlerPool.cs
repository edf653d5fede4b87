using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace Slipway.Registry.Distribution.Transport;

/// <summary>
/// Connections, pooled by host, because each host has TLS settings of its own. Nothing is followed, stored or decompressed on the way:
/// redirects are followed by hand, cookies are not kept, bodies are what was sent.
/// </summary>
internal sealed class HandlerPool(RegistryConfiguration configuration, EndpointDirectory directory) : IDisposable
{
    private readonly ConcurrentDictionary<string, Lazy<PooledHandler>> _handlers = new();

    /// <summary>Sends a request; the answer is returned when its headers are there.</summary>
    public Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var address = request.RequestUri!;
        request.Headers.UserAgent.Clear();
        request.Headers.UserAgent.Add(ProductInfoHeaderValue.Parse(configuration.UserAgent));
        request.Version = address.Scheme == Uri.UriSchemeHttps ? HttpVersion.Version20 : HttpVersion.Version11;
        request.VersionPolicy = HttpVersionPolicy.RequestVersionOrLower;
        return For(address).SendAsync(request, cancellationToken);
    }

    public void Dispose()
    {
        foreach (var handler in _handlers.Values.Where(handler => handler.IsValueCreated))
        {
            handler.Value.Invoker.Dispose();
        }
    }

    private HttpMessageInvoker For(Uri address)
    {
        var insecure = directory.InsecureBecause(address);
        var key = $"{address.Scheme}://{address.Authority} {insecure}";
        var stamp = CertificateDirectory.Stamp(configuration, address);
        while (true)
        {
            var entry = _handlers.GetOrAdd(key, _ => new Lazy<PooledHandler>(() => new PooledHandler(stamp, Create(address, insecure))));
            try
            {
                if (entry.Value.Stamp == stamp)
                {
                    return entry.Value.Invoker;
                }
            }
            catch (RegistryException)
            {
                _handlers.TryRemove(KeyValuePair.Create(key, entry));
                throw;
            }

            // Requests under way keep the old handler; its idle connections close by themselves.
            _handlers.TryRemove(KeyValuePair.Create(key, entry));
        }
    }

    private HttpMessageInvoker Create(Uri address, InsecureReason insecure)
    {
        var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            AutomaticDecompression = DecompressionMethods.None,
            ActivityHeadersPropagator = null,
            ConnectTimeout = configuration.Retry.ConnectTimeout,
            PooledConnectionIdleTimeout = TimeSpan.FromSeconds(30),
            EnableMultipleHttp2Connections = true,
            InitialHttp2StreamWindowSize = 1 << 20,
            Proxy = configuration.Proxies,
            UseProxy = configuration.Proxies.GetProxy(address) is not null,
            SslOptions = TlsOptions(address, insecure),
        };
        if (insecure == InsecureReason.Network && !handler.UseProxy)
        {
            handler.ConnectCallback = ConnectToInsecureNetworkAsync;
        }

        return new HttpMessageInvoker(handler);
    }

    private SslClientAuthenticationOptions TlsOptions(Uri address, InsecureReason insecure)
    {
        var certificates = CertificateDirectory.Read(configuration, address);
        var options = new SslClientAuthenticationOptions();
        if (certificates.Client is { } client)
        {
            options.ClientCertificateContext = SslStreamCertificateContext.Create(client, certificates.Authorities, offline: true);
        }

#pragma warning disable CA5359 // What "insecure" means: the user configured that this host is taken at its word.
        options.RemoteCertificateValidationCallback = insecure != InsecureReason.None
            ? (_, _, _, _) => true
#pragma warning restore CA5359
            : (_, certificate, chain, errors) => CertificateTrust.Verify(address.IdnHost, certificate, chain, errors, certificates.Authorities);
        return options;
    }

    /// <summary>
    /// Connects a name that is insecure because it stands for an address in such a network, to such an address only: a
    /// resolver that answers differently the second time cannot turn verification off for another host.
    /// </summary>
    private async ValueTask<Stream> ConnectToInsecureNetworkAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var addresses = await Dns.GetHostAddressesAsync(context.DnsEndPoint.Host, cancellationToken).ConfigureAwait(false);
        var allowed = addresses.Where(directory.IsInsecureAddress).ToArray();
        if (allowed.Length == 0)
        {
            throw new IOException($"{context.DnsEndPoint.Host} no longer stands for an address in an insecure network");
        }

        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(allowed, context.DnsEndPoint.Port, cancellationToken).ConfigureAwait(false);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private sealed record PooledHandler(long Stamp, HttpMessageInvoker Invoker);
}
