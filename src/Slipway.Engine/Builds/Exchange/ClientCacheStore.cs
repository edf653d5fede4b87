using Slipway.Oci;

namespace Slipway.Engine.Builds.Exchange;

/// <summary>A cache in a directory of the client, who keeps the index of it.</summary>
/// <param name="digest">Of the manifest that is imported; none for an export.</param>
internal sealed class ClientCacheStore(IBlobStore blobs, Digest digest) : CacheStore
{
    public override Task<byte[]> ManifestAsync(CancellationToken cancellationToken) => ReadAsync(new Descriptor { Digest = digest }, cancellationToken);

    public override Task<Stream> OpenAsync(Descriptor blob, CancellationToken cancellationToken) => blobs.OpenAsync(blob.Digest, cancellationToken);

    public override async Task WriteAsync(Descriptor blob, Func<CancellationToken, ValueTask<Stream>> open, CancellationToken cancellationToken)
    {
        if (!await blobs.HasAsync(blob.Digest, cancellationToken))
        {
            await using Stream content = await open(cancellationToken);
            await blobs.WriteAsync(blob, content, cancellationToken);
        }
    }

    public override Task FinishAsync(Descriptor manifest, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
        WriteAsync(manifest, _ => ValueTask.FromResult<Stream>(new MemoryStream(content.ToArray(), writable: false)), cancellationToken);

    public override ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
