using System.Globalization;

namespace Slipway.Engine.Daemon;

/// <summary>What the event <c>daemon reload</c> says of the configuration that is in force from then on: Docker's attributes.</summary>
internal static class ReloadEvent
{
    public static Dictionary<string, string> Attributes(EngineOptions options) => new()
    {
        ["debug"] = options.Debug ? "true" : "false",
        ["default-runtime"] = options.Defaults.Runtime,
        ["insecure-registries"] = List(options.Registries.InsecureRegistries),
        ["labels"] = List(options.Labels),
        ["live-restore"] = "true",
        ["max-concurrent-downloads"] = options.MaxConcurrentDownloads.ToString(CultureInfo.InvariantCulture),
        ["max-concurrent-uploads"] = options.MaxConcurrentUploads.ToString(CultureInfo.InvariantCulture),
        ["max-download-attempts"] = options.Registries.Retry.Attempts.ToString(CultureInfo.InvariantCulture),
        ["name"] = Environment.MachineName,
        ["registry-mirrors"] = List(options.Registries.Mirrors),
        ["runtimes"] = string.Join(' ', options.Runtimes.Keys.Append(EngineOptions.OwnRuntime).Order(StringComparer.Ordinal)),
    };

    private static string List(IEnumerable<string> values) => $"[{string.Join(',', values.Select(value => $"\"{value.Replace("\"", "\\\"", StringComparison.Ordinal)}\""))}]";
}
