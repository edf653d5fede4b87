using Slipway.Oci;

namespace Slipway.Engine.Builds;

/// <summary>Directories of a client that hold blobs by digest: caches and image layouts.</summary>
public interface IClientStores
{
    /// <param name="id">By which the client knows it: <c>local:</c> and a path.</param>
    /// <returns>Null: the client shows none.</returns>
    IBlobStore? Find(string id);
}

/// <summary>Blobs by digest on the side of a client. What goes wrong there is an <see cref="IOException"/>.</summary>
public interface IBlobStore
{
    Task<bool> HasAsync(Digest digest, CancellationToken cancellationToken);

    /// <summary>The bytes as the client sends them; the digest is for the reader to check.</summary>
    Task<Stream> OpenAsync(Digest digest, CancellationToken cancellationToken);

    /// <summary>Puts a blob that is not there.</summary>
    Task WriteAsync(Descriptor blob, Stream content, CancellationToken cancellationToken);
}
