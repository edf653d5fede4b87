using System.Text.Json;

namespace Slipway.Cli.Roles;

/// <summary>
/// Keys of dockerd's configuration file that Slipway does not act on. Where passing over one changes nothing that anybody relies on it is
/// accepted; where it would (a firewall left open, a profile not applied) only the value that says what Slipway does anyway is.
/// </summary>
internal static class ForeignDirectives
{
    /// <summary>Without an object here, or always so.</summary>
    private static readonly HashSet<string> s_harmless = new(StringComparer.Ordinal)
    {
        "allow-nondistributable-artifacts", "bridge-accept-fwmark", "containerd", "containerd-namespace", "containerd-plugins-namespace",
        "deprecated-key-path", "init-path", "live-restore",
        "min-api-version", "network-control-plane-mtu", "network-diagnostic-port", "node-generic-resources", "oom-score-adjust", "raw-logs", "storage-opts",
        "swarm-default-advertise-addr", "userland-proxy", "userland-proxy-path",
    };

    /// <summary>With the value that is as Slipway does it, beside what is empty, zero or false.</summary>
    private static readonly Dictionary<string, string> s_asOurs = new(StringComparer.Ordinal)
    {
        ["allow-direct-routing"] = "false", ["api-cors-header"] = "\"\"", ["cpu-rt-period"] = "0", ["cpu-rt-runtime"] = "0",
        ["exec-opts"] = "[\"native.cgroupdriver=cgroupfs\"]", ["firewall-backend"] = "\"nftables\"",
        ["ip-forward"] = "true", ["ip6tables"] = "true", ["iptables"] = "true",
        ["selinux-enabled"] = "false", ["storage-driver"] = "\"overlay2\"",
    };

    /// <summary>All keys that are known here.</summary>
    public static IEnumerable<string> Keys => s_harmless.Concat(s_asOurs.Keys);

    /// <exception cref="CommandException">A key is unknown, or asks for what Slipway does not do.</exception>
    public static void Check(IReadOnlyDictionary<string, JsonElement>? directives, string path)
    {
        List<string> unknown = [];
        foreach ((string key, JsonElement value) in directives ?? new Dictionary<string, JsonElement>())
        {
            if (s_asOurs.TryGetValue(key, out string? ours))
            {
                bool neutral = ours == "true" ? value.ValueKind == JsonValueKind.True : Same(value, ours) || IsNothing(value);
                if (!neutral)
                {
                    throw Error(path, $"{key}: {value.GetRawText()} is not supported");
                }
            }
            else if (!s_harmless.Contains(key))
            {
                unknown.Add(key);
            }
        }

        if (unknown.Count > 0)
        {
            throw Error(path, $"the following directives don't match any configuration option: {string.Join(", ", unknown)}");
        }
    }

    private static bool Same(JsonElement value, string ours)
    {
        using JsonDocument document = JsonDocument.Parse(ours);
        return JsonElement.DeepEquals(value, document.RootElement);
    }

    private static bool IsNothing(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null or JsonValueKind.False => true,
        JsonValueKind.String => value.GetString()!.Length == 0,
        JsonValueKind.Number => value.TryGetInt64(out long number) && number == 0,
        JsonValueKind.Array => value.GetArrayLength() == 0,
        JsonValueKind.Object => !value.EnumerateObject().MoveNext(),
        _ => false,
    };

    private static CommandException Error(string path, string message) => new($"unable to configure the Slipway engine with file {path}: {message}", 1);
}
