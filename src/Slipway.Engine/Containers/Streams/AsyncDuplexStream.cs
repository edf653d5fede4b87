using Slipway.Api.Streams;

namespace Slipway.Engine.Containers.Streams;

/// <summary>A stream in both directions that is used asynchronously only, over another that it owns.</summary>
internal abstract class AsyncDuplexStream(Stream inner) : AsyncStream
{
    protected Stream Inner { get; } = inner;

    public sealed override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => Inner.WriteAsync(buffer, cancellationToken);

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            Inner.Dispose();
        }

        base.Dispose(disposing);
    }
}
