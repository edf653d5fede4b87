using System.Net;
using System.Net.Sockets;
using Slipway.Kernel;
using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>
/// A bridge with its containers: the default network. Everything that changes the host happens on one thread, in order;
/// sandboxes are made, and links removed, on two others, because that takes milliseconds.
/// </summary>
public sealed class BridgeNetwork : INetworkDriver
{
    private readonly BridgeOptions _options;
    private readonly TimeProvider _time;
    private readonly NamespaceThread _host;
    private readonly NamespaceThread _remover;

    /// <summary>Set by <see cref="EnsureAsync"/>; used on the host thread, but for the pools.</summary>
    private BridgeHost? _state;

    private SandboxFactory? _factory;
    private SandboxPool? _attached;
    private SandboxPool? _isolated;
    private RouteSession? _removerSession;
    private bool _disposed;

    /// <exception cref="NetworkException">The bridge's name is none.</exception>
    /// <exception cref="KernelException">The host's namespace cannot be entered.</exception>
    public BridgeNetwork(BridgeOptions options, TimeProvider time)
    {
        BridgeLink.CheckName(options.BridgeName);
        if (options.Address is { } address && (address.Address.AddressFamily != AddressFamily.InterNetwork || address.PrefixLength is < 8 or > 30))
        {
            throw new NetworkException(NetworkErrorKind.InvalidParameter, $"invalid bridge address {address.Address}/{address.PrefixLength}: an IPv4 address with a prefix of 8 to 30 bits");
        }

        _options = options;
        _time = time;
        _host = new NamespaceThread("slipway-net", options.HostNamespace);
        _remover = new NamespaceThread("slipway-netdel", options.HostNamespace);
    }

    private BridgeHost State => _state ?? throw new InvalidOperationException("the network was not made yet");

    /// <inheritdoc/>
    public async Task<NetworkInfo> EnsureAsync(CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        NetworkInfo info = await _host.RunAsync(
            () =>
            {
                _state ??= new BridgeHost(_options);
                return _state.Ensure();
            },
            cancellationToken).ConfigureAwait(false);
        if (_factory is null)
        {
            _removerSession = await _remover.RunAsync(() => new RouteSession(), cancellationToken).ConfigureAwait(false);
            _factory = await SandboxFactory.CreateAsync(_options.HostNamespace, cancellationToken).ConfigureAwait(false);
            (int bridge, int mtu) = (State.BridgeIndex, info.Mtu);
            _attached = new SandboxPool(token => _factory.MakeAttachedAsync(bridge, mtu, token), _options.PoolSize, _time);
            _isolated = new SandboxPool(_factory.MakeIsolatedAsync, _options.IsolatedPoolSize, _time);
        }

        _attached!.Refill();
        _isolated!.Refill();
        return info;
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<string>> RestoreAsync(IReadOnlyCollection<EndpointInfo> endpoints, CancellationToken cancellationToken)
    {
        RestoreResult result = await _host.RunAsync(() => State.Restore(endpoints), cancellationToken).ConfigureAwait(false);
        StartForwarding(result.Reservations);
        await RemoveLinksAsync(result.Orphans, cancellationToken).ConfigureAwait(false);
        return result.LostPorts;
    }

    /// <inheritdoc/>
    public Task<Sandbox> PrepareSandboxAsync(SandboxKind kind, CancellationToken cancellationToken) =>
        (kind == SandboxKind.Attached ? _attached : _isolated)?.TakeAsync(cancellationToken) ?? throw new InvalidOperationException("the network was not made yet");

    /// <inheritdoc/>
    public async Task<EndpointInfo> AttachAsync(EndpointRequest request, Sandbox sandbox, CancellationToken cancellationToken)
    {
        Endpoint endpoint = await _host.RunAsync(() => State.Attach(request, sandbox), cancellationToken).ConfigureAwait(false);
        StartForwarding([(endpoint.Info.Address, endpoint.Reservations)]);
        return endpoint.Info;
    }

    /// <inheritdoc/>
    public async Task DetachAsync(string endpointId, CancellationToken cancellationToken)
    {
        if (await _host.RunAsync(() => State.Detach(endpointId), cancellationToken).ConfigureAwait(false) is { } link)
        {
            // Removing waits for an RCU grace period (about 20 ms), and nobody needs to wait for that: the link is off the bridge. Should it
            // fail, the link is an orphan for the next start.
            _ = RemoveLinksAsync([link], CancellationToken.None);
        }
    }

    /// <inheritdoc/>
    public Task<IReadOnlyList<string>> ListEndpointsAsync(CancellationToken cancellationToken) =>
        _host.RunAsync(() => State.ListEndpoints(), cancellationToken);

    /// <inheritdoc/>
    public async Task DrainAsync(CancellationToken cancellationToken)
    {
        await _host.RunAsync(() => { }, cancellationToken).ConfigureAwait(false);
        await _remover.RunAsync(() => { }, cancellationToken).ConfigureAwait(false);
        foreach (SandboxPool? pool in new[] { _attached, _isolated })
        {
            await (pool?.DrainAsync(cancellationToken) ?? Task.CompletedTask).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    public async Task CleanupAsync(CancellationToken cancellationToken)
    {
        await StopPoolsAsync().ConfigureAwait(false);
        await _remover.RunAsync(() => { }, cancellationToken).ConfigureAwait(false);
        await _host.RunAsync(() => State.Cleanup(), cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        await StopPoolsAsync().ConfigureAwait(false);
        await _host.RunAsync(() => _state?.Dispose(), CancellationToken.None).ConfigureAwait(false);
        await _host.DisposeAsync().ConfigureAwait(false);
        await _remover.RunAsync(() => _removerSession?.Dispose(), CancellationToken.None).ConfigureAwait(false);
        await _remover.DisposeAsync().ConfigureAwait(false);
    }

    private Task RemoveLinksAsync(IReadOnlyList<string> links, CancellationToken cancellationToken) =>
        _remover.RunAsync(() => BridgeLink.Remove(_removerSession!, links), cancellationToken);

    private async Task StopPoolsAsync()
    {
        foreach (IAsyncDisposable? part in new IAsyncDisposable?[] { _attached, _isolated, _factory })
        {
            if (part is not null)
            {
                await part.DisposeAsync().ConfigureAwait(false);
            }
        }

        (_attached, _isolated, _factory) = (null, null, null);
    }

    private void StartForwarding(IEnumerable<(IPAddress Container, IReadOnlyList<PortReservation> Ports)> endpoints)
    {
        foreach ((IPAddress container, IReadOnlyList<PortReservation> ports) in endpoints)
        {
            foreach (PortReservation reservation in ports)
            {
                reservation.StartForwarding(container, MakeHostSocketAsync);
            }
        }
    }

    /// <summary>A socket belongs to the namespace of the thread that makes it.</summary>
    private Task<Socket> MakeHostSocketAsync() =>
        _host.RunAsync(() => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp), CancellationToken.None);
}
