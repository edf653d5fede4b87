using System.Net;
using System.Net.Sockets;
using Slipway.Kernel;
using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>A bridge with its containers: the default network, or one of a user's.</summary>
public sealed class BridgeNetwork : IDefaultNetwork
{
    private readonly BridgeOptions _options;
    private readonly TimeProvider _time;
    private readonly NetworkHost _host;
    private readonly bool _ownsHost;
    private readonly Lock _lock = new();

    /// <summary>Set by <see cref="EnsureAsync"/>; used on the host's thread, but for the pools.</summary>
    private BridgeHost? _state;

    private volatile bool _ensured;
    private SandboxPool? _attached;
    private SandboxPool? _isolated;
    private bool _disposed;

    /// <summary>A network that shares nothing with others.</summary>
    /// <exception cref="NetworkException">The bridge's name is none.</exception>
    /// <exception cref="KernelException">The host's namespace cannot be entered.</exception>
    public BridgeNetwork(BridgeOptions options, TimeProvider time)
        : this(Checked(options), time, new NetworkHost(options.BridgeName, options.HostNamespace)) => _ownsHost = true;

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
            int mtu = info.Mtu;
            _attached ??= new SandboxPool(token => MakeAttachedAsync(factory, mtu, token), _options.PoolSize, _options.PoolRetention, _time);
            _isolated ??= new SandboxPool(factory.MakeIsolatedAsync, _options.IsolatedPoolSize, _options.PoolRetention, _time);
            _attached.Refill();
            _isolated.Refill();
        }

        _ensured = true;
        return info;
    }

    private async Task<Sandbox> MakeAttachedAsync(SandboxFactory factory, int mtu, CancellationToken cancellationToken)
    {
        int bridge = await _host.RunAsync(_ => State.NextMaster(), cancellationToken).ConfigureAwait(false);
        return await factory.MakeAttachedAsync(bridge, mtu, cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<string>> RestoreAsync(IReadOnlyCollection<EndpointInfo> endpoints, CancellationToken cancellationToken)
    {
        RestoreResult result = await _host.RunAsync(_ => State.Restore(endpoints), cancellationToken).ConfigureAwait(false);
        foreach (Endpoint endpoint in result.Endpoints)
        {
            StartForwarding(endpoint);
        }

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
        StartForwarding(endpoint);
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
        StartForwarding(endpoint);
        return endpoint.Info;
    }

    /// <inheritdoc/>
    public Task TakeIpv6RouteAsync(string endpointId, Sandbox sandbox, CancellationToken cancellationToken) => _host.RunAsync(
        _ =>
        {
            State.TakeIpv6Route(endpointId, sandbox);
            return true;
        },
        cancellationToken);

    /// <inheritdoc/>
    public Task<EndpointInfo?> GiveUpDefaultRouteAsync(string endpointId, CancellationToken cancellationToken) =>
        _host.RunAsync(_ => State.GiveUpDefaultRoute(endpointId), cancellationToken);

    /// <inheritdoc/>
    public async Task<EndpointInfo> ChangePortsAsync(
        string endpointId, string name, IReadOnlyList<PublishedPort> removed, IReadOnlyList<PortRequest> added, CancellationToken cancellationToken)
    {
        Endpoint changed = await _host.RunAsync(_ => State.ChangePorts(endpointId, name, removed, added), cancellationToken).ConfigureAwait(false);
        StartForwarding(changed);
        return changed.Info;
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
        await RemoveAsync(cancellationToken).ConfigureAwait(false);
        await _host.DrainAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async Task RetireAsync(CancellationToken cancellationToken)
    {
        if (!_ensured)
        {
            try
            {
                await EnsureAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (Exception exception) when (exception is NetworkException or KernelException)
            {
                // What of it there is goes all the same.
            }
        }

        await RemoveAsync(cancellationToken).ConfigureAwait(false);
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
        if (options is { Ipv4: false, Ipv6: null })
        {
            throw new NetworkException(NetworkErrorKind.InvalidParameter, "IPv4 or IPv6 must be enabled");
        }

        return options.Address is not { } address || (address.Address.AddressFamily == AddressFamily.InterNetwork && address.PrefixLength is >= 8 and <= 30)
            ? options
            : throw new NetworkException(NetworkErrorKind.InvalidParameter, $"invalid bridge address {address.Address}/{address.PrefixLength}: an IPv4 address with a prefix of 8 to 30 bits");
    }

    /// <summary>Takes the network out of use; the links go in the background, as each waits for grace periods of the kernel.</summary>
    private async Task RemoveAsync(CancellationToken cancellationToken)
    {
        await StopPoolsAsync().ConfigureAwait(false);
        IReadOnlyList<int> links = await _host.RunAsync(_ => State.Cleanup(), cancellationToken).ConfigureAwait(false);
        _ensured = false;
        _ = _host.RemoveLinksAsync(links, CancellationToken.None);
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

    private void StartForwarding(Endpoint endpoint)
    {
        IPAddress target = (endpoint.Info.Ipv6 ?? endpoint.Info.Ipv4)!.Address;
        foreach (PortReservation reservation in endpoint.Reservations)
        {
            reservation.StartForwarding(target, type => MakeHostSocketAsync(target.AddressFamily, type));
        }
    }

    /// <summary>A socket belongs to the namespace of the thread that makes it.</summary>
    private Task<Socket> MakeHostSocketAsync(AddressFamily family, SocketType type) =>
        _host.RunAsync(() => new Socket(family, type, type == SocketType.Stream ? ProtocolType.Tcp : ProtocolType.Udp), CancellationToken.None);
}
