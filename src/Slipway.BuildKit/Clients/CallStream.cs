using Slipway.Api.Streams;
using Slipway.BuildKit.Protocol;
using Slipway.Grpc;

namespace Slipway.BuildKit.Clients;

/// <summary>The bytes that a caller sends, to be read once.</summary>
internal sealed class CallStream(GrpcCall call) : AsyncStream
{
    private ReadOnlyMemory<byte> _rest;

    public override bool CanWrite => false;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (_rest.IsEmpty)
        {
            if (await call.ReadAsync(Bytes.Parser) is not { } message)
            {
                return 0;
            }

            _rest = message.Data.Memory;
        }

        int count = Math.Min(buffer.Length, _rest.Length);
        _rest[..count].CopyTo(buffer);
        _rest = _rest[count..];
        return count;
    }
}
