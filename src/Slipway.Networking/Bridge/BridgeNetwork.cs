using System.Net;
using System.Net.Sockets;
using Slipway.Kernel;
using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>A bridge with its containers: the default network, or one of a user's.</summary>
public sealed class BridgeNetwork : INetworkDriver
{
    private readonly BridgeOptions _options;
    private readonly TimeProvider _time;
    private readonly NetworkHost _host;
    private readonly bool _ownsHost;
    private readonly Lock _lock = new();

    /// <summary>Set by <see cref="EnsureAsync"/>; used on the host's thread, but for the pools.</summary>
    private BridgeHost? _state;

    private SandboxPool? _attached;
    private SandboxPool? _isolated;
    private bool _disposed;

    /// <summary>A network that shares nothing with others.</summary>
    /// <exception cref="NetworkException">The bridge's name is none.</exception>
    /// <exception cref="KernelException">The host's namespace cannot be entered.</exception>
    public BridgeNetwork(BridgeOptions options, TimeProvider time)
        : this(Checked(options), time, new NetworkHost(options.HostNamespace)) => _ownsHost = true;

    /// <param name="host">Not disposed by the network. The options' namespace is not looked at.</param>
    /// <exception cref="NetworkException">The bridge's name is none.</exception>
    public BridgeNetwork(BridgeOptions options, TimeProvider time, NetworkHost host)
    {
        _options = Checked(options);
        _time = time;
        _host = host;
    }

    private BridgeHost State => _state ?? throw new InvalidOperationException("the network was not made yet");

    /// <inheritdoc/>
    public async Task<NetworkInfo> EnsureAsync(CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        NetworkInfo info = await _host.RunAsync(
            sessions =>
            {
                _state ??= new BridgeHost(_options, sessions);
                return _state.Ensure();
            },
            cancellationToken).ConfigureAwait(false);
        SandboxFactory factory = await _host.FactoryAsync(cancellationToken).ConfigureAwait(false);
        lock (_lock)
        {
            (int bridge, int mtu) = (State.BridgeIndex, info.Mtu);
            _attached ??= new SandboxPool(token => factory.MakeAttachedAsync(bridge, mtu, token), _options.PoolSize, _time);
            _isolated ??= new SandboxPool(factory.MakeIsolatedAsync, _options.IsolatedPoolSize, _time);
            _attached.Refill();
            _isolated.Refill();
        }

        return info;
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<string>> RestoreAsync(IReadOnlyCollection<EndpointInfo> endpoints, CancellationToken cancellationToken)
    {
        RestoreResult result = await _host.RunAsync(_ => State.Restore(endpoints), cancellationToken).ConfigureAwait(false);
        StartForwarding(result.Reservations);
        await _host.RemoveLinksAsync(result.Orphans, cancellationToken).ConfigureAwait(false);
        return result.LostPorts;
    }

    /// <inheritdoc/>
    public Task<Sandbox> PrepareSandboxAsync(SandboxKind kind, CancellationToken cancellationToken) =>
        (kind == SandboxKind.Attached ? _attached : _isolated)?.TakeAsync(cancellationToken) ?? throw new InvalidOperationException("the network was not made yet");

    /// <inheritdoc/>
    public async Task<EndpointInfo> AttachAsync(EndpointRequest request, Sandbox sandbox, CancellationToken cancellationToken)
    {
        Endpoint endpoint = await _host.RunAsync(_ => State.Attach(request, sandbox), cancellationToken).ConfigureAwait(false);
        StartForwarding([(endpoint.Info.Address, endpoint.Reservations)]);
        return endpoint.Info;
    }

    /// <inheritdoc/>
    public async Task DetachAsync(string endpointId, CancellationToken cancellationToken)
    {
        if (await _host.RunAsync(_ => State.Detach(endpointId), cancellationToken).ConfigureAwait(false) is { } link)
        {
            // Removing waits for an RCU grace period (about 20 ms), and nobody needs to wait for that: the link is off the bridge. Should it
            // fail, the link is an orphan for the next start.
            _ = _host.RemoveLinksAsync([link], CancellationToken.None);
        }
    }

    /// <inheritdoc/>
    public async Task<EndpointInfo> TakeDefaultRouteAsync(
        string endpointId, string name, IReadOnlyList<PortRequest> ports, Sandbox sandbox, CancellationToken cancellationToken)
    {
        Endpoint endpoint = await _host.RunAsync(_ => State.TakeDefaultRoute(endpointId, name, ports, sandbox), cancellationToken).ConfigureAwait(false);
        StartForwarding([(endpoint.Info.Address, endpoint.Reservations)]);
        return endpoint.Info;
    }

    /// <inheritdoc/>
    public Task<EndpointInfo?> GiveUpDefaultRouteAsync(string endpointId, CancellationToken cancellationToken) =>
        _host.RunAsync(_ => State.GiveUpDefaultRoute(endpointId), cancellationToken);

    /// <inheritdoc/>
    public async Task<EndpointInfo> ChangePortsAsync(
        string endpointId, string name, IReadOnlyList<PublishedPort> removed, IReadOnlyList<PortRequest> added, CancellationToken cancellationToken)
    {
        (EndpointInfo info, IReadOnlyList<PortReservation> made) = await _host.RunAsync(_ => State.ChangePorts(endpointId, name, removed, added), cancellationToken).ConfigureAwait(false);
        StartForwarding([(info.Address, made)]);
        return info;
    }

    /// <inheritdoc/>
    public Task<IReadOnlyList<string>> ListEndpointsAsync(CancellationToken cancellationToken) =>
        _host.RunAsync(_ => State.ListEndpoints(), cancellationToken);

    /// <inheritdoc/>
    public async Task DrainAsync(CancellationToken cancellationToken)
    {
        await _host.DrainAsync(cancellationToken).ConfigureAwait(false);
        foreach (SandboxPool? pool in new[] { _attached, _isolated })
        {
            await (pool?.DrainAsync(cancellationToken) ?? Task.CompletedTask).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    public async Task CleanupAsync(CancellationToken cancellationToken)
    {
        await StopPoolsAsync().ConfigureAwait(false);
        await _host.DrainAsync(cancellationToken).ConfigureAwait(false);
        await _host.RunAsync(
            _ =>
            {
                State.Cleanup();
                return true;
            },
            cancellationToken).ConfigureAwait(false);
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
        await _host.RunAsync(
            _ =>
            {
                _state?.Release();
                return true;
            },
            CancellationToken.None).ConfigureAwait(false);
        if (_ownsHost)
        {
            await _host.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <exception cref="NetworkException">InvalidParameter.</exception>
    private static BridgeOptions Checked(BridgeOptions options)
    {
        BridgeLink.CheckName(options.BridgeName);
        return options.Address is not { } address || (address.Address.AddressFamily == AddressFamily.InterNetwork && address.PrefixLength is >= 8 and <= 30)
            ? options
            : throw new NetworkException(NetworkErrorKind.InvalidParameter, $"invalid bridge address {address.Address}/{address.PrefixLength}: an IPv4 address with a prefix of 8 to 30 bits");
    }

    private async Task StopPoolsAsync()
    {
        SandboxPool?[] pools;
        lock (_lock)
        {
            pools = [_attached, _isolated];
            (_attached, _isolated) = (null, null);
        }

        foreach (SandboxPool? pool in pools)
        {
            if (pool is not null)
            {
                await pool.DisposeAsync().ConfigureAwait(false);
            }
        }
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
