using System.Net;
using Slipway.Api.Containers;

namespace Slipway.Engine;

/// <summary>What containers get that do not say otherwise (dockerd's <c>default-*</c> directives and their like). Those about creation hold for containers made from then on.</summary>
public sealed record ContainerDefaults
{
    public const long DefaultShmSize = 64L << 20;

    /// <summary>The seccomp profile that stands for no filter.</summary>
    public const string Unconfined = "unconfined";

    public IReadOnlyList<string> Dns { get; init; } = [];

    public IReadOnlyList<string> DnsSearch { get; init; } = [];

    public IReadOnlyList<string> DnsOptions { get; init; } = [];

    /// <summary>Beside those a container names.</summary>
    public IReadOnlyList<Ulimit> Ulimits { get; init; } = [];

    /// <summary>Bytes of /dev/shm.</summary>
    public long ShmSize { get; init; } = DefaultShmSize;

    /// <summary><c>private</c> or <c>shareable</c>.</summary>
    public string IpcMode { get; init; } = "private";

    /// <summary><c>host</c> or <c>private</c>; empty: private on cgroup v2, host on v1.</summary>
    public string CgroupNamespace { get; init; } = "";

    /// <summary>The name of a runtime.</summary>
    public string Runtime { get; init; } = EngineOptions.OwnRuntime;

    /// <summary>At each start: no new privileges through set-user-id files.</summary>
    public bool NoNewPrivileges { get; init; }

    /// <summary>At each start: the text of a profile, <see cref="Unconfined"/>, or null for the one that is built in.</summary>
    public string? SeccompProfile { get; init; }

    /// <summary>What <c>host-gateway</c> stands for, at most one address of each family; empty for the bridge's.</summary>
    public IReadOnlyList<IPAddress> HostGateways { get; init; } = [];
}
