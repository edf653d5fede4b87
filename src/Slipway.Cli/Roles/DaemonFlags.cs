using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Text.Json.Nodes;
using Slipway.Cli.Options;

namespace Slipway.Cli.Roles;

/// <summary>
/// The daemon's flags: dockerd's, and Slipway's own. Each stands for a key of the configuration file, and what is given makes the same document as the file, so
/// that both are read, and checked for saying the same thing twice, in one place (<see cref="DaemonConfiguration"/>).
/// </summary>
internal sealed class DaemonFlags
{
    private readonly List<DaemonFlag> _flags =
    [
        Text("data-root", "Root directory of persistent state"),
        Text("exec-root", "Root directory for execution state files"),
        Text("pidfile", "Path to use for daemon PID file", "-p"),
        Text("group", "Group for the unix socket", "-G"),
        Text("bridge", "Bridge of the default network; 'none' for no default network", "-b"),
        Text("bip", "IPv4 address (CIDR) for the default bridge"),
        Text("bip6", "IPv6 address (CIDR) for the default bridge"),
        Text("fixed-cidr", "IPv4 subnet for fixed IPs"),
        Text("fixed-cidr-v6", "IPv6 subnet for fixed IPs"),
        Text("default-gateway", "Container default gateway IPv4 address"),
        Text("default-gateway-v6", "Container default gateway IPv6 address"),
        Switch("ipv6", "Enable IPv6 networking on the default network"),
        Switch("antispoof", "Keep containers from sending with addresses of others"),
        Text("published-ports", "Chain of the host's firewall that decides about published ports (\"input\" | \"forward\")"),
        Switch("icc", "Enable inter-container communication (default true)"),
        Switch("ip-masq", "Enable IP masquerading (default true)"),
        Switch("ip-forward", "Enable net.ipv4.ip_forward (always)"),
        Switch("iptables", "Enable rules for containers' traffic (always; by nf_tables)"),
        Switch("ip6tables", "Enable rules for containers' IPv6 traffic (always)"),
        Switch("userland-proxy", "Accepted: published ports need no proxy"),
        Text("userland-proxy-path", "Accepted: published ports need no proxy"),
        Number("mtu", "Set the MTU for the default network (default 1500)"),
        Text("ip", "Default IP when binding container ports (default all addresses)"),
        List("host-gateway-ips", "host-gateway-ip", "IP address that 'host-gateway' of --add-host resolves to, one of each family (default the default bridge's)"),
        new("default-address-pools", "default-address-pool", FlagKind.Pools, "Default address pools for networks (base=172.30.0.0/16,size=24)"),
        new("default-network-opts", "default-network-opt", FlagKind.NetworkOptions, "Default network options (DRIVER=OPTION=VALUE)"),
        List("dns", "dns", "DNS server to use"),
        List("dns-opts", "dns-opt", "DNS options to use"),
        List("dns-search", "dns-search", "DNS search domains to use"),
        Text("cgroup-parent", "Set parent cgroup for all containers"),
        List("exec-opts", "exec-opt", "Runtime execution options (native.cgroupdriver=cgroupfs)"),
        new("runtimes", "add-runtime", FlagKind.Runtimes, "Register an additional OCI compatible runtime (NAME=PATH)"),
        Text("default-runtime", "Default OCI runtime for containers"),
        Switch("init", "Run an init in the container to forward signals and reap processes"),
        Text("init-path", "Accepted: the init is built in"),
        Text("default-shm-size", "Default shm size for containers (default 64MiB)"),
        Text("default-ipc-mode", "Default mode for containers ipc (\"shareable\" | \"private\")"),
        Text("default-cgroupns-mode", "Default mode for containers cgroup namespace (\"host\" | \"private\")"),
        new("default-ulimits", "default-ulimit", FlagKind.Ulimits, "Default ulimits for containers (NAME=SOFT[:HARD])"),
        Switch("no-new-privileges", "Set no-new-privileges by default for new containers"),
        Text("seccomp-profile", "Path to seccomp profile; \"unconfined\" for none (default \"builtin\")"),
        Switch("selinux-enabled", "Enable selinux support (not supported)"),
        Text("userns-remap", "User/Group setting for user namespaces"),
        Text("userns-accounts", "Folder of the passwd, group, subuid and subgid files for --userns-remap (default \"/etc\")"),
        List("labels", "label", "Set key=value labels to the daemon"),
        Text("log-driver", "Default driver for container logs (default \"json-file\")"),
        new("log-opts", "log-opt", FlagKind.Map, "Default log driver options for containers"),
        Switch("debug", "Enable debug mode", "-D"),
        Text("log-level", "Set the logging level (\"debug\"|\"info\"|\"warn\"|\"error\"|\"fatal\")", "-l"),
        Text("log-format", "Set the logging format (\"text\"|\"json\")"),
        Switch("raw-logs", "Accepted: the log has no colours"),
        List("registry-mirrors", "registry-mirror", "Preferred registry mirror"),
        List("insecure-registries", "insecure-registry", "Enable insecure registry communication"),
        List("allow-nondistributable-artifacts", "allow-nondistributable-artifacts", "Accepted: no layer is held back from a push"),
        Number("max-concurrent-downloads", "Set the max concurrent downloads (default 3)"),
        Number("max-concurrent-uploads", "Set the max concurrent uploads (default 5)"),
        Number("max-download-attempts", "Set the max download attempts for each pull (default 5)"),
        Text("proxies.http-proxy", "HTTP proxy URL to use for outgoing traffic"),
        Text("proxies.https-proxy", "HTTPS proxy URL to use for outgoing traffic"),
        Text("proxies.no-proxy", "Comma-separated list of hosts or IP addresses for which the proxy is skipped"),
        Text("disk-budget", "Remove unused images, the longest unused first, when the data takes more than this (e.g. 20GB)"),
        Text("spare-retention", "How long what a burst of starts has asked for is kept ready after it (default 1m)"),
        Text("storage-driver", "Storage driver to use (overlay2)", "-s"),
        List("storage-opts", "storage-opt", "Accepted: the storage driver has no options"),
        Switch("tls", "Use TLS; implied by --tlsverify"),
        Switch("tlsverify", "Use TLS and verify the remote"),
        Text("tlscacert", "Trust certs signed only by this CA (default \"/etc/slipway/ca.pem\")"),
        Text("tlscert", "Path to TLS certificate file (default \"/etc/slipway/cert.pem\")"),
        Text("tlskey", "Path to TLS key file (default \"/etc/slipway/key.pem\")"),
        List("authorization-plugins", "authorization-plugin", "Authorization plugins to load"),
        Text("api-cors-header", "Set CORS headers in the Engine API (refused)"),
        Switch("live-restore", "Accepted: containers always run on while there is no engine"),
        Number("shutdown-timeout", "Accepted: the engine ends without stopping containers"),
        List("node-generic-resources", "node-generic-resource", "Accepted: for swarms"),
        Text("swarm-default-advertise-addr", "Accepted: for swarms"),
        Number("network-control-plane-mtu", "Accepted: for swarms"),
        Text("metrics-addr", "Set default address and port to serve the metrics api on"),
        Text("containerd", "Accepted: containers need no containerd"),
        Text("containerd-namespace", "Accepted: containers need no containerd"),
        Text("containerd-plugins-namespace", "Accepted: containers need no containerd"),
        List("cdi-spec-dirs", "cdi-spec-dir", "CDI specification directories to use"),
        Number("cpu-rt-period", "Limit the CPU real-time period for the parent cgroup (not supported)"),
        Number("cpu-rt-runtime", "Limit the CPU real-time runtime for the parent cgroup (not supported)"),
        Switch("experimental", "Enable experimental features: checkpoints"),
    ];

    public IEnumerable<Option> Options => _flags.Select(flag => flag.Option);

    /// <summary>The keys that flags stand for.</summary>
    public IEnumerable<string> Keys => _flags.Select(flag => flag.Key);

    /// <summary>What was given, as a configuration file would say it.</summary>
    /// <param name="hosts">Of the flag that all commands have.</param>
    /// <exception cref="CommandException">A value that is none.</exception>
    public JsonObject Read(ParseResult result, string[]? hosts)
    {
        JsonObject document = [];
        if (hosts is { Length: > 0 })
        {
            document["hosts"] = DaemonFlag.List(hosts);
        }

        foreach (DaemonFlag flag in _flags)
        {
            if (result.GetResult(flag.Option) is OptionResult { Implicit: false } given)
            {
                string[] path = flag.Key.Split('.');
                JsonObject place = path.Length == 1 ? document : document[path[0]]?.AsObject() ?? [];
                place[path[^1]] = flag.Value(given);
                if (path.Length > 1)
                {
                    document[path[0]] = place;
                }
            }
        }

        return document;
    }

    private static DaemonFlag Text(string key, string description, params string[] aliases) => new(key, key[(key.IndexOf('.', StringComparison.Ordinal) + 1)..], FlagKind.Text, description, aliases);

    private static DaemonFlag Number(string key, string description) => new(key, key, FlagKind.Number, description);

    private static DaemonFlag Switch(string key, string description, params string[] aliases) => new(key, key, FlagKind.Switch, description, aliases);

    private static DaemonFlag List(string key, string name, string description) => new(key, name, FlagKind.List, description);
}

internal enum FlagKind
{
    Text,
    Number,
    Switch,
    List,

    /// <summary><c>name=value</c>.</summary>
    Map,

    /// <summary><c>name=soft[:hard]</c>.</summary>
    Ulimits,

    /// <summary><c>base=CIDR,size=bits</c>.</summary>
    Pools,

    /// <summary><c>name=path</c>.</summary>
    Runtimes,

    /// <summary><c>driver=option=value</c>.</summary>
    NetworkOptions,
}

/// <summary>A flag and the key that it stands for.</summary>
internal sealed class DaemonFlag(string key, string name, FlagKind kind, string description, params string[] aliases)
{
    public string Key => key;

    public Option Option { get; } = kind switch
    {
        FlagKind.Switch => new Option<bool>("--" + name, aliases) { Description = description },
        FlagKind.Text or FlagKind.Number => new Option<string>("--" + name, aliases) { Description = description },
        _ => new Option<string[]>("--" + name, aliases) { Description = description },
    };

    /// <exception cref="CommandException">A value that is none.</exception>
    public JsonNode Value(OptionResult given) => kind switch
    {
        FlagKind.Switch => JsonValue.Create(given.GetValueOrDefault<bool>()),
        FlagKind.Text => JsonValue.Create(given.GetValueOrDefault<string>() ?? ""),
        FlagKind.Number => JsonValue.Create(Integer(given.GetValueOrDefault<string>() ?? "")),
        FlagKind.List => List(Values(given)),
        FlagKind.Map => Map(KeyValues.Pairs(Values(given)).Select(pair => KeyValuePair.Create(pair.Key, (JsonNode)JsonValue.Create(pair.Value)))),
        FlagKind.Runtimes => Map(RuntimeDirectives.Parse(Values(given)).Select(runtime => KeyValuePair.Create(runtime.Key, (JsonNode)new JsonObject { ["path"] = runtime.Value.Path }))),
        FlagKind.NetworkOptions => NetworkDirectives.Options(Values(given)),
        FlagKind.Ulimits => Map(Values(given).Select(Ulimit)),
        _ => new JsonArray([.. Values(given).Select(Pool)]),
    };

    public static JsonArray List(IEnumerable<string> values) => new([.. values.Select(value => (JsonNode)JsonValue.Create(value))]);

    private static string[] Values(OptionResult given) => given.GetValueOrDefault<string[]>() ?? [];

    private static JsonObject Map(IEnumerable<KeyValuePair<string, JsonNode>> pairs)
    {
        JsonObject map = [];
        foreach ((string id, JsonNode value) in pairs)
        {
            map[id] = value;
        }

        return map;
    }

    private KeyValuePair<string, JsonNode> Ulimit(string value)
    {
        (string id, string limits) = Split(value);
        string[] parts = limits.Split(':');
        return parts.Length <= 2
            ? KeyValuePair.Create(id, (JsonNode)new JsonObject { ["Name"] = id, ["Soft"] = Integer(parts[0]), ["Hard"] = Integer(parts[^1]) })
            : throw Invalid(value, "too many limit value arguments");
    }

    private JsonNode Pool(string value)
    {
        JsonObject pool = [];
        foreach (string part in value.Split(','))
        {
            (string id, string text) = Split(part);
            pool[id] = id == "size" ? JsonValue.Create(Integer(text)) : JsonValue.Create(text);
        }

        return pool;
    }

    private (string Name, string Value) Split(string value)
    {
        int equals = value.IndexOf('=', StringComparison.Ordinal);
        return equals > 0 && equals < value.Length - 1 ? (value[..equals], value[(equals + 1)..]) : throw Invalid(value, "it must be NAME=VALUE");
    }

    private long Integer(string text) => long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number) ? number : throw Invalid(text, "it is no number");

    private CommandException Invalid(string value, string reason) => new($"invalid argument \"{value}\" for \"--{name}\" flag: {reason}", 1);
}
