using System.IO.Pipelines;
using System.Net.Security;
using System.Security.Authentication;
using Microsoft.AspNetCore.Connections;

namespace Slipway.Http;

/// <summary>TLS between a connection and the HTTP server. (Kestrel's own asks for services of a host, which there is none of.)</summary>
public abstract class TlsLayer(SslServerAuthenticationOptions options)
{
    /// <summary>A client that does not come to an end with its handshake.</summary>
    private static readonly TimeSpan s_handshake = TimeSpan.FromSeconds(10);

    private const int BufferSize = 32 * 1024;

    /// <summary>Whether a connection that is idle waits without a buffer, which its stream must be able to.</summary>
    protected virtual bool WaitsWithoutBuffer => false;

    /// <summary>Adds the layer to a connection's pipeline.</summary>
    public ConnectionDelegate Wrap(ConnectionDelegate next) => async connection =>
    {
        await using SslStream stream = new(Open(connection));
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

        Authenticated(connection, stream);
        IDuplexPipe plain = connection.Transport;
        Encrypted encrypted = new(
            PipeReader.Create(stream, new StreamPipeReaderOptions(BlockMemoryPool.Instance, BufferSize, leaveOpen: true, useZeroByteReads: WaitsWithoutBuffer)),
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

    /// <summary>The stream that is encrypted.</summary>
    protected abstract Stream Open(ConnectionContext connection);

    /// <summary>The handshake is done: tells the requests of the connection what they may know of it.</summary>
    protected abstract void Authenticated(ConnectionContext connection, SslStream stream);

    private sealed record Encrypted(PipeReader Input, PipeWriter Output) : IDuplexPipe;
}
