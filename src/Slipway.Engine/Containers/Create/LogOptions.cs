using System.Globalization;
using Slipway.Api.Containers;

namespace Slipway.Engine.Containers.Create;

/// <summary><c>--log-driver</c> and <c>--log-opt</c>.</summary>
/// <param name="Enabled">False for the driver <c>none</c>.</param>
/// <param name="MaxSize">Bytes of one file.</param>
internal readonly record struct LogOptions(bool Enabled, long MaxSize, int MaxFiles)
{
    public const string JsonFile = "json-file";
    public const string None = "none";

    /// <exception cref="EngineException">InvalidParameter, in Docker's words.</exception>
    public static void Validate(LogConfig config) => Parse(config, 1, 1);

    /// <summary>Reads a configuration; the defaults are the engine's own, because logs are always bounded.</summary>
    public static LogOptions Parse(LogConfig config, long defaultMaxSize, int defaultMaxFiles)
    {
        if (config.Type is not ("" or JsonFile or None))
        {
            throw ContainerErrors.Invalid($"error looking up logging plugin {config.Type}: plugin \"{config.Type}\" not found");
        }

        bool enabled = config.Type != None;
        long maxSize = defaultMaxSize;
        int maxFiles = defaultMaxFiles;
        foreach ((string key, string value) in config.Config ?? [])
        {
            switch (key)
            {
                case "max-size" when enabled:
                    maxSize = value == "-1" ? long.MaxValue : ParseSize(value);
                    break;
                case "max-file" when enabled:
                    maxFiles = int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int files) && files > 0
                        ? files
                        : throw ContainerErrors.Invalid($"max-file cannot be less than 1: '{value}'");
                    break;

                // How the driver delivers (mode, max-buffer-size) or names things changes nothing here: delivery never blocks the container.
                case "mode" when value is "blocking" or "non-blocking":
                case "max-buffer-size":
                    break;
                default:
                    throw ContainerErrors.Invalid($"unknown log opt '{key}' for {(enabled ? JsonFile : None)} log driver");
            }
        }

        return new LogOptions(enabled, maxSize, maxFiles);
    }

    /// <summary>A size with an optional unit, powers of 1024 (go-units RAMInBytes): <c>10m</c>, <c>1.5GiB</c>.</summary>
    private static long ParseSize(string text)
    {
        string lower = text.Trim().ToLowerInvariant();
        int end = lower.AsSpan().LastIndexOfAnyInRange('0', '9') + 1;
        string unit = lower[end..].Trim();
        long factor = unit switch
        {
            "" or "b" => 1,
            "k" or "kb" or "kib" => 1L << 10,
            "m" or "mb" or "mib" => 1L << 20,
            "g" or "gb" or "gib" => 1L << 30,
            "t" or "tb" or "tib" => 1L << 40,
            _ => 0,
        };
        bool valid = decimal.TryParse(lower[..end], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out decimal number)
            && factor > 0 && number * factor is > 0 and < long.MaxValue;
        return valid ? (long)(number * factor) : throw ContainerErrors.Invalid($"invalid size: '{text}'");
    }
}
