using System.Net;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>
/// What the networks of an engine share, however many they are: the thread on which everything that changes the host happens, in order; two others
/// for sandboxes and for removed links, because those take milliseconds; and the host's ports.
/// </summary>
public sealed class NetworkHost : IAsyncDisposable
{
    private readonly NetworkNamespace? _namespace;
    private readonly NamespaceThread _thread;
    private readonly NamespaceThread _remover;
    private readonly Lock _lock = new();
    private Task<SandboxFactory>? _factory;
    private RouteSession? _removerSession;
    private HostSessions? _sessions;
    private bool _disposed;

    /// <param name="hostNamespace">Null for the one of this process. Not disposed here, and to be kept until this is.</param>
    /// <exception cref="Kernel.KernelException">The namespace cannot be entered.</exception>
    public NetworkHost(NetworkNamespace? hostNamespace = null)
    {
        _namespace = hostNamespace;
        _thread = new NamespaceThread("slipway-net", hostNamespace);
        _remover = new NamespaceThread("slipway-netdel", hostNamespace);
    }

    /// <summary>
    /// A subnet for a new network: the first of the pools' parts that meets neither a network of the host nor one of <paramref name="taken"/>.
    /// </summary>
    /// <exception cref="NetworkException">There is none.</exception>
    public Task<IPNetwork> ChooseSubnetAsync(IReadOnlyList<AddressPoolSource> pools, IReadOnlyCollection<IPNetwork> taken, CancellationToken cancellationToken) => RunAsync(
        host => DefaultSubnets.Choose(pools, taken.Concat(DefaultSubnets.Occupied(host.Route))), cancellationToken);

    /// <summary>The network namespace of a process that runs, to attach it to a further network.</summary>
    /// <exception cref="IOException">There is no such process.</exception>
    public async Task<Sandbox> OpenSandboxAsync(int pid, CancellationToken cancellationToken) =>
        await (await FactoryAsync(cancellationToken).ConfigureAwait(false)).OpenAsync(pid, cancellationToken).ConfigureAwait(false);

    /// <summary>Runs a call on the host's thread.</summary>
    internal Task<T> RunAsync<T>(Func<HostSessions, T> call, CancellationToken cancellationToken) =>
        _thread.RunAsync(() => call(_sessions ??= new HostSessions()), cancellationToken);

    /// <summary>Runs a call with what it opens belonging to the host's namespace.</summary>
    internal Task<T> RunAsync<T>(Func<T> call, CancellationToken cancellationToken) => _thread.RunAsync(call, cancellationToken);

    internal Task RemoveLinksAsync(IReadOnlyList<string> links, CancellationToken cancellationToken) =>
        _remover.RunAsync(() => BridgeLink.Remove(_removerSession ??= new RouteSession(), links), cancellationToken);

    /// <summary>Waits until what was asked for is done.</summary>
    internal async Task DrainAsync(CancellationToken cancellationToken)
    {
        await _thread.RunAsync(() => { }, cancellationToken).ConfigureAwait(false);
        await _remover.RunAsync(() => { }, cancellationToken).ConfigureAwait(false);
    }

    internal Task<SandboxFactory> FactoryAsync(CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return (_factory ??= SandboxFactory.CreateAsync(_namespace, CancellationToken.None)).WaitAsync(cancellationToken);
        }
    }

    /// <summary>To be called after the networks are disposed.</summary>
    public async ValueTask DisposeAsync()
    {
        Task<SandboxFactory>? factory;
        lock (_lock)
        {
            if (_disposed)
            {
                return;
            }

            (_disposed, factory) = (true, _factory);
        }

        if (factory is not null)
        {
            await (await factory.ConfigureAwait(false)).DisposeAsync().ConfigureAwait(false);
        }

        await _thread.RunAsync(() => _sessions?.Dispose(), CancellationToken.None).ConfigureAwait(false);
        await _thread.DisposeAsync().ConfigureAwait(false);
        await _remover.RunAsync(() => _removerSession?.Dispose(), CancellationToken.None).ConfigureAwait(false);
        await _remover.DisposeAsync().ConfigureAwait(false);
    }
}

/// <summary>What the host's thread works with; used by that thread only.</summary>
internal sealed class HostSessions : IDisposable
{
    public RouteSession Route { get; } = new();

    public NfTablesSession NfTables { get; } = new();

    public PortAllocator Ports { get; } = new(HostSettings.HasIpv6, HostSettings.EphemeralPorts);

    public void Dispose()
    {
        NfTables.Dispose();
        Route.Dispose();
    }
}
