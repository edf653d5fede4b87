using System.Security.Cryptography;
using Slipway.Kernel;
using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>A link that waits in a pooled sandbox: both ends up, its port on the bridge forwarding, no address yet.</summary>
/// <param name="HostName">Name of the end on the bridge.</param>
/// <param name="HostIndex">Of the end on the bridge.</param>
/// <param name="Name">Of the end inside the sandbox.</param>
/// <param name="Index">Of the end inside the sandbox.</param>
internal sealed record PooledLink(string HostName, int HostIndex, string Name, int Index);

/// <summary>
/// Makes sandboxes, on a thread of its own: it leaves its namespace for each of them. About 0.6 ms for the namespace and
/// 1 ms for the link, which is why it is done ahead of need.
/// </summary>
internal sealed class SandboxFactory : IAsyncDisposable
{
    private readonly NamespaceThread _thread;
    private readonly NetworkNamespace _home;
    private readonly RouteSession _host;
    private readonly SandboxSettings _settings = new();

    private SandboxFactory(NamespaceThread thread, NetworkNamespace home, RouteSession host)
    {
        _thread = thread;
        _home = home;
        _host = host;
    }

    public static async Task<SandboxFactory> CreateAsync(NetworkNamespace? hostNamespace, CancellationToken cancellationToken)
    {
        NamespaceThread thread = new("slipway-netns", hostNamespace);
        return await thread.RunAsync(() => new SandboxFactory(thread, NetworkNamespace.OfThisThread(), new RouteSession()), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>A sandbox with only a loopback device.</summary>
    public Task<Sandbox> MakeIsolatedAsync(CancellationToken cancellationToken) => _thread.RunAsync(() => Make(null, 0), cancellationToken);

    /// <summary>A sandbox with a link to the bridge.</summary>
    /// <param name="mtu">Bytes.</param>
    public Task<Sandbox> MakeAttachedAsync(int bridge, int mtu, CancellationToken cancellationToken) => _thread.RunAsync(() => Make(bridge, mtu), cancellationToken);

    /// <summary>The sandbox of a process that runs.</summary>
    /// <exception cref="IOException">There is no such process.</exception>
    public Task<Sandbox> OpenAsync(int pid, CancellationToken cancellationToken) => _thread.RunAsync(
        () =>
        {
            NetworkNamespace found = NetworkNamespace.OfProcess(pid);
            try
            {
                return new Sandbox(found, NamespaceThread.Within(found, _home, () => new RouteSession()), link: null);
            }
            catch
            {
                found.Dispose();
                throw;
            }
        },
        cancellationToken);

    /// <summary>Adds a link to a sandbox.</summary>
    /// <param name="hostName">Of the end on the bridge.</param>
    /// <param name="name">Of the end inside.</param>
    public static PooledLink AddLink(RouteSession host, NetworkNamespace sandbox, RouteSession inside, string hostName, string name, int bridge, int mtu)
    {
        bool? linkLocal = mtu < BridgeLink.MinIpv6Mtu ? null : false;

        // The port has no use for an IPv6 link-local address, and duplicate address detection for one would take seconds.
        host.Begin()
            .AddVeth(new VethPair { Name = hostName, PeerName = name, PeerNamespace = sandbox, Master = bridge, Mtu = mtu })
            .SetLink(hostName, new LinkChange { LinkLocalAddress = linkLocal })
            .SetLink(hostName, new LinkChange { Up = true })
            .Execute();
        try
        {
            int index = IndexOf(inside, name);

            // Up with the other end already up: the carrier is there at once, and no packet of the container is lost to an
            // interface or bridge port that the kernel would enable later, from its own work queue.
            inside.Begin()
                .SetLink(index, new LinkChange { LinkLocalAddress = linkLocal })
                .SetLink(index, new LinkChange { Up = true })
                .Execute();

            // Asked for now, since the kernel brings an interface's state up to date before it tells (linkwatch_sync_dev, 6.7): the bridge forwards
            // from here on, and not only when that is worked off in the background. What a container tells its neighbours first is not lost.
            return new PooledLink(hostName, IndexOf(host, hostName), name, index);
        }
        catch
        {
            host.Begin().DeleteLink(hostName).Execute();
            throw;
        }
    }

    /// <summary>A name for the end of a link on a bridge, which nobody has.</summary>
    public static string NewHostName() => "veth" + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(4))[..7];

    public async ValueTask DisposeAsync()
    {
        await _thread.RunAsync(
            () =>
            {
                _settings.Dispose();
                _host.Dispose();
                _home.Dispose();
            },
            CancellationToken.None).ConfigureAwait(false);
        await _thread.DisposeAsync().ConfigureAwait(false);
    }

    private static int IndexOf(RouteSession session, string name) =>
        session.FindLink(name)?.Index ?? throw new KernelException($"get link {name}", Errno.ENODEV);

    /// <summary>A namespace that the calling thread is in, without a link.</summary>
    internal static Sandbox SetUp(NetworkNamespace adopted)
    {
        RouteSession inside = new();
        try
        {
            using SandboxSettings settings = new();
            Prepare(inside, settings);
            return new Sandbox(adopted, inside, null);
        }
        catch
        {
            inside.Dispose();
            throw;
        }
    }

    private static void Prepare(RouteSession inside, SandboxSettings settings)
    {
        inside.Begin().SetLink("lo", new LinkChange { Up = true }).Execute();
        settings.Apply();
    }

    private Sandbox Make(int? bridge, int mtu) => NamespaceThread.InNewNamespace(_home, created =>
    {
        RouteSession inside = new();
        try
        {
            Prepare(inside, _settings);
            PooledLink? link = null;
            if (bridge is { } master)
            {
                link = AddLink(_host, created, inside, NewHostName(), Sandbox.FirstLinkName, master, mtu);
            }

            return new Sandbox(created, inside, link);
        }
        catch
        {
            inside.Dispose();
            throw;
        }
    });
}
