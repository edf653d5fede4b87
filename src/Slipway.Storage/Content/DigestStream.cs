using System.Security.Cryptography;
using Slipway.Kernel.Compression;
using Slipway.Oci;

namespace Slipway.Storage.Content;

/// <summary>Computes the digest of what is read through it, and may copy it to a second place.</summary>
internal sealed class DigestStream(Stream source, Stream? copy = null) : ReadOnlyStream
{
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

    public long Count { get; private set; }

    public override int Read(Span<byte> buffer)
    {
        var count = source.Read(buffer);
        _hash.AppendData(buffer[..count]);
        copy?.Write(buffer[..count]);
        Count += count;
        return count;
    }

    /// <summary>Reads what is left (a tar may be padded beyond its end) and returns the digest of everything.</summary>
    public Digest Finish(CancellationToken cancellationToken)
    {
        Span<byte> scratch = stackalloc byte[8192];
        while (Read(scratch) > 0)
        {
            cancellationToken.ThrowIfCancellationRequested();
        }

        return Digest.FromHash(_hash.GetHashAndReset());
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _hash.Dispose();
            source.Dispose();
        }

        base.Dispose(disposing);
    }
}
