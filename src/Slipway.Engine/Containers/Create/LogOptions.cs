using System.Globalization;
using Slipway.Api.Containers;
using Slipway.Engine.Logging;

namespace Slipway.Engine.Containers.Create;

/// <summary><c>--log-driver</c> and <c>--log-opt</c>.</summary>
/// <param name="Enabled">Whether output is recorded on disk: always, but with the driver <c>none</c>. Remote drivers are fed from that record.</param>
/// <param name="IsReadable">Whether <c>docker logs</c> may read it.</param>
/// <param name="MaxSize">Bytes of one file.</param>
/// <param name="Compress">Whether rotated files are compressed.</param>
/// <param name="DropBeyond">Bytes that may wait for the disk before records are dropped; null: the container waits.</param>
internal readonly record struct LogOptions(bool Enabled, bool IsReadable, long MaxSize, int MaxFiles, bool Compress, int? DropBeyond)
{
    /// <summary>Of <c>mode=non-blocking</c>, as in Docker.</summary>
    private const int DefaultBuffer = 1_000_000;

    public const string JsonFile = "json-file";
    public const string Local = "local";
    public const string None = "none";

    /// <exception cref="EngineException">InvalidParameter, in Docker's words.</exception>
    public static void Validate(LogConfig config) => Parse(config, 1, 2);

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
        int? dropBeyond = Buffer(options);
        Dictionary<string, string> own = [];
        bool readable = true;

        // As in Docker: the driver local compresses unless it is told not to, json-file the other way.
        bool compress = driver == Local;
        long maxSize = defaultMaxSize;
        int maxFiles = defaultMaxFiles;
        bool remote = LogDrivers.IsRemote(driver);
        foreach ((string key, string value) in options)
        {
            switch (key)
            {
                case "mode" or "max-buffer-size":
                    break;

                case "compress" when !remote:
                case "cache-compress":
                    compress = GoText.Boolean(value);
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

        if (driver == JsonFile && compress && (maxFiles == 1 || maxSize == long.MaxValue))
        {
            throw new FormatException("compress cannot be true when max-file is less than 2 or max-size is not set");
        }

        return new LogOptions(Enabled: true, readable, maxSize, maxFiles, compress && maxFiles > 1, dropBeyond);
    }

    /// <summary>
    /// How much may wait before records are dropped (<c>mode=non-blocking</c>). What a container waits for here is the disk alone: receivers of remote drivers hold nobody back.
    /// </summary>
    private static int? Buffer(Dictionary<string, string> options)
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
                return (int)Math.Min(int.MaxValue, GoText.Size(size));
            }
            catch (FormatException exception)
            {
                throw new FormatException($"error parsing option max-buffer-size: {exception.Message}", exception);
            }
        }

        return mode == "non-blocking" ? DefaultBuffer : null;
    }
}
