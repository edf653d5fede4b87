using System.Buffers;
using Slipway.Oci;

namespace Slipway.Engine.Builds.Exchange;

/// <summary>Where a cache is kept: a repository of a registry, a directory of the client.</summary>
internal abstract class CacheStore : IAsyncDisposable
{
    /// <summary>Bytes; the document of a large build has some hundred kilobytes.</summary>
    private const int MaximumDocument = 32 << 20;

    /// <summary>The manifest or index that is imported.</summary>
    /// <exception cref="EngineException">NotFound: there is none.</exception>
    public abstract Task<byte[]> ManifestAsync(CancellationToken cancellationToken);

    public abstract Task<Stream> OpenAsync(Descriptor blob, CancellationToken cancellationToken);

    /// <summary>Puts a blob where it is not yet.</summary>
    public abstract Task WriteAsync(Descriptor blob, Func<CancellationToken, ValueTask<Stream>> open, CancellationToken cancellationToken);

    /// <summary>Puts the manifest, after all that it names.</summary>
    public abstract Task FinishAsync(Descriptor manifest, ReadOnlyMemory<byte> content, CancellationToken cancellationToken);

    public abstract ValueTask DisposeAsync();

    /// <summary>A document, its digest verified.</summary>
    public async Task<byte[]> ReadAsync(Descriptor blob, CancellationToken cancellationToken)
    {
        if (blob.Size is < 0 or > MaximumDocument)
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"blob {blob.Digest} is too large ({blob.Size} > {MaximumDocument})");
        }

        await using Stream content = await OpenAsync(blob, cancellationToken);
        byte[] document = await ReadAsync(content, cancellationToken);
        return blob.Digest.Algorithm == Digest.Of(document).Algorithm && Digest.Of(document) == blob.Digest
            ? document : throw new EngineException(ErrorKind.InvalidParameter, $"blob {blob.Digest} has other content");
    }

    private static async Task<byte[]> ReadAsync(Stream content, CancellationToken cancellationToken)
    {
        using MemoryStream document = new();
        byte[] buffer = ArrayPool<byte>.Shared.Rent(64 << 10);
        try
        {
            for (int count; (count = await content.ReadAsync(buffer, cancellationToken)) > 0;)
            {
                document.Write(buffer, 0, count);
                if (document.Length > MaximumDocument)
                {
                    throw new EngineException(ErrorKind.InvalidParameter, $"a document of a build cache has more than {MaximumDocument} bytes");
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        return document.ToArray();
    }
}
