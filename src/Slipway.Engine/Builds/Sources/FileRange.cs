using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Compression;
using Slipway.Oci.Tar;

namespace Slipway.Engine.Builds.Sources;

/// <summary>A part of a file.</summary>
internal sealed class FileRange(SafeFileHandle file, long offset, long length) : ReadOnlyStream
{
    private long _position;

    public override int Read(Span<byte> buffer)
    {
        int wanted = (int)Math.Min(buffer.Length, length - _position);
        if (wanted == 0)
        {
            return 0;
        }

        int count = RandomAccess.Read(file, buffer[..wanted], offset + _position);
        _position += count;
        return count > 0 ? count : throw new EndOfStreamException();
    }
}

/// <summary>A sparse file of a tar, whose segments lie one after the other, with its holes.</summary>
internal sealed class SparseContent(SafeFileHandle file, long offset, IReadOnlyList<SparseSegment> segments, long length) : ReadOnlyStream
{
    private long _position;
    private int _segment;
    private long _stored;

    public override int Read(Span<byte> buffer)
    {
        while (_segment < segments.Count && _position >= segments[_segment].End)
        {
            _stored += segments[_segment++].Length;
        }

        long hole = (_segment < segments.Count ? segments[_segment].Offset : length) - _position;
        if (hole > 0)
        {
            int zeros = (int)Math.Min(buffer.Length, hole);
            buffer[..zeros].Clear();
            _position += zeros;
            return zeros;
        }

        if (_segment == segments.Count)
        {
            return 0;
        }

        SparseSegment segment = segments[_segment];
        int wanted = (int)Math.Min(buffer.Length, segment.End - _position);
        int count = RandomAccess.Read(file, buffer[..wanted], offset + _stored + _position - segment.Offset);
        _position += count;
        return count > 0 || wanted == 0 ? count : throw new EndOfStreamException();
    }
}
