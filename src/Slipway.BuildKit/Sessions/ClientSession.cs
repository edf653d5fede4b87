using Slipway.Grpc;

namespace Slipway.BuildKit.Sessions;

/// <summary>
/// A client that serves us while it waits for a build: its files, secrets, agents and credentials. It lasts as long as its connection.
/// </summary>
public sealed class ClientSession : IAsyncDisposable
{
    private readonly HashSet<string> _methods;

    /// <param name="id">The client's own: builds name it.</param>
    /// <param name="sharedKey">The same for sessions that show the same directories; empty: not known.</param>
    /// <param name="methods">Paths of the calls it takes.</param>
    /// <param name="ended">The connection is gone.</param>
    public ClientSession(string id, string name, string sharedKey, IEnumerable<string> methods, GrpcChannel channel, CancellationToken ended)
    {
        (Id, Name, SharedKey, Channel, Ended) = (id, name, sharedKey, channel, ended);
        _methods = new HashSet<string>(methods, StringComparer.OrdinalIgnoreCase);
    }

    public string Id { get; }

    public string Name { get; }

    public string SharedKey { get; }

    public GrpcChannel Channel { get; }

    public CancellationToken Ended { get; }

    public bool Offers(string method) => _methods.Contains(method);

    /// <exception cref="GrpcException">Unimplemented.</exception>
    public void Require(string method)
    {
        if (!Offers(method))
        {
            throw new GrpcException(GrpcStatusCode.Unimplemented, $"method {method} not supported by the client");
        }
    }

    public ValueTask DisposeAsync() => Channel.DisposeAsync();
}
