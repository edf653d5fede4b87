namespace Slipway.Runtime.Logs;

/// <summary>A growing array of bytes that is filled at its end and taken from its start. Not thread-safe.</summary>
internal sealed class ByteBuffer
{
    private byte[] _bytes = [];
    private int _start;
    private int _end;

    public int Length => _end - _start;

    public ReadOnlySpan<byte> Written => _bytes.AsSpan(_start, Length);

    public void Append(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(Reserve(bytes.Length));
        _end += bytes.Length;
    }

    public void Append(byte value)
    {
        Reserve(1)[0] = value;
        _end++;
    }

    /// <summary>Space for at least <paramref name="length"/> bytes; <see cref="Advance"/> tells how many were written.</summary>
    public Span<byte> Reserve(int length)
    {
        if (_bytes.Length - _end < length)
        {
            byte[] target = Length + length <= _bytes.Length ? _bytes : new byte[Math.Max(Length + length, Math.Max(256, _bytes.Length * 2))];
            Written.CopyTo(target);
            _end = Length;
            _start = 0;
            _bytes = target;
        }

        return _bytes.AsSpan(_end);
    }

    public void Advance(int length) => _end += length;

    /// <summary>Takes bytes from the start.</summary>
    public void Consume(int length)
    {
        _start += length;
        if (_start == _end)
        {
            _start = _end = 0;
        }
    }

    public void Clear() => _start = _end = 0;

    /// <summary>Gives the memory back where the buffer is empty: what waits is rare, what could wait is everything.</summary>
    public void TrimIfEmpty()
    {
        if (Length == 0 && _bytes.Length > 0)
        {
            _bytes = [];
            _start = _end = 0;
        }
    }
}
