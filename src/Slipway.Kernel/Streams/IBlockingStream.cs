using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Streams;

/// <summary>
/// A stream whose synchronous calls wait in the kernel: it is to be used by a thread of its own, which then needs nobody that
/// hands it the bytes.
/// </summary>
public interface IBlockingStream
{
    /// <summary>Bytes that have gone through; for another thread, which sees by it whether the peer keeps this one waiting.</summary>
    long Moved { get; }

    /// <summary>From another thread: ends a wait for the peer, and every later one, with <see cref="OperationCanceledException"/>.</summary>
    void Interrupt();
}

/// <summary>A stream that takes a file's bytes without their passing through the process.</summary>
public interface IFileSink
{
    /// <summary>
    /// Writes exactly <paramref name="count"/> bytes, of the file from its beginning; where it turns out shorter, zeros.
    /// </summary>
    void WriteFile(SafeFileHandle file, long count);
}
