using Slipway.Oci;
using Slipway.Registry.Distribution;

namespace Slipway.Engine.Images.Registries;

/// <summary>Image configurations at a registry.</summary>
internal static class ConfigBlob
{
    /// <summary>Bytes; those of large images have some hundred thousand.</summary>
    private const int MaxSize = 8 << 20;

    /// <summary>Reads one and verifies it.</summary>
    /// <exception cref="EngineException">InvalidParameter: too large, or not what its digest says.</exception>
    public static async Task<byte[]> ReadAsync(IRemoteRepository repository, Descriptor descriptor, CancellationToken cancellationToken)
    {
        if (descriptor.Digest.IsNone || descriptor.Size is < 0 or > MaxSize)
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"the image's configuration has {descriptor.Size} bytes, at most {MaxSize} are allowed");
        }

        byte[] content = new byte[descriptor.Size];
        await using Stream blob = await repository.OpenBlobAsync(descriptor, offset: 0, cancellationToken);
        await blob.ReadExactlyAsync(content, cancellationToken);

        // One more read lets the stream say that there is more than was announced.
        return await blob.ReadAsync(new byte[1], cancellationToken) == 0 && Digest.Of(content) == descriptor.Digest
            ? content
            : throw new EngineException(ErrorKind.InvalidParameter, $"image config verification failed for digest {descriptor.Digest}");
    }
}
