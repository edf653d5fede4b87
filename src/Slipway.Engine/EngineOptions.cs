using Slipway.Engine.Cluster;
using Slipway.Engine.Plugins;
using Slipway.Networking;
using Slipway.Registry.Distribution;
using Slipway.Registry.Peers;

namespace Slipway.Engine;

/// <summary>Where an engine lives and how it names what it makes, so that several can run on one host.</summary>
public sealed record EngineOptions
{
    public const string DefaultDataRoot = "/var/lib/slipway";
    public const string DefaultExecRoot = "/run/slipway";
    public const string DefaultBridge = "slipway0";
    public const string DefaultSecretsKeyFile = "/etc/slipway/secrets.key";

    /// <summary>Persistent state: images, layers, containers, the database.</summary>
    public string DataRoot { get; init; } = DefaultDataRoot;

    /// <summary>State until the next boot: sockets, the supervisor.</summary>
    public string ExecRoot { get; init; } = DefaultExecRoot;

    /// <summary>Where plugins are found: in Docker's places, so that those of a host serve both engines.</summary>
    public PluginDirectory Plugins { get; init; } = new();

    public const int DefaultShutdownTimeout = 15;

    /// <summary>Seconds, for display: the engine ends without stopping containers.</summary>
    public int ShutdownTimeout { get; init; } = DefaultShutdownTimeout;

    /// <summary>Docker's feature flags, for display.</summary>
    public IReadOnlyDictionary<string, bool> Features { get; init; } = new Dictionary<string, bool>();

    /// <summary>The plugins that requests are authorized by, for display.</summary>
    public IReadOnlyList<string> AuthorizationPlugins { get; init; } = [];

    /// <summary>The default network's bridge; <c>none</c> for no default network.</summary>
    public string Bridge { get; init; } = DefaultBridge;

    /// <summary>Address and prefix of the bridge (CIDR), or null to choose one.</summary>
    public string? BridgeAddress { get; init; }

    /// <summary>What networks without a subnet of their own are cut from.</summary>
    public IReadOnlyList<AddressPoolSource> AddressPools { get; init; } = AddressPoolSource.Defaults;

    /// <summary>What the default bridge gets its subnet from, where nothing says which.</summary>
    public IReadOnlyList<AddressPoolSource> BridgePools { get; init; } = AddressPoolSource.ForDefaultBridge;

    /// <summary>Where containers of the default network get addresses from (<c>fixed-cidr</c>); null: its whole subnet.</summary>
    public System.Net.IPNetwork? FixedRange { get; init; }

    /// <summary>Where the default route of containers of the default network goes (<c>default-gateway</c>); null: to its bridge.</summary>
    public System.Net.IPAddress? DefaultGateway { get; init; }

    /// <summary>Whether the default network has IPv6 (<c>ipv6</c>).</summary>
    public bool Ipv6 { get; init; }

    /// <summary>The default bridge's IPv6 address and the bits of its prefix (<c>bip6</c>); null: the first of <see cref="Ipv6FixedRange"/>, or of a pool's part.</summary>
    public (System.Net.IPAddress Address, int PrefixLength)? Ipv6BridgeAddress { get; init; }

    /// <summary>As <see cref="FixedRange"/> (<c>fixed-cidr-v6</c>).</summary>
    public System.Net.IPNetwork? Ipv6FixedRange { get; init; }

    /// <summary>As <see cref="DefaultGateway"/> (<c>default-gateway-v6</c>).</summary>
    public System.Net.IPAddress? Ipv6DefaultGateway { get; init; }

    /// <summary>Options of networks that are created without them, by driver (<c>default-network-opts</c>).</summary>
    public IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> NetworkDefaults { get; init; } = new Dictionary<string, IReadOnlyDictionary<string, string>>();

    /// <summary>Packets that leave the default network carry the host's address (<c>ip-masq</c>).</summary>
    public bool Masquerade { get; init; } = true;

    /// <summary>Containers on the default network reach each other (<c>icc</c>).</summary>
    public bool InterContainer { get; init; } = true;

    /// <summary>Containers of the default network, and of bridge networks that do not say otherwise, send with their own addresses only (<c>antispoof</c>).</summary>
    public bool Antispoof { get; init; }

    /// <summary>Which chain of the host's firewall decides about connections to published ports (<c>published-ports</c>).</summary>
    public Networking.PortAdmission PublishedPorts { get; init; }

    /// <summary>Bytes of a packet on the default network; 0 for 1500.</summary>
    public int Mtu { get; init; }

    /// <summary>Where the default network's ports are published that name no address; null for all addresses.</summary>
    public System.Net.IPAddress? PublishAddress { get; init; }

    public ContainerDefaults Defaults { get; init; } = new();

    /// <summary>Parent of all cgroups, relative to the root of the hierarchies; null: derived from the data root, below <c>slipway</c>.</summary>
    public string? CgroupParent { get; init; }

    /// <summary>How long what a burst of starts has asked for is kept ready after it: sandboxes, control groups, directories.</summary>
    public TimeSpan SpareRetention { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>Path of the executable that is started in the role <c>supervisor</c>.</summary>
    public string SupervisorExecutable { get; init; } = Environment.ProcessPath!;

    /// <summary>
    /// Bytes the data root may take on the disk: beyond, images that no container uses are removed, the longest unused first. Null: no limit.
    /// </summary>
    public long? DiskBudget { get; init; }

    /// <summary>Bytes that records of the build cache may have which no image shares; null: a tenth of the disk.</summary>
    public long? BuildCacheLimit { get; init; }

    /// <summary>Whose subordinate ids the users of containers are (dockerd's <c>userns-remap</c>): <c>default</c>, a user, or user and group; empty: the host's own.</summary>
    public string UsernsRemap { get; init; } = "";

    /// <summary>Where the files passwd, group, subuid and subgid lie that <see cref="UsernsRemap"/> is looked up in.</summary>
    public string UsernsAccounts { get; init; } = "/etc";

    /// <summary>The key that secrets are sealed with: beside the data root, not in it, so that a copy of that alone tells nothing. Made when it is first needed.</summary>
    public string SecretsKeyFile { get; init; } = DefaultSecretsKeyFile;

    /// <summary>The engine tells its operator more (<c>--debug</c>); shown by <c>docker info</c>.</summary>
    public bool Debug { get; init; }

    /// <summary>Labels of the daemon (<c>--label</c>).</summary>
    public IReadOnlyList<string> Labels { get; init; } = [];

    /// <summary>The name of the runtime that is built in.</summary>
    public const string OwnRuntime = "slipway";

    /// <summary>Ours is called by its own name and by the one that scripts give to Docker's default.</summary>
    public static bool IsOwnRuntime(string name) => name is OwnRuntime or "runc";

    /// <summary>Further runtimes of the host, by name (daemon.json, <c>runtimes</c>).</summary>
    public IReadOnlyDictionary<string, RuntimeDefinition> Runtimes { get; init; } = new Dictionary<string, RuntimeDefinition>();

    /// <summary>Where specifications of the Container Device Interface lie; a later one goes before those above it. Empty: devices are not injected.</summary>
    public IReadOnlyList<string> CdiSpecDirectories { get; init; } = ["/etc/cdi", "/var/run/cdi"];

    /// <summary>Whether containers that do not say get an init (<c>--init</c> of the daemon).</summary>
    public bool Init { get; init; }

    /// <summary>Features that Docker calls experimental: checkpoints.</summary>
    public bool Experimental { get; init; }

    /// <summary>The log driver of containers that name none, and its options.</summary>
    public string LogDriver { get; init; } = "json-file";

    public IReadOnlyDictionary<string, string> LogDriverOptions { get; init; } = new Dictionary<string, string>();

    /// <summary>Where journald listens.</summary>
    public string JournalSocket { get; init; } = "/run/systemd/journal/socket";

    /// <summary>Log limits of containers that name none: <c>max-size</c> in bytes and <c>max-file</c>.</summary>
    public long LogMaxSize { get; init; } = 20 * 1024 * 1024;

    public int LogMaxFiles { get; init; } = 5;

    /// <summary>Mirrors, insecure registries, proxies, certificates, retries.</summary>
    public RegistryConfiguration Registries { get; init; } = new();

    /// <summary>Engines that layers are shared with.</summary>
    public PeerConfiguration Peers { get; init; } = new();

    /// <summary>The engines that have networks in common with this one; null: none.</summary>
    public ClusterConfiguration? Cluster { get; init; }

    /// <summary>The proxies that <see cref="Registries"/> uses, for display; null: those of the environment.</summary>
    public string? HttpProxy { get; init; }

    public string? HttpsProxy { get; init; }

    public string? NoProxy { get; init; }

    /// <summary>Layers that a pull downloads at the same time.</summary>
    public int MaxConcurrentDownloads { get; init; } = 3;

    /// <summary>Blobs that a push uploads at the same time.</summary>
    public int MaxConcurrentUploads { get; init; } = 5;
}

/// <summary>An OCI runtime that is installed on the host.</summary>
/// <param name="Path">Of the executable.</param>
public sealed record RuntimeDefinition(string Path, IReadOnlyList<string> Arguments);
