using Slipway.Api.Containers;
using Slipway.Oci;

namespace Slipway.Engine.Builds;

/// <summary>A build as both of Docker's protocols can ask for it.</summary>
public sealed record BuildRequest
{
    /// <summary>What the client knows the build by; null: the engine gives it a name.</summary>
    public string? Reference { get; init; }

    public required DockerfileSource Dockerfile { get; init; }

    /// <summary>What COPY, ADD and bind mounts read; null: there is nothing to read.</summary>
    public BuildContext? Context { get; init; }

    /// <summary>Further contexts by name (<c>--build-context</c>): they stand for stages and images of that name.</summary>
    public IReadOnlyDictionary<string, BuildContext> NamedContexts { get; init; } = new Dictionary<string, BuildContext>();

    /// <summary>The stage to build, by name or number; null: the last.</summary>
    public string? Target { get; init; }

    /// <summary>A null value is the one the Dockerfile gives.</summary>
    public IReadOnlyDictionary<string, string?> Arguments { get; init; } = new Dictionary<string, string?>();

    /// <summary>Labels of the result, beside those of the Dockerfile.</summary>
    public IReadOnlyDictionary<string, string> Labels { get; init; } = new Dictionary<string, string>();

    /// <summary>What it is built for, each once; empty: the host's.</summary>
    public IReadOnlyList<Platform> Platforms { get; init; } = [];

    /// <summary>No step is taken from the cache.</summary>
    public bool NoCache { get; init; }

    /// <summary>Stages of which no step is taken from the cache, by name.</summary>
    public IReadOnlyList<string> NoCacheStages { get; init; } = [];

    /// <summary>Asks registries for the images that stages start from even where they are here.</summary>
    public bool Pull { get; init; }

    /// <summary>Of RUN where it does not say: <c>default</c> (also null), <c>none</c>, <c>host</c>, the name of a network, <c>container:…</c>.</summary>
    public string? NetworkMode { get; init; }

    /// <summary><c>name:address</c>, as containers have them.</summary>
    public IReadOnlyList<string> ExtraHosts { get; init; } = [];

    /// <summary>Of the steps' processes.</summary>
    public BuildLimits Limits { get; init; } = new();

    /// <summary>What RUN may ask for: <c>network.host</c>, <c>security.insecure</c>. Without its grant a step that asks is refused (CVE-2024-23653).</summary>
    public IReadOnlyCollection<string> Entitlements { get; init; } = [];

    public ISecretSource? Secrets { get; init; }

    public ISshAgentSource? SshAgents { get; init; }

    public IBuildCredentials? Credentials { get; init; }

    /// <summary>Who looks at a step that failed, or before which a breakpoint is set, by a shell; null: nobody does.</summary>
    public IBuildDebugger? Debugger { get; init; }

    /// <summary>Directories of the client that caches come from and go to; null: it has none.</summary>
    public IClientStores? Stores { get; init; }

    /// <summary>Where to look for what is not in the cache.</summary>
    public IReadOnlyList<CacheLocation> CacheImports { get; init; } = [];

    /// <summary>Where to put the cache of this build.</summary>
    public IReadOnlyList<CacheLocation> CacheExports { get; init; } = [];

    /// <summary>The layers of the build become one.</summary>
    public bool Squash { get; init; }

    /// <summary>What is told of the result in its index.</summary>
    public AttestationRequest Attestations { get; init; } = new();

    /// <summary>Nothing here: the result stays in the cache only.</summary>
    public IReadOnlyList<BuildOutput> Outputs { get; init; } = [];

    /// <summary>The time of everything the build makes (SOURCE_DATE_EPOCH); files newer than that get it too. Null: the time it is.</summary>
    public DateTimeOffset? SourceDate { get; init; }

    /// <summary>How histories are written.</summary>
    public BuildStyle Style { get; init; } = BuildStyle.BuildKit;
}

/// <summary>Whose words histories and errors have.</summary>
public enum BuildStyle
{
    /// <summary><c>RUN /bin/sh -c true # buildkit</c>.</summary>
    BuildKit,

    /// <summary><c>/bin/sh -c true</c>, and the rules of the classic builder: steps one after another as they are written.</summary>
    Classic,
}

/// <summary>Limits of the processes of steps; zero and null are none.</summary>
public sealed record BuildLimits
{
    /// <summary>Bytes.</summary>
    public long Memory { get; init; }

    /// <summary>Bytes of memory and swap together; -1: no limit.</summary>
    public long MemorySwap { get; init; }

    /// <summary>Bytes of /dev/shm; 0: the engine's default.</summary>
    public long ShmSize { get; init; }

    public long CpuShares { get; init; }

    /// <summary>Microseconds.</summary>
    public long CpuPeriod { get; init; }

    /// <summary>Microseconds in each period.</summary>
    public long CpuQuota { get; init; }

    public string CpusetCpus { get; init; } = "";

    public string CpusetMems { get; init; } = "";

    public IReadOnlyList<Ulimit> Ulimits { get; init; } = [];

    public string CgroupParent { get; init; } = "";
}
