using System.Net.Sockets;
using Slipway.BuildKit.Protocol;
using Slipway.Engine.Daemon;
using Slipway.Oci;

namespace Slipway.Server.BuildKit;

/// <summary>The one worker there is: this engine.</summary>
internal static class Workers
{
    private const string HostGatewayLabel = "org.mobyproject.buildkit.worker.moby.host-gateway-ip";

    /// <summary>buildx allows archives, exported caches and several platforms where the worker has it.</summary>
    private const string SnapshotterLabel = "org.mobyproject.buildkit.worker.snapshotter";

    /// <summary>Clients look at the version to find out what is understood: this is that of the protocol, not the engine's.</summary>
    public static EngineBuild Engine { get; } = new() { Package = "github.com/moby/buildkit", Version = "v0.13.2+slipway" };

    public static Worker Of(IDaemon daemon)
    {
        Worker worker = new() { Id = daemon.Info().ID, Engine = Engine, Labels = { [SnapshotterLabel] = "overlayfs" } };

        // The label has room for one address: clients know the IPv4 one.
        if (daemon.HostGateways.OrderByDescending(address => address.AddressFamily == AddressFamily.InterNetwork).FirstOrDefault() is { } gateway)
        {
            worker.Labels[HostGatewayLabel] = gateway.ToString();
        }

        worker.Platforms.Add(ToWire(Platform.Host));
        return worker;
    }

    private static TargetPlatform ToWire(Platform platform) => new()
    {
        Os = platform.Os,
        Architecture = platform.Architecture,
        Variant = platform.Variant == "v8" ? "" : platform.Variant ?? "",
    };
}
