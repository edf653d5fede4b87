namespace Slipway.Storage.Images;

/// <summary>The exact uncompressed tar of a layer, whose digest is the layer's diff id. The layer stays in the store until this is disposed.</summary>
public sealed class LayerTar : IDisposable
{
    private readonly Func<Stream> _open;
    private readonly IDisposable _pin;

    internal LayerTar(long length, Func<Stream> open, IDisposable pin) => (Length, _open, _pin) = (length, open, pin);

    /// <summary>Bytes.</summary>
    public long Length { get; }

    /// <summary>The tar, made while it is read, and verified: it ends only where its digest was right. Read asynchronously.</summary>
    public Stream OpenRead() => _open();

    public void Dispose() => _pin.Dispose();
}
