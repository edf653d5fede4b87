using System.Security.Cryptography;
using Slipway.Engine.Images.Registries;
using Slipway.Oci;
using Slipway.Registry.Distribution;

namespace Slipway.Engine.Images.Push;

/// <summary>
/// A blob on its way from one registry to another. Its digest is checked before its end is told, so that what one registry
/// made of it never gets another's name.
/// </summary>
internal sealed class SourceStream(Stream inner, Descriptor blob) : TransferStream(inner)
{
    private readonly IncrementalHash _hash = blob.Digest.CreateHash();

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        int read = await base.ReadAsync(buffer, cancellationToken);
        Count(buffer.Span[..read], end: read == 0 && buffer.Length > 0);
        return read;
    }

    public override int Read(Span<byte> buffer)
    {
        int read = base.Read(buffer);
        Count(buffer[..read], end: read == 0 && buffer.Length > 0);
        return read;
    }

    protected override void End() => _hash.Dispose();

    private void Count(ReadOnlySpan<byte> bytes, bool end)
    {
        _hash.AppendData(bytes);
        if (end && Digest.FromHash(_hash.GetCurrentHash()) != blob.Digest)
        {
            throw new RegistryException(RegistryErrorKind.Invalid, $"layer verification failed for digest {blob.Digest}");
        }
    }
}
