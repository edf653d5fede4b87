namespace Slipway.Networking;

/// <summary>The driver of an engine without a bridge (<c>--bridge none</c>): sandboxes with only a loopback device, and nothing to attach them to.</summary>
/// <param name="retention">How long sandboxes that a burst has asked for stay ready after it.</param>
public sealed class IsolatedNetwork(TimeSpan retention, TimeProvider time) : IDefaultNetwork
{
    private const int PoolSize = 4;
    private SandboxFactory? _factory;
    private SandboxPool? _pool;

    /// <summary>Makes the first sandboxes. There is no network to describe.</summary>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        _factory = await SandboxFactory.CreateAsync(null, cancellationToken).ConfigureAwait(false);
        _pool = new SandboxPool(_factory.MakeIsolatedAsync, PoolSize, retention, time);
        _pool.Refill();
    }

    /// <inheritdoc/>
    public Task<NetworkInfo> EnsureAsync(CancellationToken cancellationToken) => throw NoBridge();

    /// <inheritdoc/>
    public Task<IReadOnlyList<string>> RestoreAsync(IReadOnlyCollection<EndpointInfo> endpoints, CancellationToken cancellationToken) => Task.FromResult<IReadOnlyList<string>>([]);

    /// <inheritdoc/>
    public Task<Sandbox> PrepareSandboxAsync(SandboxKind kind, CancellationToken cancellationToken) =>
        kind == SandboxKind.Isolated && _pool is { } pool ? pool.TakeAsync(cancellationToken) : throw NoBridge();

    /// <inheritdoc/>
    public Task<EndpointInfo> AttachAsync(EndpointRequest request, Sandbox sandbox, CancellationToken cancellationToken) => throw NoBridge();

    /// <inheritdoc/>
    public Task DetachAsync(string endpointId, CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task<EndpointInfo> TakeDefaultRouteAsync(string endpointId, string name, IReadOnlyList<PortRequest> ports, Sandbox sandbox, CancellationToken cancellationToken) => throw NoBridge();

    /// <inheritdoc/>
    public Task<EndpointInfo?> GiveUpDefaultRouteAsync(string endpointId, CancellationToken cancellationToken) => Task.FromResult<EndpointInfo?>(null);

    /// <inheritdoc/>
    public Task<EndpointInfo> ChangePortsAsync(
        string endpointId, string name, IReadOnlyList<PublishedPort> removed, IReadOnlyList<PortRequest> added, CancellationToken cancellationToken) => throw NoBridge();

    /// <inheritdoc/>
    public Task<IReadOnlyList<string>> ListEndpointsAsync(CancellationToken cancellationToken) => Task.FromResult<IReadOnlyList<string>>([]);

    /// <inheritdoc/>
    public Task DrainAsync(CancellationToken cancellationToken) => _pool?.DrainAsync(cancellationToken) ?? Task.CompletedTask;

    /// <inheritdoc/>
    public Task CleanupAsync(CancellationToken cancellationToken) => DisposeAsync().AsTask();

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (IAsyncDisposable? part in new IAsyncDisposable?[] { _pool, _factory })
        {
            if (part is not null)
            {
                await part.DisposeAsync().ConfigureAwait(false);
            }
        }

        (_pool, _factory) = (null, null);
    }

    private static NetworkException NoBridge() => new(NetworkErrorKind.Unavailable, "this engine runs without a default network (--bridge none)");
}
