using System.Buffers;
using System.Collections;
using Slipway.Kernel.Files;

namespace Slipway.Storage.Layers;

/// <summary>Paths of directories with their times, in one buffer: a layer may have a million of them.</summary>
internal sealed class DirectoryTimes : IEnumerable<(byte[] Path, FileTime Time)>
{
    private const int HeaderLength = 20;

    private readonly ArrayBufferWriter<byte> _buffer = new();

    public void Add(ReadOnlySpan<byte> path, FileTime time)
    {
        var record = _buffer.GetSpan(HeaderLength + path.Length);
        BitConverter.TryWriteBytes(record, path.Length);
        BitConverter.TryWriteBytes(record[4..], time.Seconds);
        BitConverter.TryWriteBytes(record[12..], time.Nanoseconds);
        path.CopyTo(record[HeaderLength..]);
        _buffer.Advance(HeaderLength + path.Length);
    }

    public IEnumerator<(byte[] Path, FileTime Time)> GetEnumerator()
    {
        for (var offset = 0; offset < _buffer.WrittenCount;)
        {
            var record = _buffer.WrittenSpan[offset..];
            var length = BitConverter.ToInt32(record);
            var time = new FileTime(BitConverter.ToInt64(record[4..]), BitConverter.ToInt64(record[12..]));
            var path = record.Slice(HeaderLength, length).ToArray();
            offset += HeaderLength + length;
            yield return (path, time);
        }
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
