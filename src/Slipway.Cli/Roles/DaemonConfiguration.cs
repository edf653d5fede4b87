using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace Slipway.Cli.Roles;

/// <summary>What the daemon is told by flags and by its configuration file (dockerd's names). Null: not said.</summary>
internal sealed record DaemonConfiguration
{
    public const string DefaultFile = "/etc/slipway/daemon.json";
    private const string HostGatewaysKey = "host-gateway-ips";
    private const string HostGatewayKey = "host-gateway-ip";

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

    /// <summary>Where containers of the default network get addresses from.</summary>
    [JsonPropertyName("fixed-cidr")]
    public string? FixedCidr { get; init; }

    [JsonPropertyName("default-gateway")]
    public string? DefaultGateway { get; init; }

    [JsonPropertyName("ipv6")]
    public bool? Ipv6 { get; init; }

    [JsonPropertyName("bip6")]
    public string? Ipv6BridgeAddress { get; init; }

    [JsonPropertyName("fixed-cidr-v6")]
    public string? Ipv6FixedCidr { get; init; }

    [JsonPropertyName("default-gateway-v6")]
    public string? Ipv6DefaultGateway { get; init; }

    /// <summary>Options of networks that are created without them, by driver.</summary>
    [JsonPropertyName("default-network-opts")]
    public Dictionary<string, Dictionary<string, string>>? NetworkDefaults { get; init; }

    [JsonPropertyName("ip-masq")]
    public bool? Masquerade { get; init; }

    [JsonPropertyName("default-address-pools")]
    public List<AddressPoolDirectives>? AddressPools { get; init; }

    /// <summary>text or json.</summary>
    [JsonPropertyName("log-format")]
    public string? LogFormat { get; init; }

    /// <summary>Seconds; told, and not acted on.</summary>
    [JsonPropertyName("shutdown-timeout")]
    public int? ShutdownTimeout { get; init; }

    [JsonPropertyName("cdi-spec-dirs")]
    public List<string>? CdiSpecDirectories { get; init; }

    /// <summary>Only <c>cdi</c> means something here; all are told.</summary>
    [JsonPropertyName("features")]
    public Dictionary<string, bool>? Features { get; init; }

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

    /// <summary>Not one of Docker's: containers send with their own addresses only.</summary>
    [JsonPropertyName("antispoof")]
    public bool? Antispoof { get; init; }

    /// <summary>Not one of Docker's: which chain of the host's firewall decides about published ports.</summary>
    [JsonPropertyName("published-ports")]
    public string? PublishedPorts { get; init; }

    [JsonPropertyName("mtu")]
    public int? Mtu { get; init; }

    /// <summary>Where ports are published that name no address.</summary>
    [JsonPropertyName("ip")]
    public string? PublishAddress { get; init; }

    [JsonPropertyName(HostGatewaysKey)]
    public List<string>? HostGateways { get; init; }

    /// <summary>As it was said while there could be one address only.</summary>
    [JsonPropertyName(HostGatewayKey)]
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

    /// <summary>Slipway's own: the engines that have networks in common.</summary>
    [JsonPropertyName("cluster")]
    public ClusterDirectives? Cluster { get; init; }

    [JsonPropertyName("max-concurrent-downloads")]
    public int? MaxConcurrentDownloads { get; init; }

    [JsonPropertyName("max-concurrent-uploads")]
    public int? MaxConcurrentUploads { get; init; }

    [JsonPropertyName("max-download-attempts")]
    public int? MaxDownloadAttempts { get; init; }

    /// <summary>Slipway's own: a size with a unit.</summary>
    [JsonPropertyName("disk-budget")]
    public string? DiskBudget { get; init; }

    /// <summary>Slipway's own: a duration with a unit.</summary>
    [JsonPropertyName("spare-retention")]
    public string? SpareRetention { get; init; }

    [JsonPropertyName("builder")]
    public BuilderDirectives? Builder { get; init; }

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

    [JsonPropertyName("metrics-addr")]
    public string? MetricsAddress { get; init; }

    [JsonPropertyName("experimental")]
    public bool? Experimental { get; init; }

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

    /// <summary>
    /// Reads a file, and what flags say beside it. An unknown key is an error that names it, and so is what both say: one of them would be ignored.
    /// </summary>
    /// <param name="required">A file that is not there is an error.</param>
    /// <param name="flags">As a file would say it.</param>
    /// <exception cref="CommandException">The configuration cannot be meant.</exception>
    public static DaemonConfiguration Read(string path, bool required, JsonObject? flags = null)
    {
        try
        {
            JsonObject document = Load(path, required);
            if (document.ContainsKey(HostGatewayKey) && document.ContainsKey(HostGatewaysKey))
            {
                throw new CommandException($"unable to configure the Slipway engine with file {path}: {HostGatewayKey} and {HostGatewaysKey} must not both be specified in the config file", 1);
            }

            List<string> both = [];
            if (document[HostGatewayKey] is { } single && flags?[HostGatewaysKey] is { } given)
            {
                both.Add(Conflict(HostGatewayKey, given, single));
            }

            Merge(document, flags ?? [], both);
            if (both.Count > 0)
            {
                throw new CommandException(
                    $"unable to configure the Slipway engine with file {path}: the following directives are specified both as a flag and in the configuration file: {string.Join(", ", both)}", 1);
            }

            DaemonConfiguration configuration = document.Deserialize(DaemonConfigurationJson.Default.DaemonConfiguration) ?? new DaemonConfiguration();
            ForeignDirectives.Check(configuration.Others, path);
            return configuration;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or JsonException or ArgumentException)
        {
            throw new CommandException($"unable to configure the Slipway engine with file {path}: {exception.Message}", 1);
        }
    }

    private static JsonObject Load(string path, bool required)
    {
        byte[] text;
        try
        {
            text = File.ReadAllBytes(path);
        }
        catch (Exception exception) when (!required && exception is FileNotFoundException or DirectoryNotFoundException)
        {
            return [];
        }

        // An empty file says nothing, as for dockerd.
        return text.AsSpan().Trim(" \t\r\n"u8).IsEmpty ? []
            : JsonNode.Parse(text, documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false }) as JsonObject ?? throw new JsonException("it is no JSON object");
    }

    private static void Merge(JsonObject file, JsonObject flags, List<string> both)
    {
        foreach ((string key, JsonNode? value) in flags)
        {
            if (key == "proxies" && file[key] is JsonObject inner && value is JsonObject given)
            {
                Merge(inner, given, both);
            }
            else if (file.ContainsKey(key))
            {
                both.Add(Conflict(key, value, file[key]));
            }
            else
            {
                file[key] = value?.DeepClone();
            }
        }
    }

    private static string Conflict(string key, JsonNode? flag, JsonNode? file) => $"{key}: (from flag: {Describe(flag)}, from file: {Describe(file)})";

    /// <summary>As Go prints it; no passwords of proxies.</summary>
    private static string Describe(JsonNode? value) => value switch
    {
        JsonArray list => $"[{string.Join(' ', list.Select(Describe))}]",
        JsonObject map => $"map[{string.Join(' ', map.Select(pair => $"{pair.Key}:{Describe(pair.Value)}"))}]",
        null => "<nil>",
        _ => Uri.TryCreate(value.ToString(), UriKind.Absolute, out Uri? address) && address.UserInfo.Length > 0 ? value.ToString().Replace(address.UserInfo, "xxxxx:xxxxx", StringComparison.Ordinal) : value.ToString(),
    };
}

[JsonSourceGenerationOptions(AllowDuplicateProperties = false)]
[JsonSerializable(typeof(DaemonConfiguration))]
internal sealed partial class DaemonConfigurationJson : JsonSerializerContext;
