using System.Globalization;

namespace Slipway.Engine.Daemon;

/// <summary>What the event <c>daemon reload</c> says of the configuration that is in force from then on: Docker's attributes.</summary>
internal static class ReloadEvent
{
    public static Dictionary<string, string> Attributes(EngineOptions options, int cgroupVersion) => new()
    {
        ["allow-nondistributable-artifacts"] = "[]",
        ["debug"] = options.Debug ? "true" : "false",
        ["default-cgroupns-mode"] = options.Defaults.CgroupNamespace is { Length: > 0 } mode ? mode : cgroupVersion == 2 ? "private" : "host",
        ["default-ipc-mode"] = options.Defaults.IpcMode,
        ["default-shm-size"] = options.Defaults.ShmSize.ToString(CultureInfo.InvariantCulture),
        ["features"] = $"map[{string.Join(' ', options.Features.OrderBy(feature => feature.Key, StringComparer.Ordinal).Select(feature => $"{feature.Key}:{(feature.Value ? "true" : "false")}"))}]",
        ["default-runtime"] = options.Defaults.Runtime,
        ["insecure-registries"] = List(options.Registries.InsecureRegistries),
        ["labels"] = List(options.Labels),
        ["live-restore"] = "true",
        ["max-concurrent-downloads"] = options.MaxConcurrentDownloads.ToString(CultureInfo.InvariantCulture),
        ["max-concurrent-uploads"] = options.MaxConcurrentUploads.ToString(CultureInfo.InvariantCulture),
        ["max-download-attempts"] = options.Registries.Retry.Attempts.ToString(CultureInfo.InvariantCulture),
        ["name"] = Environment.MachineName,
        ["registry-mirrors"] = List(options.Registries.Mirrors),
        ["shutdown-timeout"] = options.ShutdownTimeout.ToString(CultureInfo.InvariantCulture),
        ["runtimes"] = string.Join(' ', options.Runtimes.Keys.Append(EngineOptions.OwnRuntime).Order(StringComparer.Ordinal)),
    };

    private static string List(IEnumerable<string> values) => $"[{string.Join(',', values.Select(value => $"\"{value.Replace("\"", "\\\"", StringComparison.Ordinal)}\""))}]";
}
