using System.Globalization;
using Slipway.Api.Containers;
using Slipway.Engine.Logging;

namespace Slipway.Engine.Containers.Create;

/// <summary><c>--log-driver</c> and <c>--log-opt</c>.</summary>
/// <param name="Enabled">Whether output is recorded on disk: always, but with the driver <c>none</c>. Remote drivers are fed from that record.</param>
/// <param name="IsReadable">Whether <c>docker logs</c> may read it.</param>
/// <param name="MaxSize">Bytes of one file.</param>
internal readonly record struct LogOptions(bool Enabled, bool IsReadable, long MaxSize, int MaxFiles)
{
    public const string JsonFile = "json-file";
    public const string Local = "local";
    public const string None = "none";

    /// <exception cref="EngineException">InvalidParameter, in Docker's words.</exception>
    public static void Validate(LogConfig config) => Parse(config, 1, 1);

    /// <summary>Reads a configuration; the defaults are the engine's own, because logs are always bounded.</summary>
    /// <exception cref="EngineException">InvalidParameter, in Docker's words.</exception>
    public static LogOptions Parse(LogConfig config, long defaultMaxSize, int defaultMaxFiles)
    {
        string driver = config.Type.Length == 0 ? JsonFile : config.Type;
        if (driver is not (JsonFile or Local or None) && !LogDrivers.IsRemote(driver))
        {
            throw ContainerErrors.Invalid($"error looking up logging plugin {driver}: plugin \"{driver}\" not found");
        }

        try
        {
            return driver == None ? default : Parse(driver, config.Config ?? [], defaultMaxSize, defaultMaxFiles);
        }
        catch (Exception exception) when (exception is FormatException or ArgumentException)
        {
            throw ContainerErrors.Invalid(exception.Message);
        }
    }

    private static LogOptions Parse(string driver, Dictionary<string, string> options, long defaultMaxSize, int defaultMaxFiles)
    {
        ValidateDelivery(options);
        Dictionary<string, string> own = [];
        bool readable = true;
        long maxSize = defaultMaxSize;
        int maxFiles = defaultMaxFiles;
        bool remote = LogDrivers.IsRemote(driver);
        foreach ((string key, string value) in options)
        {
            switch (key)
            {
                case "mode" or "max-buffer-size":
                    break;

                // Whether rotated files are compressed is Docker's to say of its own files; these are bounded as they are.
                case "compress" when !remote:
                    _ = GoText.Boolean(value);
                    break;
                case "cache-compress":
                    _ = GoText.Boolean(value);
                    break;
                case "max-size" when !remote:
                case "cache-max-size":
                    maxSize = value == "-1" ? long.MaxValue : GoText.Size(value);
                    break;
                case "max-file" when !remote:
                case "cache-max-file":
                    maxFiles = int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int files) && files > 0
                        ? files
                        : throw new FormatException($"{key} cannot be less than 1: '{value}'");
                    break;
                case "cache-disabled":
                    readable = !remote || !GoText.Boolean(value);
                    break;
                case "labels" or "env":
                    break;
                case "labels-regex" or "env-regex":
                    _ = new System.Text.RegularExpressions.Regex(value);
                    break;
                case "tag":
                    TagTemplate.Validate(value);
                    break;
                default:
                    own.Add(key, value);
                    break;
            }
        }

        if (remote)
        {
            LogDrivers.Validate(driver, own);
        }
        else if (own.Keys.FirstOrDefault() is { } unknown)
        {
            throw new FormatException(driver == Local ? $"unknown log opt '{unknown}' for log driver local" : $"unknown log opt '{unknown}' for {driver} log driver");
        }

        return new LogOptions(Enabled: true, readable, maxSize, maxFiles);
    }

    /// <summary>How a driver takes records from the container: here that never holds it back, so both modes are the same.</summary>
    private static void ValidateDelivery(Dictionary<string, string> options)
    {
        string? mode = options.GetValueOrDefault("mode");
        if (mode is not (null or "" or "blocking" or "non-blocking"))
        {
            throw new FormatException($"logger: logging mode not supported: {mode}");
        }

        if (options.TryGetValue("max-buffer-size", out string? size))
        {
            if (mode != "non-blocking")
            {
                throw new FormatException("logger: max-buffer-size option is only supported with 'mode=non-blocking'");
            }

            try
            {
                _ = GoText.Size(size);
            }
            catch (FormatException exception)
            {
                throw new FormatException($"error parsing option max-buffer-size: {exception.Message}", exception);
            }
        }
    }
}
