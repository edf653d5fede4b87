using System.IO.Pipelines;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;

namespace Slipway.Registry.Server.Transport;

/// <summary>TLS between a connection and the HTTP server. (Kestrel's own asks for services of a host, which there is none of.)</summary>
internal sealed class TlsLayer(SslServerAuthenticationOptions options)
{
    /// <summary>A client that does not come to an end with its handshake.</summary>
    private static readonly TimeSpan s_handshake = TimeSpan.FromSeconds(10);

    private const int BufferSize = 32 * 1024;

    public ConnectionDelegate Wrap(ConnectionDelegate next) => async connection =>
    {
        Socket socket = connection.Features.GetRequiredFeature<IConnectionSocketFeature>().Socket;
        await using SslStream stream = new(new NetworkStream(socket, ownsSocket: false));
        using (CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(connection.ConnectionClosed))
        {
            limit.CancelAfter(s_handshake);
            try
            {
                await stream.AuthenticateAsServerAsync(options, limit.Token);
            }
            catch (Exception e) when (e is AuthenticationException or IOException or OperationCanceledException)
            {
                // No TLS, no common version, no certificate that is wanted: the handshake has told the client.
                return;
            }
        }

        // The kernel cannot encrypt what it sends from files.
        connection.Features.Set<IFileOutput>(null);
        connection.Features.Set<ITlsConnectionFeature>(new TlsFeature { ClientCertificate = stream.RemoteCertificate as X509Certificate2 });
        IDuplexPipe plain = connection.Transport;
        Encrypted encrypted = new(
            PipeReader.Create(stream, new StreamPipeReaderOptions(BlockMemoryPool.Instance, BufferSize, leaveOpen: true, useZeroByteReads: true)),
            PipeWriter.Create(stream, new StreamPipeWriterOptions(BlockMemoryPool.Instance, BufferSize, leaveOpen: true)));
        connection.Transport = encrypted;
        try
        {
            await next(connection);
        }
        finally
        {
            await encrypted.Input.CompleteAsync();
            await encrypted.Output.CompleteAsync();
            connection.Transport = plain;
        }
    };

    private sealed record Encrypted(PipeReader Input, PipeWriter Output) : IDuplexPipe;

    private sealed class TlsFeature : ITlsConnectionFeature
    {
        public X509Certificate2? ClientCertificate { get; set; }

        public Task<X509Certificate2?> GetClientCertificateAsync(CancellationToken cancellationToken) => Task.FromResult(ClientCertificate);
    }
}
