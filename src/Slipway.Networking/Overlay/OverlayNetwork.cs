using System.Net;

namespace Slipway.Networking;

/// <summary>
/// A network that spans hosts: on each a bridge, whose containers are connected as on any bridge, and a VXLAN link on it to the other hosts. Each host
/// gives addresses of its own blocks of the subnet and is the gateway of its own containers, so that it needs no other host to go on.
/// </summary>
/// <param name="host">Not disposed by the network.</param>
public sealed class OverlayNetwork(OverlayOptions options, TimeProvider time, NetworkHost host) : INetworkDriver
{
    private readonly OverlayAddresses _addresses = new(options.Subnet, options.Gateway, options.ReservedAddresses);
    private readonly SemaphoreSlim _making = new(1);
    private readonly Dictionary<string, IPAddress> _endpoints = [];
    private volatile Made? _made;
    private bool _disposed;

    /// <summary>Makes the network, if this host has a block of it; else it is made when it gets one, with the first container.</summary>
    public async Task<NetworkInfo> EnsureAsync(CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        _addresses.Use(options.Blocks.Owned);
        return _addresses.Bridge is null
            ? new NetworkInfo(options.BridgeName, new SubnetInfo(options.Subnet, options.Gateway), Ipv6(options.Gateway), options.Mtu, Adopted: false, EnabledForwarding: false)
            : (await MakeAsync(_addresses.Bridge, cancellationToken).ConfigureAwait(false)).Info;
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<string>> RestoreAsync(IReadOnlyCollection<EndpointInfo> endpoints, CancellationToken cancellationToken)
    {
        foreach (EndpointInfo endpoint in endpoints)
        {
            _addresses.Reserve(endpoint.Address, endpoint.EndpointId);
            Note(endpoint);
        }

        return _made is { } made ? await made.Bridge.RestoreAsync(endpoints, cancellationToken).ConfigureAwait(false) : [];
    }

    /// <summary>Connects a sandbox. A block is got where this host has none, or none that is not full.</summary>
    /// <inheritdoc/>
    public async Task<EndpointInfo> AttachAsync(EndpointRequest request, Sandbox sandbox, CancellationToken cancellationToken)
    {
        IPAddress? requested = Requested(request);
        await EnsureAsync(cancellationToken).ConfigureAwait(false);
        IPAddress? address = _addresses.TryAllocate(request.EndpointId, requested);
        while (address is null)
        {
            await options.Blocks.ClaimAsync(requested, cancellationToken).ConfigureAwait(false);
            await EnsureAsync(cancellationToken).ConfigureAwait(false);
            address = _addresses.TryAllocate(request.EndpointId, requested);
        }

        try
        {
            Made made = await MakeAsync(_addresses.Bridge!, cancellationToken).ConfigureAwait(false);
            EndpointInfo endpoint = await made.Bridge.AttachAsync(request with { Address = address, Ipv6Address = options.Pairing?.Ipv6Of(address) }, sandbox, cancellationToken).ConfigureAwait(false);
            Note(endpoint);
            return endpoint;
        }
        catch
        {
            _addresses.Release(address, request.EndpointId);
            throw;
        }
    }

    /// <inheritdoc/>
    public async Task DetachAsync(string endpointId, CancellationToken cancellationToken)
    {
        if (_made is { } made)
        {
            await made.Bridge.DetachAsync(endpointId, cancellationToken).ConfigureAwait(false);
        }

        lock (_endpoints)
        {
            if (_endpoints.Remove(endpointId, out IPAddress? address))
            {
                _addresses.Release(address, endpointId);
            }
        }
    }

    /// <inheritdoc/>
    public Task<EndpointInfo> TakeDefaultRouteAsync(string endpointId, string name, IReadOnlyList<PortRequest> ports, Sandbox sandbox, CancellationToken cancellationToken) =>
        Bridge(endpointId).TakeDefaultRouteAsync(endpointId, name, ports, sandbox, cancellationToken);

    /// <inheritdoc/>
    public Task TakeIpv6RouteAsync(string endpointId, Sandbox sandbox, CancellationToken cancellationToken) => Bridge(endpointId).TakeIpv6RouteAsync(endpointId, sandbox, cancellationToken);

    /// <inheritdoc/>
    public Task<EndpointInfo?> GiveUpDefaultRouteAsync(string endpointId, CancellationToken cancellationToken) =>
        _made is { } made ? made.Bridge.GiveUpDefaultRouteAsync(endpointId, cancellationToken) : Task.FromResult<EndpointInfo?>(null);

    /// <inheritdoc/>
    public Task<EndpointInfo> ChangePortsAsync(
        string endpointId, string name, IReadOnlyList<PublishedPort> removed, IReadOnlyList<PortRequest> added, CancellationToken cancellationToken) =>
        Bridge(endpointId).ChangePortsAsync(endpointId, name, removed, added, cancellationToken);

    /// <inheritdoc/>
    public Task<IReadOnlyList<string>> ListEndpointsAsync(CancellationToken cancellationToken) =>
        _made is { } made ? made.Bridge.ListEndpointsAsync(cancellationToken) : Task.FromResult<IReadOnlyList<string>>([]);

    /// <summary>Makes what this host knows of containers on the others exactly this. Nothing happens while the network is not made here.</summary>
    /// <param name="isUncertain">Hosts of which nothing was heard yet: what the kernel was told by an earlier engine stays.</param>
    public Task SetPeersAsync(IReadOnlyCollection<OverlayPeer> peers, Func<IPAddress, bool> isUncertain, CancellationToken cancellationToken) => _made is not { } made
        ? Task.CompletedTask
        : host.RunAsync(
            _ =>
            {
                made.Link.SetPeers(peers, isUncertain);
                return true;
            },
            cancellationToken);

    /// <inheritdoc/>
    public Task DrainAsync(CancellationToken cancellationToken) => _made is { } made ? made.Bridge.DrainAsync(cancellationToken) : host.DrainAsync(cancellationToken);

    /// <inheritdoc/>
    public async Task CleanupAsync(CancellationToken cancellationToken)
    {
        if (_made is { } made)
        {
            await made.Bridge.CleanupAsync(cancellationToken).ConfigureAwait(false);
            await made.Bridge.DisposeAsync().ConfigureAwait(false);
            _made = null;
        }
        else if (await host.RunAsync(sessions => sessions.Route.FindLink(options.BridgeName) is not null, cancellationToken).ConfigureAwait(false))
        {
            // An engine that has no block of it any more, because it is in no cluster, takes out what one that had made.
            await using BridgeNetwork left = new(Bridge(options.Gateway, mtu: 0), time, host);
            await left.EnsureAsync(cancellationToken).ConfigureAwait(false);
            await left.CleanupAsync(cancellationToken).ConfigureAwait(false);
        }

        await host.RunAsync(
            sessions =>
            {
                new OverlayLink(options, sessions.Route).Delete();
                sessions.Watched.Remove(new OverlayRules(sessions.NfTables, options));
                OverlayFirewall firewall = new(sessions.NfTables, options.Encrypted);
                if (options.Encrypted)
                {
                    sessions.Encryption.Remove(options.Number, firewall.IsLast(options.Number));
                }

                firewall.Remove(options.Number);
                return true;
            },
            cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (!_disposed)
        {
            _disposed = true;
            if (_made is { } made)
            {
                await made.Bridge.DisposeAsync().ConfigureAwait(false);
            }

            _making.Dispose();
        }
    }

    /// <returns>The IPv4 address that is asked for, also by the IPv6 address that goes with it; null: any.</returns>
    /// <exception cref="NetworkException">InvalidParameter.</exception>
    private IPAddress? Requested(EndpointRequest request)
    {
        if (request.Address is { } address && !options.Subnet.Contains(address))
        {
            throw new NetworkException(NetworkErrorKind.InvalidParameter, $"invalid config for network: user specified IP address {address} is not in the subnet {options.Subnet}");
        }

        if (request.Ipv6Address is not { } ipv6 || options.Pairing is not { } pairing)
        {
            return request.Address;
        }

        if (pairing.Ipv4Of(ipv6) is not { } paired)
        {
            throw new NetworkException(
                NetworkErrorKind.InvalidParameter, $"invalid config for network: user specified IP address {ipv6} is not among those of {pairing.Ipv6} that belong to {options.Subnet}");
        }

        return request.Address is null || request.Address.Equals(paired) ? paired
            : throw new NetworkException(
                NetworkErrorKind.InvalidParameter, $"invalid config for network: {ipv6} belongs to {paired}, and {request.Address} to {pairing.Ipv6Of(request.Address)}, on a network that spans hosts");
    }

    private SubnetInfo? Ipv6(IPAddress bridge) => options.Pairing is { } pairing ? new SubnetInfo(pairing.Ipv6, pairing.Ipv6Of(bridge)) : null;

    private void Note(EndpointInfo endpoint)
    {
        lock (_endpoints)
        {
            _endpoints[endpoint.EndpointId] = endpoint.Address;
        }
    }

    private BridgeNetwork Bridge(string endpointId) =>
        (_made ?? throw new NetworkException(NetworkErrorKind.InvalidParameter, $"endpoint {endpointId} is not attached to network {options.BridgeName}")).Bridge;

    private async Task<Made> MakeAsync(IPAddress bridge, CancellationToken cancellationToken)
    {
        if (_made is { } before)
        {
            return before;
        }

        await _making.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            return _made ??= await MakeOnceAsync(bridge, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _making.Release();
        }
    }

    private BridgeOptions Bridge(IPAddress address, int mtu) => new()
    {
        BridgeName = options.BridgeName,
        Address = (address, options.Subnet.PrefixLength),
        ReservedAddresses = [.. options.ReservedAddresses],
        Ipv6 = options.Pairing is { } pairing ? new Ipv6Options { Address = (pairing.Ipv6Of(address), pairing.Ipv6.PrefixLength) } : null,
        Internal = options.Internal,
        Mtu = mtu,
        PoolSize = 0,
        IsolatedPoolSize = 0,
    };

    private async Task<Made> MakeOnceAsync(IPAddress address, CancellationToken cancellationToken)
    {
        int mtu = await host.RunAsync(
            sessions =>
            {
                int most = OverlayLink.Mtu(options, sessions.Route);
                if (options.Encrypted)
                {
                    sessions.Encryption.Add(options);
                }

                return most;
            },
            cancellationToken).ConfigureAwait(false);
        BridgeNetwork bridge = new(Bridge(address, mtu), time, host);
        NetworkInfo? info = null;
        try
        {
            info = await bridge.EnsureAsync(cancellationToken).ConfigureAwait(false);
            OverlayLink link = await host.RunAsync(
                sessions =>
                {
                    // The rules first: the link takes packets from the moment it exists.
                    OverlayRules rules = new(sessions.NfTables, options);
                    rules.Repair();
                    sessions.Watched.Add(rules);
                    OverlayLink made = new(options, sessions.Route);
                    made.Ensure(sessions.Route.FindLink(options.BridgeName)!.Index, mtu);
                    return made;
                },
                cancellationToken).ConfigureAwait(false);
            return new Made(info, bridge, link);
        }
        catch
        {
            if (info is { Adopted: false })
            {
                await bridge.CleanupAsync(CancellationToken.None).ConfigureAwait(false);
            }

            await bridge.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    private sealed record Made(NetworkInfo Info, BridgeNetwork Bridge, OverlayLink Link);
}
