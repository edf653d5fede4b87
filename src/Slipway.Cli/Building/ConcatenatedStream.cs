using Slipway.Api.Streams;

namespace Slipway.Cli.Building;

/// <summary>One stream after another, to be read once.</summary>
internal sealed class ConcatenatedStream(Stream first, Stream second) : AsyncStream
{
    private bool _firstEnded;

    public override bool CanWrite => false;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (!_firstEnded)
        {
            int count = await first.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
            if (count > 0)
            {
                return count;
            }

            _firstEnded = true;
        }

        return await second.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
    }
}
