using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>Makes the name servers of containers, on a thread of its own: it enters each container's network namespace to open their sockets.</summary>
public sealed class ResolverHost : IAsyncDisposable
{
    private readonly NamespaceThread _thread;
    private readonly NetworkNamespace _home;
    private readonly DnsForwarder _forwarder;

    /// <param name="hostNamespace">Where the host's name servers are reached from; null for the one of this process.</param>
    public ResolverHost(NetworkNamespace? hostNamespace = null)
    {
        _home = hostNamespace is null ? NetworkNamespace.OfThisThread() : NetworkNamespace.FromDescriptor(hostNamespace.Duplicate());
        _thread = new NamespaceThread("slipway-names", _home);
        _forwarder = new DnsForwarder(_thread, _home);
    }

    /// <summary>Starts the name server of a container.</summary>
    /// <param name="kept">The sockets that it had under an earlier engine, consumed; none: they are made.</param>
    /// <exception cref="NetworkException">The kernel refused a socket or a rule.</exception>
    public async Task<SandboxResolver> StartAsync(Sandbox sandbox, ResolverZones zones, IReadOnlyList<UpstreamServer> upstreams, IReadOnlyList<SafeFileHandle> kept, CancellationToken cancellationToken)
    {
        NetworkNamespace own = NetworkNamespace.FromDescriptor(sandbox.DuplicateNamespace());
        try
        {
            SandboxResolver.Listeners listeners = await _thread.RunAsync(() => NamespaceThread.Within(own, _home, () => SandboxResolver.Listen(kept)), cancellationToken).ConfigureAwait(false);
            return new SandboxResolver(listeners, own, _forwarder, zones, upstreams);
        }
        catch (Exception exception) when (exception is KernelException or System.Net.Sockets.SocketException)
        {
            own.Dispose();
            throw new NetworkException(NetworkErrorKind.Unavailable, $"the embedded name server cannot be started: {exception.Message}", exception);
        }
        catch
        {
            own.Dispose();
            throw;
        }
    }

    /// <summary>To be called after the resolvers are disposed.</summary>
    public async ValueTask DisposeAsync()
    {
        await _thread.DisposeAsync().ConfigureAwait(false);
        _forwarder.Dispose();
        _home.Dispose();
    }
}
