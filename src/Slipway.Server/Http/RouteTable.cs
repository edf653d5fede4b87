using Slipway.Engine;
using Slipway.Server.BuildKit;
using Slipway.Server.Endpoints;

namespace Slipway.Server.Http;

/// <summary>
/// All operations of the Engine API v1.50, each with its state: the router serves this table, and docs/api-coverage.md is
/// generated from it (<see cref="ApiCoverage"/>).
/// </summary>
internal static class RouteTable
{
    public static IReadOnlyList<Route> Routes { get; } =
    [
        // System
        Built("GET", "/_ping", SystemEndpoints.Ping),
        Built("HEAD", "/_ping", SystemEndpoints.Ping),
        Built("GET", "/info", SystemEndpoints.Info),
        Built("GET", "/version", SystemEndpoints.Version),
        Built("GET", "/events", SystemEndpoints.Events),
        Built("GET", "/system/df", DiskEndpoints.Usage),
        Built("POST", "/auth", RegistryEndpoints.Login),

        // Containers
        Built("GET", "/containers/json", ContainerEndpoints.List),
        Built("POST", "/containers/create", ContainerEndpoints.Create),
        Built("POST", "/containers/prune", ContainerEndpoints.Prune),
        Built("GET", "/containers/{id}/json", ContainerEndpoints.Inspect),
        Built("GET", "/containers/{id}/top", ContainerEndpoints.Top),
        Built("GET", "/containers/{id}/logs", ContainerStreamEndpoints.Logs),
        Built("GET", "/containers/{id}/changes", ContainerLayerEndpoints.Changes),
        Built("GET", "/containers/{id}/export", ContainerLayerEndpoints.Export),
        Built("GET", "/containers/{id}/stats", ContainerStreamEndpoints.Stats),
        Built("POST", "/containers/{id}/resize", ContainerEndpoints.Resize),
        Built("POST", "/containers/{id}/start", ContainerEndpoints.Start),
        Built("POST", "/containers/{id}/stop", ContainerEndpoints.Stop),
        Built("POST", "/containers/{id}/restart", ContainerEndpoints.Restart),
        Built("POST", "/containers/{id}/kill", ContainerEndpoints.Kill),
        Built("POST", "/containers/{id}/update", ContainerEndpoints.Update),
        Built("POST", "/containers/{id}/rename", ContainerEndpoints.Rename),
        Built("POST", "/containers/{id}/pause", ContainerEndpoints.Pause),
        Built("POST", "/containers/{id}/unpause", ContainerEndpoints.Unpause),
        Built("POST", "/containers/{id}/attach", ContainerStreamEndpoints.Attach),
        Built("GET", "/containers/{id}/attach/ws", ContainerStreamEndpoints.AttachWebSocket),
        Built("POST", "/containers/{id}/wait", ContainerStreamEndpoints.Wait),
        Built("DELETE", "/containers/{id}", ContainerEndpoints.Remove),
        Built("HEAD", "/containers/{id}/archive", ContainerArchiveEndpoints.Stat),
        Built("GET", "/containers/{id}/archive", ContainerArchiveEndpoints.Get),
        Built("PUT", "/containers/{id}/archive", ContainerArchiveEndpoints.Put),
        Built("GET", "/containers/{id}/checkpoints", CheckpointEndpoints.List),
        Built("POST", "/containers/{id}/checkpoints", CheckpointEndpoints.Create),
        Built("DELETE", "/containers/{id}/checkpoints/{checkpoint}", CheckpointEndpoints.Remove),

        // Exec
        Built("POST", "/containers/{id}/exec", ExecEndpoints.Create),
        Built("POST", "/exec/{id}/start", ExecEndpoints.Start),
        Built("POST", "/exec/{id}/resize", ExecEndpoints.Resize),
        Built("GET", "/exec/{id}/json", ExecEndpoints.Inspect),

        // Images
        Built("GET", "/images/json", ImageEndpoints.List),
        Built("POST", "/images/create", ImageEndpoints.Create),
        Built("POST", "/images/load", ImageEndpoints.Load),
        Built("GET", "/images/get", ImageEndpoints.SaveMany),
        Built("GET", "/images/search", RegistryEndpoints.Search),
        Built("POST", "/images/prune", ImageEndpoints.Prune),
        Built("GET", "/images/{name}/json", ImageEndpoints.Inspect),
        Built("GET", "/images/{name}/history", ImageEndpoints.History),
        Built("GET", "/images/{name}/get", ImageEndpoints.SaveOne),
        Built("POST", "/images/{name}/push", RegistryEndpoints.Push),
        Built("POST", "/images/{name}/tag", ImageEndpoints.Tag),
        Built("DELETE", "/images/{name}", ImageEndpoints.Remove),
        Built("POST", "/commit", ContainerLayerEndpoints.Commit),
        Built("POST", "/build", BuildEndpoints.Build),
        Built("POST", "/build/prune", BuildEndpoints.Prune),
        Built("POST", "/session", BuildKitEndpoints.Session),
        Built("POST", "/grpc", BuildKitEndpoints.Grpc),
        Built("GET", "/distribution/{name}/json", RegistryEndpoints.Inspect),

        // Networks
        Built("GET", "/networks", NetworkEndpoints.List),
        Built("POST", "/networks/create", NetworkEndpoints.Create),
        Built("POST", "/networks/prune", NetworkEndpoints.Prune),
        Built("GET", "/networks/{id}", NetworkEndpoints.Inspect),
        Built("DELETE", "/networks/{id}", NetworkEndpoints.Remove),
        Built("POST", "/networks/{id}/connect", NetworkEndpoints.Connect),
        Built("POST", "/networks/{id}/disconnect", NetworkEndpoints.Disconnect),

        // Volumes
        Built("GET", "/volumes", VolumeEndpoints.List),
        Built("POST", "/volumes/create", VolumeEndpoints.Create),
        Built("POST", "/volumes/prune", VolumeEndpoints.Prune),
        Built("GET", "/volumes/{name}", VolumeEndpoints.Inspect),
        Built("PUT", "/volumes/{name}", VolumeEndpoints.Update),
        Built("DELETE", "/volumes/{name}", VolumeEndpoints.Remove),

        // Secrets
        Built("GET", "/secrets", SecretEndpoints.List),
        Built("POST", "/secrets/create", SecretEndpoints.Create),
        Built("GET", "/secrets/{id}", SecretEndpoints.Inspect),
        Built("DELETE", "/secrets/{id}", SecretEndpoints.Remove),
        Built("POST", "/secrets/{id}/update", SecretEndpoints.Update),

        // Plugins
        Built("GET", "/plugins", PluginEndpoints.List),
        Built("GET", "/plugins/privileges", PluginEndpoints.Install),
        Built("POST", "/plugins/pull", PluginEndpoints.Install),
        Built("POST", "/plugins/create", PluginEndpoints.Install),
        Built("GET", "/plugins/{name}/json", PluginEndpoints.OfOne),
        Built("DELETE", "/plugins/{name}", PluginEndpoints.OfOne),
        Built("POST", "/plugins/{name}/enable", PluginEndpoints.OfOne),
        Built("POST", "/plugins/{name}/disable", PluginEndpoints.OfOne),
        Built("POST", "/plugins/{name}/upgrade", PluginEndpoints.OfOne),
        Built("POST", "/plugins/{name}/push", PluginEndpoints.OfOne),
        Built("POST", "/plugins/{name}/set", PluginEndpoints.OfOne),

        // Swarm
        Swarm("GET", "/nodes"),
        Swarm("GET", "/nodes/{id}"),
        Swarm("DELETE", "/nodes/{id}"),
        Swarm("POST", "/nodes/{id}/update"),
        Swarm("GET", "/swarm"),
        Swarm("POST", "/swarm/init"),
        Swarm("POST", "/swarm/join"),
        Swarm("POST", "/swarm/leave", "This node is not part of a swarm"),
        Swarm("POST", "/swarm/update"),
        Swarm("GET", "/swarm/unlockkey"),
        Swarm("POST", "/swarm/unlock"),
        Swarm("GET", "/services"),
        Swarm("POST", "/services/create"),
        Swarm("GET", "/services/{id}"),
        Swarm("DELETE", "/services/{id}"),
        Swarm("POST", "/services/{id}/update"),
        Swarm("GET", "/services/{id}/logs"),
        Swarm("GET", "/tasks"),
        Swarm("GET", "/tasks/{id}"),
        Swarm("GET", "/tasks/{id}/logs"),
        Swarm("GET", "/configs"),
        Swarm("POST", "/configs/create"),
        Swarm("GET", "/configs/{id}"),
        Swarm("DELETE", "/configs/{id}"),
        Swarm("POST", "/configs/{id}/update"),

        // Slipway's own
        Built("GET", "/slipway/containers/{id}/explain", ContainerEndpoints.Explain),
        Built("GET", "/slipway/disk", DiskEndpoints.Ledger),
        Built("POST", "/slipway/volumes/{name}/copy", VolumeEndpoints.Copy),
        Built("POST", "/slipway/volumes/{name}/rename", VolumeEndpoints.Rename),
        Built("GET", "/slipway/volumes/{name}/export", VolumeEndpoints.Export),
    ];

    private static Route Built(string method, string path, EndpointHandler handler) => new(method, path, RouteState.Built, handler);

    private static Route Swarm(string method, string path, string refusal = Errors.NotASwarmManager) =>
        new(method, path, RouteState.Swarm, _ => throw new EngineException(ErrorKind.Unavailable, refusal));
}
