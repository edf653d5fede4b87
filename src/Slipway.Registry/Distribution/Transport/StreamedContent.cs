using System.Buffers;
using System.Net;

namespace Slipway.Registry.Distribution.Transport;

/// <summary>A request body of known length that is read while it is sent.</summary>
internal sealed class StreamedContent(Stream source, long length, Action<int> sent) : HttpContent
{
    private const int BufferSize = 128 << 10;

    /// <summary>Called after each piece, so that a slow upload is told from one that stands still.</summary>
    public Action? Progressed { get; set; }

    /// <summary>What went wrong on our side, or null.</summary>
    public Exception? SourceError { get; private set; }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
        try
        {
            for (var left = length; left > 0;)
            {
                var read = await ReadAsync(buffer.AsMemory(0, (int)Math.Min(left, buffer.Length)), cancellationToken).ConfigureAwait(false);
                await stream.WriteAsync(buffer.AsMemory(0, read), cancellationToken).ConfigureAwait(false);
                left -= read;
                sent(read);
                Progressed?.Invoke();
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    protected override bool TryComputeLength(out long computed)
    {
        computed = length;
        return true;
    }

    private async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        try
        {
            var read = await source.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
            return read > 0 ? read : throw new EndOfStreamException("the blob to push has fewer bytes than its descriptor says");
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            SourceError = error;
            throw;
        }
    }
}

/// <summary>The blob to push could not be read; trying again would not help.</summary>
internal sealed class SourceException(Exception cause) : Exception(cause.Message, cause);
