using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;
using Slipway.Storage.Threading;

namespace Slipway.Storage.Content;

/// <summary>
/// Writes to a file from its beginning on; failures carry errno, which tells a full disk from other trouble. Owns the descriptor; what is
/// written after it was disposed is dropped.
/// </summary>
internal sealed class DescriptorStream(SafeFileHandle file) : WriteOnlyStream
{
    private long _length;

    public override long Length => _length;

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        if (file.IsClosed)
        {
            return;
        }

        Descriptors.WriteAt(file, buffer, _length);
        _length += buffer.Length;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            file.Dispose();
        }

        base.Dispose(disposing);
    }
}
