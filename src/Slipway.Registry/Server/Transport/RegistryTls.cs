using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;
using Slipway.Http;

namespace Slipway.Registry.Server.Transport;

/// <summary>TLS right on the socket: nothing of a registry's connections is ever handed on undecrypted.</summary>
internal sealed class RegistryTls(SslServerAuthenticationOptions options) : TlsLayer(options)
{
    protected override bool WaitsWithoutBuffer => true;

    protected override Stream Open(ConnectionContext connection) =>
        new NetworkStream(connection.Features.GetRequiredFeature<IConnectionSocketFeature>().Socket, ownsSocket: false);

    protected override void Authenticated(ConnectionContext connection, SslStream stream)
    {
        // The kernel cannot encrypt what it sends from files.
        connection.Features.Set<IFileOutput>(null);
        connection.Features.Set<ITlsConnectionFeature>(new TlsFeature { ClientCertificate = stream.RemoteCertificate as X509Certificate2 });
    }

    private sealed class TlsFeature : ITlsConnectionFeature
    {
        public X509Certificate2? ClientCertificate { get; set; }

        public Task<X509Certificate2?> GetClientCertificateAsync(CancellationToken cancellationToken) => Task.FromResult(ClientCertificate);
    }
}
