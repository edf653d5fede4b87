using System.IO.Pipelines;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Connections;
using Slipway.Http;

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
