using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Connections;
using Slipway.Http;
using Slipway.Server.Streams;

namespace Slipway.Server.Transport;

/// <summary>TLS over the connection's pipes, so that a half-closed connection behaves as without TLS, and a hijacked one is the decrypted one.</summary>
internal sealed class ApiTls(SslServerAuthenticationOptions options) : TlsLayer(options)
{
    protected override Stream Open(ConnectionContext connection) => new DuplexStream(connection.Transport);

    protected override void Authenticated(ConnectionContext connection, SslStream stream)
    {
        if (stream.RemoteCertificate is X509Certificate2 certificate)
        {
            connection.Features.Set(new ClientCertificate(certificate));
        }
    }
}
