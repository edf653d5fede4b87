using Slipway.Oci;

namespace Slipway.Registry.Peers;

/// <summary>The layers an engine has.</summary>
public interface ISharedLayers
{
    /// <summary>A layer by the digest of its uncompressed tar, or null. It stays until the result is disposed.</summary>
    ValueTask<SharedLayer?> FindAsync(Digest diffId, CancellationToken cancellationToken);
}

/// <summary>A layer that is here.</summary>
public abstract class SharedLayer : IAsyncDisposable
{
    /// <summary>Bytes of the tar.</summary>
    public abstract long Length { get; }

    /// <summary>The exact tar, to be read asynchronously.</summary>
    public abstract ValueTask<Stream> OpenAsync(CancellationToken cancellationToken);

    public abstract ValueTask DisposeAsync();
}
