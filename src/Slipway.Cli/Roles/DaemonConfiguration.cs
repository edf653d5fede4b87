using System.Text.Json;
using System.Text.Json.Serialization;

namespace Slipway.Cli.Roles;

/// <summary>What the daemon is told by flags and by its configuration file (dockerd's names). Null: not said.</summary>
internal sealed record DaemonConfiguration
{
    public const string DefaultFile = "/etc/slipway/daemon.json";

    [JsonPropertyName("data-root")]
    public string? DataRoot { get; init; }

    [JsonPropertyName("exec-root")]
    public string? ExecRoot { get; init; }

    [JsonPropertyName("hosts")]
    public List<string>? Hosts { get; init; }

    [JsonPropertyName("group")]
    public string? Group { get; init; }

    [JsonPropertyName("pidfile")]
    public string? PidFile { get; init; }

    [JsonPropertyName("bridge")]
    public string? Bridge { get; init; }

    [JsonPropertyName("bip")]
    public string? BridgeAddress { get; init; }

    [JsonPropertyName("cgroup-parent")]
    public string? CgroupParent { get; init; }

    [JsonPropertyName("dns")]
    public List<string>? Dns { get; init; }

    [JsonPropertyName("dns-search")]
    public List<string>? DnsSearch { get; init; }

    [JsonPropertyName("dns-opts")]
    public List<string>? DnsOptions { get; init; }

    [JsonPropertyName("default-ulimits")]
    public Dictionary<string, UlimitDirectives>? DefaultUlimits { get; init; }

    /// <summary>A size with a unit, or a number of bytes.</summary>
    [JsonPropertyName("default-shm-size")]
    public JsonElement? DefaultShmSize { get; init; }

    [JsonPropertyName("default-ipc-mode")]
    public string? DefaultIpcMode { get; init; }

    [JsonPropertyName("default-cgroupns-mode")]
    public string? DefaultCgroupNamespace { get; init; }

    [JsonPropertyName("no-new-privileges")]
    public bool? NoNewPrivileges { get; init; }

    [JsonPropertyName("seccomp-profile")]
    public string? SeccompProfile { get; init; }

    [JsonPropertyName("icc")]
    public bool? InterContainer { get; init; }

    [JsonPropertyName("mtu")]
    public int? Mtu { get; init; }

    /// <summary>Where ports are published that name no address.</summary>
    [JsonPropertyName("ip")]
    public string? PublishAddress { get; init; }

    [JsonPropertyName("host-gateway-ip")]
    public string? HostGateway { get; init; }

    [JsonPropertyName("labels")]
    public List<string>? Labels { get; init; }

    [JsonPropertyName("log-opts")]
    public Dictionary<string, string>? LogOptions { get; init; }

    [JsonPropertyName("registry-mirrors")]
    public List<string>? RegistryMirrors { get; init; }

    [JsonPropertyName("insecure-registries")]
    public List<string>? InsecureRegistries { get; init; }

    [JsonPropertyName("registries")]
    public Dictionary<string, RegistryDirectives>? Registries { get; init; }

    [JsonPropertyName("proxies")]
    public ProxyDirectives? Proxies { get; init; }

    [JsonPropertyName("layer-peers")]
    public List<string>? LayerPeers { get; init; }

    [JsonPropertyName("layer-share")]
    public string? LayerShare { get; init; }

    [JsonPropertyName("layer-tls")]
    public PeerTlsDirectives? LayerTls { get; init; }

    [JsonPropertyName("max-concurrent-downloads")]
    public int? MaxConcurrentDownloads { get; init; }

    [JsonPropertyName("max-concurrent-uploads")]
    public int? MaxConcurrentUploads { get; init; }

    [JsonPropertyName("max-download-attempts")]
    public int? MaxDownloadAttempts { get; init; }

    /// <summary>Slipway's own: a size with a unit.</summary>
    [JsonPropertyName("disk-budget")]
    public string? DiskBudget { get; init; }

    [JsonPropertyName("tls")]
    public bool? Tls { get; init; }

    [JsonPropertyName("tlsverify")]
    public bool? TlsVerify { get; init; }

    [JsonPropertyName("tlscacert")]
    public string? TlsAuthority { get; init; }

    [JsonPropertyName("tlscert")]
    public string? TlsCertificate { get; init; }

    [JsonPropertyName("tlskey")]
    public string? TlsKey { get; init; }

    [JsonPropertyName("userns-remap")]
    public string? UsernsRemap { get; init; }

    /// <summary>Slipway's own: a folder in place of /etc.</summary>
    [JsonPropertyName("userns-accounts")]
    public string? UsernsAccounts { get; init; }

    [JsonPropertyName("init")]
    public bool? Init { get; init; }

    [JsonPropertyName("debug")]
    public bool? Debug { get; init; }

    [JsonPropertyName("log-driver")]
    public string? LogDriver { get; init; }

    [JsonPropertyName("log-level")]
    public string? LogLevel { get; init; }

    [JsonPropertyName("authorization-plugins")]
    public List<string>? AuthorizationPlugins { get; init; }

    [JsonPropertyName("runtimes")]
    public Dictionary<string, RuntimeDirectives>? Runtimes { get; init; }

    [JsonPropertyName("default-runtime")]
    public string? DefaultRuntime { get; init; }

    [JsonPropertyName("cdi-spec-dirs")]
    public List<string>? CdiSpecDirectories { get; init; }

    /// <summary>Only <c>cdi</c> means something here.</summary>
    [JsonPropertyName("features")]
    public Dictionary<string, bool>? Features { get; init; }

    /// <summary>Slipway's own: the file with the key of secrets.</summary>
    [JsonPropertyName("secrets-key-file")]
    public string? SecretsKeyFile { get; init; }

    /// <summary>Slipway's own: further sockets, each with a policy.</summary>
    [JsonPropertyName("sockets")]
    public List<SocketDirectives>? Sockets { get; init; }

    /// <summary>Slipway's own; there is one wherever there are sockets with policies.</summary>
    [JsonPropertyName("audit-log")]
    public AuditDirectives? Audit { get; init; }

    /// <summary>All others: dockerd's that Slipway does not act on, and those nobody knows.</summary>
    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Others { get; set; }

    /// <summary>Reads a file; an unknown key is an error that names it.</summary>
    /// <param name="required">A file that is not there is an error.</param>
    public static DaemonConfiguration Read(string path, bool required)
    {
        try
        {
            byte[] text = File.ReadAllBytes(path);
            DaemonConfiguration configuration = JsonSerializer.Deserialize(text, DaemonConfigurationJson.Default.DaemonConfiguration) ?? new DaemonConfiguration();
            ForeignDirectives.Check(configuration.Others, path);
            return configuration;
        }
        catch (Exception exception) when (!required && exception is FileNotFoundException or DirectoryNotFoundException)
        {
            return new DaemonConfiguration();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or JsonException)
        {
            throw new CommandException($"unable to configure the Slipway engine with file {path}: {exception.Message}", 1);
        }
    }

    /// <summary>Flags over the file. Saying the same thing in both is an error, as with dockerd: one of them would be ignored.</summary>
    public DaemonConfiguration Over(DaemonConfiguration file, string path)
    {
        List<string> both = [];
        return new DaemonConfiguration
        {
            DataRoot = Pick(DataRoot, file.DataRoot, "data-root"),
            ExecRoot = Pick(ExecRoot, file.ExecRoot, "exec-root"),
            Hosts = Pick(Hosts, file.Hosts, "hosts"),
            Group = Pick(Group, file.Group, "group"),
            PidFile = Pick(PidFile, file.PidFile, "pidfile"),
            Bridge = Pick(Bridge, file.Bridge, "bridge"),
            BridgeAddress = Pick(BridgeAddress, file.BridgeAddress, "bip"),
            CgroupParent = Pick(CgroupParent, file.CgroupParent, "cgroup-parent"),
            Labels = Pick(Labels, file.Labels, "labels"),
            LogOptions = Pick(LogOptions, file.LogOptions, "log-opts"),
            RegistryMirrors = Pick(RegistryMirrors, file.RegistryMirrors, "registry-mirrors"),
            InsecureRegistries = Pick(InsecureRegistries, file.InsecureRegistries, "insecure-registries"),
            Registries = file.Registries,
            LayerPeers = file.LayerPeers,
            LayerShare = file.LayerShare,
            LayerTls = file.LayerTls,
            Proxies = Pick(Proxies, file.Proxies, "proxies"),
            MaxConcurrentDownloads = PickNumber(MaxConcurrentDownloads, file.MaxConcurrentDownloads, "max-concurrent-downloads"),
            MaxConcurrentUploads = PickNumber(MaxConcurrentUploads, file.MaxConcurrentUploads, "max-concurrent-uploads"),
            MaxDownloadAttempts = PickNumber(MaxDownloadAttempts, file.MaxDownloadAttempts, "max-download-attempts"),
            DiskBudget = Pick(DiskBudget, file.DiskBudget, "disk-budget"),
            Tls = Tls ?? file.Tls,
            TlsVerify = TlsVerify ?? file.TlsVerify,
            TlsAuthority = Pick(TlsAuthority, file.TlsAuthority, "tlscacert"),
            TlsCertificate = Pick(TlsCertificate, file.TlsCertificate, "tlscert"),
            TlsKey = Pick(TlsKey, file.TlsKey, "tlskey"),
            UsernsRemap = Pick(UsernsRemap, file.UsernsRemap, "userns-remap"),
            UsernsAccounts = Pick(UsernsAccounts, file.UsernsAccounts, "userns-accounts"),
            Init = Init ?? file.Init,
            LogDriver = Pick(LogDriver, file.LogDriver, "log-driver"),
            LogLevel = Pick(LogLevel, file.LogLevel, "log-level"),
            Runtimes = Pick(Runtimes, file.Runtimes, "runtimes"),
            CdiSpecDirectories = Pick(CdiSpecDirectories, file.CdiSpecDirectories, "cdi-spec-dirs"),
            Features = file.Features,
            DefaultRuntime = Pick(DefaultRuntime, file.DefaultRuntime, "default-runtime"),
            Debug = Debug ?? file.Debug,
            SecretsKeyFile = file.SecretsKeyFile,
            Dns = Pick(Dns, file.Dns, "dns"),
            DnsSearch = Pick(DnsSearch, file.DnsSearch, "dns-search"),
            DnsOptions = Pick(DnsOptions, file.DnsOptions, "dns-opts"),
            DefaultUlimits = Pick(DefaultUlimits, file.DefaultUlimits, "default-ulimits"),
            DefaultShmSize = (JsonElement?)Pick<object>(DefaultShmSize, file.DefaultShmSize, "default-shm-size"),
            DefaultIpcMode = Pick(DefaultIpcMode, file.DefaultIpcMode, "default-ipc-mode"),
            DefaultCgroupNamespace = Pick(DefaultCgroupNamespace, file.DefaultCgroupNamespace, "default-cgroupns-mode"),
            NoNewPrivileges = NoNewPrivileges ?? file.NoNewPrivileges,
            SeccompProfile = Pick(SeccompProfile, file.SeccompProfile, "seccomp-profile"),
            InterContainer = InterContainer ?? file.InterContainer,
            Mtu = PickNumber(Mtu, file.Mtu, "mtu"),
            PublishAddress = Pick(PublishAddress, file.PublishAddress, "ip"),
            HostGateway = Pick(HostGateway, file.HostGateway, "host-gateway-ip"),
            AuthorizationPlugins = Pick(AuthorizationPlugins, file.AuthorizationPlugins, "authorization-plugins"),
            Sockets = file.Sockets,
            Audit = file.Audit,
        } is var merged && both.Count == 0
            ? merged
            : throw new CommandException(
                $"unable to configure the Slipway engine with file {path}: the following directives are specified both as a flag and in the configuration file: {string.Join(", ", both)}", 1);

        T? Pick<T>(T? flag, T? fromFile, string name) where T : class
        {
            if (flag is not null && fromFile is not null)
            {
                both.Add(name);
            }

            return flag ?? fromFile;
        }

        int? PickNumber(int? flag, int? fromFile, string name) => (int?)Pick<object>(flag, fromFile, name);
    }
}

[JsonSourceGenerationOptions(AllowDuplicateProperties = false)]
[JsonSerializable(typeof(DaemonConfiguration))]
internal sealed partial class DaemonConfigurationJson : JsonSerializerContext;
