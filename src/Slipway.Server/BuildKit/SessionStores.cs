using Slipway.BuildKit.Sessions;
using Slipway.Engine.Builds;
using Slipway.Oci;

namespace Slipway.Server.BuildKit;

/// <summary>Directories of a client that hold blobs, for a build.</summary>
internal sealed class SessionStores(ClientSession session) : IClientStores
{
    public IBlobStore? Find(string id) => session.Offers(SessionMethods.ReadContent) ? new Store(new SessionContent(session, id)) : null;

    private sealed class Store(SessionContent content) : IBlobStore
    {
        public Task<bool> HasAsync(Digest digest, CancellationToken cancellationToken) => content.HasAsync(digest.ToString(), cancellationToken);

        public Task<Stream> OpenAsync(Digest digest, CancellationToken cancellationToken) => content.OpenAsync(digest.ToString(), cancellationToken);

        public Task WriteAsync(Descriptor blob, Stream bytes, CancellationToken cancellationToken) => content.WriteAsync(blob.Digest.ToString(), blob.Size, bytes, cancellationToken);
    }
}
