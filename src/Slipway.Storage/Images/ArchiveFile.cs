using Slipway.Oci;
using Slipway.Storage.Content;
using Slipway.Storage.Layers;

namespace Slipway.Storage.Images;

/// <summary>
/// A file of an archive: its bytes in a blob that is not published yet, or the layer that was unpacked from it while it was read, or both: a
/// compressed layer's bytes can be had nowhere else.
/// </summary>
internal sealed record ArchiveFile(Digest Digest, long Length, BlobWriter? Blob, SpeculativeLayer? Layer) : IDisposable
{
    public void Dispose()
    {
        Layer?.Dispose();
        Blob?.Dispose();
    }
}
