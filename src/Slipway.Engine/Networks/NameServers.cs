using System.Collections.Concurrent;
using System.Net;
using Microsoft.Win32.SafeHandles;
using Slipway.Engine.Containers.State;
using Slipway.Engine.Recovery;
using Slipway.Networking;
using Slipway.Runtime.Supervision;

namespace Slipway.Engine.Networks;

/// <summary>
/// The name servers of the containers that run. The supervisor keeps their sockets: while no engine runs, queries wait in them, and the next engine
/// answers. Closed ports would answer at once that nobody is there, which a client's library takes for the end of its attempts.
/// </summary>
internal sealed class NameServers(ResolverHost host, SupervisorLink supervisor, IEngineLog log) : IAsyncDisposable
{
    private const string HostResolvConf = "/etc/resolv.conf";

    private readonly ConcurrentDictionary<string, SandboxResolver> _running = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, IReadOnlyList<SafeFileHandle>> _left = new(StringComparer.Ordinal);

    public bool Serves(string containerId) => _running.ContainsKey(containerId);

    /// <summary>Brings a container's name server up to its networks; starts it where none runs.</summary>
    public async Task SetAsync(ContainerSnapshot container, Sandbox sandbox, ResolverZones zones)
    {
        if (_running.TryGetValue(container.Id, out SandboxResolver? resolver))
        {
            resolver.Zones = zones;
            return;
        }

        IReadOnlyList<SafeFileHandle> kept = _left.TryRemove(container.Id, out IReadOnlyList<SafeFileHandle>? left) ? left : [];
        _running[container.Id] = resolver = await host.StartAsync(sandbox, zones, Upstreams(container), kept, CancellationToken.None);
        if (kept.Count == 0)
        {
            // Nobody who starts a container waits for it.
            _ = KeepAsync(container.Id, resolver);
        }
    }

    /// <summary>A container has ended.</summary>
    public async Task EndAsync(string containerId)
    {
        if (_running.TryRemove(containerId, out SandboxResolver? resolver))
        {
            await KeepAsync(containerId, null);
            await resolver.DisposeAsync();
        }
    }

    /// <summary>Takes what an earlier engine left of those that run now, and lets go of the rest.</summary>
    public async Task TakeOverAsync(IReadOnlySet<string> containerIds, CancellationToken cancellationToken)
    {
        try
        {
            foreach ((string id, IReadOnlyList<SafeFileHandle> sockets) in await supervisor.Current.KeptAsync(cancellationToken))
            {
                if (containerIds.Contains(id))
                {
                    _left[id] = sockets;
                    continue;
                }

                foreach (SafeFileHandle socket in sockets)
                {
                    socket.Dispose();
                }

                await KeepAsync(id, null);
            }
        }
        catch (SupervisorException)
        {
            // It was started by an older engine, which left nothing: the sockets are made again.
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (SandboxResolver resolver in _running.Values)
        {
            await resolver.DisposeAsync();
        }
    }

    /// <param name="resolver">Null: nothing is to be kept any more.</param>
    private async Task KeepAsync(string containerId, SandboxResolver? resolver)
    {
        try
        {
            await supervisor.Current.KeepAsync(containerId, resolver?.Sockets ?? [], CancellationToken.None);
        }
        catch (Exception exception) when (exception is SupervisorException or SupervisorLostException or ObjectDisposedException)
        {
            log.Write(EngineLogLevel.Debug, $"the name server's sockets of container {containerId[..12]} are not kept: {exception.Message}");
        }
    }

    private static List<UpstreamServer> Upstreams(ContainerSnapshot container)
    {
        if (container.HostConfig.Dns is { Count: > 0 } own)
        {
            // The embedded server named as its own upstream would ask itself without end.
            return [.. from text in own
                       let address = IPAddress.TryParse(text, out IPAddress? parsed) ? parsed : null
                       where address is not null && !address.Equals(SandboxResolver.Address)
                       select new UpstreamServer(address, FromContainer: true)];
        }

        string hostFile = File.Exists(HostResolvConf) ? File.ReadAllText(HostResolvConf) : "";
        return [.. ContainerFiles.HostServers(hostFile).Select(address => new UpstreamServer(address, FromContainer: false))];
    }
}
