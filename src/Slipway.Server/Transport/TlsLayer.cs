using System.IO.Pipelines;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Connections;

namespace Slipway.Server.Transport;

/// <summary>TLS between a connection and the HTTP server. (Kestrel's own asks for services of a host, which there is none of.)</summary>
/// <remarks>It speaks over the connection's pipes, so a half-closed connection behaves as without TLS, and a hijacked one is the decrypted one.</remarks>
internal sealed class TlsLayer(SslServerAuthenticationOptions options)
{
    /// <summary>A client that does not come to an end with its handshake.</summary>
    private static readonly TimeSpan s_handshake = TimeSpan.FromSeconds(10);

    private const int BufferSize = 32 * 1024;

    public ConnectionDelegate Wrap(ConnectionDelegate next) => async connection =>
    {
        IDuplexPipe plain = connection.Transport;
        await using SslStream stream = new(new DuplexStream(plain));
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

        if (stream.RemoteCertificate is X509Certificate2 certificate)
        {
            connection.Features.Set(new ClientCertificate(certificate));
        }

        Encrypted encrypted = new(
            PipeReader.Create(stream, new StreamPipeReaderOptions(BlockMemoryPool.Instance, BufferSize, leaveOpen: true)),
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

    /// <summary>The two directions of a connection as one stream.</summary>
    private sealed class DuplexStream(IDuplexPipe pipe) : Stream
    {
        private readonly Stream _input = pipe.Input.AsStream(leaveOpen: true);
        private readonly Stream _output = pipe.Output.AsStream(leaveOpen: true);

        public override bool CanRead => true;

        public override bool CanWrite => true;

        public override bool CanSeek => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => _input.ReadAsync(buffer, cancellationToken);

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => _output.WriteAsync(buffer, cancellationToken);

        public override Task FlushAsync(CancellationToken cancellationToken) => _output.FlushAsync(cancellationToken);

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("connections are read asynchronously");

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException("connections are written asynchronously");

        public override void Flush()
        {
            // Every asynchronous write of a pipe is flushed.
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
