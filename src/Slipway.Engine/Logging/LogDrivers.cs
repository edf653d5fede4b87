namespace Slipway.Engine.Logging;

/// <summary>The drivers that send a container's output elsewhere.</summary>
internal static class LogDrivers
{
    public const string Syslog = "syslog";
    public const string Gelf = "gelf";
    public const string Fluentd = "fluentd";
    public const string Journald = "journald";

    /// <summary>All that can be named, as <c>docker info</c> lists them.</summary>
    public static IReadOnlyList<string> Names { get; } = [Fluentd, Gelf, Journald, "json-file", "local", Syslog];

    public static bool IsRemote(string driver) => driver is Syslog or Gelf or Fluentd or Journald;

    /// <param name="options">Those that are the driver's own.</param>
    /// <exception cref="FormatException">In Docker's words.</exception>
    public static void Validate(string driver, IReadOnlyDictionary<string, string> options)
    {
        switch (driver)
        {
            case Syslog:
                SyslogDriver.Validate(options);
                break;
            case Gelf:
                GelfDriver.Validate(options);
                break;
            case Fluentd:
                FluentdDriver.Validate(options);
                break;
            default:
                JournaldDriver.Validate(options);
                break;
        }
    }

    /// <exception cref="IOException">The host has no such receiver.</exception>
    /// <exception cref="FormatException">An option is wrong by now: a socket that has gone.</exception>
    public static ILogSink Create(string driver, LogSubject subject, string journal) => driver switch
    {
        Syslog => SyslogDriver.Create(subject),
        Gelf => GelfDriver.Create(subject),
        Fluentd => FluentdDriver.Create(subject),
        _ => JournaldDriver.Create(subject, journal),
    };
}
