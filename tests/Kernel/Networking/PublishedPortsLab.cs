using System.Net;
using Slipway.Kernel.Netlink;
using Slipway.Networking;

namespace Slipway.Tests.Kernel.Networking;

/// <summary>A lab whose host publishes TCP 8080 and 8081 and UDP 5353 of one container, in both families.</summary>
internal sealed class PublishedPortsLab : IAsyncDisposable
{
    public required NetworkLab Lab { get; init; }

    public required NetworkHost Engine { get; init; }

    public required BridgeNetwork Network { get; init; }

    public required EndpointInfo Server { get; init; }

    /// <summary>Where the container's programs run.</summary>
    public required NamespaceThread Inside { get; init; }

    public static async Task<PublishedPortsLab> CreateAsync(PortAdmission admission, Action<string, Exception?>? report = null)
    {
        NetworkLab lab = await NetworkLab.CreateAsync();
        NetworkHost engine = new("lab", lab.HostNamespace, admission, report);
        BridgeNetwork network = new(Options, TimeProvider.System, engine);
        await network.EnsureAsync(CancellationToken.None);
        (EndpointInfo info, NamespaceThread server) = await lab.RunAsync(
            network,
            "server",
            new PortRequest(PortProtocol.Tcp, 80, HostPort: 8080),
            new PortRequest(PortProtocol.Tcp, 80, HostPort: 8081),
            new PortRequest(PortProtocol.Udp, 53, HostPort: 5353));
        foreach (IPAddress any in (IPAddress[])[IPAddress.Any, IPAddress.IPv6Any])
        {
            await lab.ServeTcpAsync(server, new IPEndPoint(any, 80), "served ");
            await lab.ServeUdpAsync(server, new IPEndPoint(any, 53), "served ");
        }

        return new PublishedPortsLab { Lab = lab, Engine = engine, Network = network, Server = info, Inside = server };
    }

    public static BridgeOptions Options { get; } = new() { PoolSize = 1, IsolatedPoolSize = 0, Ipv6 = new Ipv6Options { Address = (IPAddress.Parse("fd00:5::1"), 64) } };

    /// <summary>The ports that a place reaches, by IPv4 and by IPv6.</summary>
    public async Task<string> OpenAsync(NamespaceThread? from = null)
    {
        from ??= Lab.Outside;
        string[] families = await Task.WhenAll(new[] { NetworkLab.HostAddress, NetworkLab.HostAddress6 }.Select(async host =>
        {
            string[] answers = await Task.WhenAll(
                NetworkLab.AskTcpAsync(from, host, 8080), NetworkLab.AskTcpAsync(from, host, 8081), NetworkLab.AskUdpAsync(from, host, 5353));
            return string.Join(' ', new[] { "8080", "8081", "5353" }.Where((_, i) => answers[i].StartsWith("served ", StringComparison.Ordinal)));
        }));
        return string.Join(" | ", families).Trim();
    }

    public async ValueTask DisposeAsync()
    {
        await Network.DisposeAsync();
        await Engine.DisposeAsync();
        await Lab.DisposeAsync();
    }
}
