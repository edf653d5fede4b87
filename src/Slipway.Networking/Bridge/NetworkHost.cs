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
    private readonly string _engine;
    private readonly PortAdmission _admission;
    private readonly Action<string, Exception?> _report;
    private readonly NetworkNamespace? _namespace;
    private readonly NamespaceThread _thread;
    private readonly NamespaceThread _remover;
    private readonly Lock _lock = new();
    private Task<SandboxFactory>? _factory;
    private RouteSession? _removerSession;
    private HostSessions? _sessions;
    private RuleRepair? _repair;
    private bool _disposed;

    /// <param name="engine">What tells the engine from others of the host, in at most 100 letters and digits: its rules are in tables named by it.</param>
    /// <param name="hostNamespace">Null for the one of this process. Not disposed here, and to be kept until this is.</param>
    /// <param name="admission">Who decides about connections to published ports.</param>
    /// <param name="report">Gets what was repaired, or could not be.</param>
    /// <exception cref="Kernel.KernelException">The namespace cannot be entered.</exception>
    public NetworkHost(string engine, NetworkNamespace? hostNamespace = null, PortAdmission admission = PortAdmission.Input, Action<string, Exception?>? report = null)
    {
        _engine = engine;
        _report = report ?? ((_, _) => { });
        _admission = admission;
        _namespace = hostNamespace;
        _thread = new NamespaceThread("slipway-net", hostNamespace);
        _remover = new NamespaceThread("slipway-netdel", hostNamespace);
    }

    /// <summary>
    /// A subnet of a family for a new network: the first of the pools' parts that meets neither a network of the host nor one of <paramref name="taken"/>.
    /// </summary>
    /// <exception cref="NetworkException">There is none.</exception>
    public Task<IPNetwork> ChooseSubnetAsync(
        IReadOnlyList<AddressPoolSource> pools, IReadOnlyCollection<OccupiedRange> taken, AddressFamily family, CancellationToken cancellationToken) => RunAsync(
        host => DefaultSubnets.Choose(pools, taken.Concat(DefaultSubnets.Occupied(host.Route)), family), cancellationToken);

    /// <summary>Whether the host has addresses in a range, or routes into it.</summary>
    public Task<bool> IsOccupiedAsync(IPNetwork range, CancellationToken cancellationToken) => RunAsync(
        host => DefaultSubnets.Occupied(host.Route).Select(other => other.Range).Any(network => network.PrefixLength > 0 && network.BaseAddress.AddressFamily == range.BaseAddress.AddressFamily && DefaultSubnets.Overlap(network, range)),
        cancellationToken);

    /// <summary>The network namespace of a process that runs, to attach it to a further network.</summary>
    /// <exception cref="IOException">There is no such process.</exception>
    public async Task<Sandbox> OpenSandboxAsync(int pid, CancellationToken cancellationToken) =>
        await (await FactoryAsync(cancellationToken).ConfigureAwait(false)).OpenAsync(pid, cancellationToken).ConfigureAwait(false);

    /// <summary>Runs a call on the host's thread.</summary>
    internal Task<T> RunAsync<T>(Func<HostSessions, T> call, CancellationToken cancellationToken) =>
        _thread.RunAsync(() => call(_sessions ??= Open()), cancellationToken);

    /// <summary>Runs a call with what it opens belonging to the host's namespace.</summary>
    internal Task<T> RunAsync<T>(Func<T> call, CancellationToken cancellationToken) => _thread.RunAsync(call, cancellationToken);

    internal Task RemoveLinksAsync(IReadOnlyList<int> links, CancellationToken cancellationToken) =>
        _remover.RunAsync(() => BridgeLink.Remove(_removerSession ??= new RouteSession(), links), cancellationToken);

    /// <inheritdoc cref="RemoveLinksAsync(IReadOnlyList{int}, CancellationToken)"/>
    internal Task RemoveLinksAsync(IReadOnlyList<string> links, CancellationToken cancellationToken) =>
        _remover.RunAsync(() => BridgeLink.Remove(_removerSession ??= new RouteSession(), links), cancellationToken);

    /// <summary>Runs a call that removes links, which waits for grace periods of the kernel, where nobody else waits with it.</summary>
    internal Task RemoveAsync(Action call, CancellationToken cancellationToken) => _remover.RunAsync(call, cancellationToken);

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

    /// <summary>What an earlier engine took out of use and did not come to remove goes now.</summary>
    private HostSessions Open()
    {
        HostSessions sessions = new(_engine, _admission);
        _repair = new RuleRepair(
            sessions.IsOwn,
            sessions.IsContentOurs,
            RepairAsync,
            () => _report($"another program deletes the rules of networks again and again: they are made again every {RepairBackOff.Longest.TotalSeconds:0} s at most, and that is not told any more", null),
            TimeProvider.System);
        _ = RemoveLinksAsync(BridgeLink.Retired(sessions.Route), CancellationToken.None);
        return sessions;
    }

    /// <summary>Makes again what is missing of the rules, after somebody deleted it.</summary>
    private async Task RepairAsync(IReadOnlySet<NfTablesDeletion> deleted, bool isRepeated)
    {
        try
        {
            if (await RunAsync(sessions => sessions.RepairRules(deleted), CancellationToken.None).ConfigureAwait(false) && !isRepeated)
            {
                _report(
                    deleted.Contains(NfTablesDeletion.Missed)
                        ? "more changed in the host's tables than could be told: rules of networks were made again, as they may have been deleted"
                        : "rules of networks were deleted by another program, and made again",
                    null);
            }
        }
        catch (Exception e) when (e is Kernel.KernelException or NetworkException)
        {
            _report("rules of networks were deleted by another program, and could not be made again", e);
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

        if (await _thread.RunAsync(() => _repair, CancellationToken.None).ConfigureAwait(false) is { } repair)
        {
            await repair.DisposeAsync().ConfigureAwait(false);
        }

        await _thread.RunAsync(() => _sessions?.Dispose(), CancellationToken.None).ConfigureAwait(false);
        await _thread.DisposeAsync().ConfigureAwait(false);
        await _remover.RunAsync(() => _removerSession?.Dispose(), CancellationToken.None).ConfigureAwait(false);
        await _remover.DisposeAsync().ConfigureAwait(false);
    }
}
