namespace Slipway.Networking;

/// <summary>
/// A network whose containers are on the host's own network: each has a link on top of one of the host's (macvlan, ipvlan). Its router is outside, as are its
/// rules: nothing is translated, published or kept apart here, and the host itself is not reached (Documentation/networking/ipvlan.rst).
/// </summary>
/// <param name="host">Not disposed by the network.</param>
public sealed class StackedNetwork(StackedOptions options, NetworkHost host) : INetworkDriver
{
    private StackedHost? _state;
    private bool _disposed;

    /// <inheritdoc/>
    public Task<NetworkInfo> EnsureAsync(CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return RunAsync(state => state.Ensure(), cancellationToken);
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<string>> RestoreAsync(IReadOnlyCollection<EndpointInfo> endpoints, CancellationToken cancellationToken)
    {
        await RunAsync(state => state.Restore(endpoints), cancellationToken).ConfigureAwait(false);
        return [];
    }

    /// <inheritdoc/>
    public Task LocateAsync(string endpointId, Sandbox sandbox, CancellationToken cancellationToken) =>
        RunAsync(state => state.Locate(endpointId, sandbox), cancellationToken);

    /// <inheritdoc/>
    public Task<EndpointInfo> AttachAsync(EndpointRequest request, Sandbox sandbox, CancellationToken cancellationToken) =>
        RunAsync(state => state.Attach(request, sandbox), cancellationToken);

    /// <inheritdoc/>
    public async Task DetachAsync(string endpointId, CancellationToken cancellationToken)
    {
        if (await RunAsync(state => state.Forget(endpointId), cancellationToken).ConfigureAwait(false) is not { } endpoint)
        {
            return;
        }

        try
        {
            // Before the address is free: two links of one parent cannot have the same hardware address, and it follows from the address.
            await host.RemoveAsync(() => StackedHost.RemoveLink(endpoint), CancellationToken.None).ConfigureAwait(false);
        }
        finally
        {
            await RunAsync(state => state.Release(endpoint.Info), CancellationToken.None).ConfigureAwait(false);
        }
    }

    /// <summary>Nothing is published: the container's ports are open on the network as they are.</summary>
    public Task<EndpointInfo> TakeDefaultRouteAsync(
        string endpointId, string name, IReadOnlyList<PortRequest> ports, Sandbox sandbox, CancellationToken cancellationToken) =>
        RunAsync(state => state.TakeDefaultRoute(endpointId, sandbox), cancellationToken);

    /// <inheritdoc/>
    public Task TakeIpv6RouteAsync(string endpointId, Sandbox sandbox, CancellationToken cancellationToken) =>
        RunAsync(state => state.TakeIpv6Route(endpointId, sandbox), cancellationToken);

    /// <inheritdoc/>
    public Task<EndpointInfo?> GiveUpDefaultRouteAsync(string endpointId, CancellationToken cancellationToken) =>
        RunAsync(state => state.Find(endpointId), cancellationToken);

    /// <summary>Nothing is published, and nothing changes.</summary>
    public Task<EndpointInfo> ChangePortsAsync(
        string endpointId, string name, IReadOnlyList<PublishedPort> removed, IReadOnlyList<PortRequest> added, CancellationToken cancellationToken) =>
        RunAsync(state => state.Find(endpointId) ?? throw state.NotAttached(endpointId), cancellationToken);

    /// <inheritdoc/>
    public Task<IReadOnlyList<string>> ListEndpointsAsync(CancellationToken cancellationToken) => RunAsync(state => state.EndpointIds, cancellationToken);

    /// <inheritdoc/>
    public Task DrainAsync(CancellationToken cancellationToken) => host.DrainAsync(cancellationToken);

    /// <inheritdoc/>
    public async Task CleanupAsync(CancellationToken cancellationToken)
    {
        await host.DrainAsync(cancellationToken).ConfigureAwait(false);
        await RunAsync(state => state.Cleanup(), cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (!_disposed)
        {
            _disposed = true;
            await RunAsync(state => state.Close(), CancellationToken.None).ConfigureAwait(false);
        }
    }

    private Task<T> RunAsync<T>(Func<StackedHost, T> call, CancellationToken cancellationToken) =>
        host.RunAsync(sessions => call(_state ??= new StackedHost(options, sessions)), cancellationToken);

    private Task<bool> RunAsync(Action<StackedHost> call, CancellationToken cancellationToken) => RunAsync(
        state =>
        {
            call(state);
            return true;
        },
        cancellationToken);
}
