using Slipway.Kernel.Compression;

namespace Slipway.Storage.Images;

/// <summary>Reports what is read, every half MiB and at the end.</summary>
internal sealed class ProgressStream(Stream source, IProgress<ImageProgress> progress, string? id, string action, long total) : ReadOnlyStream
{
    private const long Step = 512 << 10;

    private long _count;
    private long _reported;

    public override int Read(Span<byte> buffer)
    {
        var count = source.Read(buffer);
        _count += count;
        if (_count - _reported >= Step || (count == 0 && _reported < _count))
        {
            _reported = _count;
            progress.Report(new ImageProgress(id, action, _count, total));
        }

        return count;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            source.Dispose();
        }

        base.Dispose(disposing);
    }
}
