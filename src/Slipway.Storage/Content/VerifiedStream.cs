using System.Security.Cryptography;
using Slipway.Kernel.Compression;
using Slipway.Oci;

namespace Slipway.Storage.Content;

/// <summary>
/// A blob on its way in: it may not be longer than its descriptor says, and <see cref="Finish"/> tells whether length and digest
/// are right. What reads it may dispose it before: it is ended by <see cref="Finish"/> alone.
/// </summary>
/// <param name="read">Told how many bytes have been read.</param>
internal sealed class VerifiedStream(Stream source, Descriptor descriptor, Action<long> read) : ReadOnlyStream
{
    private readonly IncrementalHash _hash = descriptor.Digest.CreateHash();
    private long _count;

    /// <exception cref="StorageException">InvalidParameter: the blob is longer than its descriptor says.</exception>
    public override int Read(Span<byte> buffer)
    {
        var count = source.Read(buffer);
        if (count > 0)
        {
            _hash.AppendData(buffer[..count]);
            _count += count;
            if (_count > descriptor.Size)
            {
                throw Wrong($"it has more than the {descriptor.Size} bytes of its descriptor");
            }

            read(_count);
        }

        return count;
    }

    /// <summary>Reads what a decompressor left over, and compares.</summary>
    /// <exception cref="StorageException">InvalidParameter: wrong length or digest.</exception>
    public void Finish(CancellationToken cancellationToken)
    {
        Span<byte> scratch = stackalloc byte[8192];
        while (Read(scratch) > 0)
        {
            cancellationToken.ThrowIfCancellationRequested();
        }

        if (_count != descriptor.Size)
        {
            throw Wrong($"it has {_count} bytes, its descriptor says {descriptor.Size}");
        }

        var actual = Digest.FromHash(_hash.GetHashAndReset());
        if (actual != descriptor.Digest)
        {
            throw Wrong($"its digest is {actual}");
        }
    }

    /// <summary>Lets go of the hash; the source stays the caller's.</summary>
    public void Release() => _hash.Dispose();

    private StorageException Wrong(string what) => new(StorageErrorKind.InvalidParameter, $"filesystem layer verification failed for digest {descriptor.Digest}: {what}");
}
