using System.Security.Cryptography;
using Slipway.Oci;
using Slipway.Storage.Threading;

namespace Slipway.Storage.Content;

/// <summary>Computes digest and length of what is written through it.</summary>
internal sealed class DigestSink(Stream destination) : WriteOnlyStream
{
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private long _count;

    public override long Length => _count;

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        _hash.AppendData(buffer);
        _count += buffer.Length;
        destination.Write(buffer);
    }

    /// <summary>The digest of everything so far; nothing can be added after.</summary>
    public Digest Finish() => Digest.FromHash(_hash.GetHashAndReset());

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _hash.Dispose();
        }

        base.Dispose(disposing);
    }
}
