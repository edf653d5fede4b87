using Slipway.Kernel.Compression;

namespace Slipway.Storage.Content;

/// <summary>Copies what is read from a source; the source stays open.</summary>
internal sealed class TeeStream(Stream source, Stream copy) : ReadOnlyStream
{
    private Stream? _copy = copy;

    public override int Read(Span<byte> buffer)
    {
        var count = source.Read(buffer);
        _copy?.Write(buffer[..count]);
        return count;
    }

    /// <summary>Copies no more.</summary>
    public void Detach() => _copy = null;

    /// <summary>Reads to the end.</summary>
    public void Drain(CancellationToken cancellationToken)
    {
        Span<byte> scratch = stackalloc byte[8192];
        while (Read(scratch) > 0)
        {
            cancellationToken.ThrowIfCancellationRequested();
        }
    }
}
