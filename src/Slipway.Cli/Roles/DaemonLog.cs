using System.Text.Json;
using Microsoft.Extensions.Logging;
using Slipway.Api;
using Slipway.Engine;

namespace Slipway.Cli.Roles;

/// <summary>The daemon's own log, on standard error: the service manager keeps it. Lines as <c>time=… level=info msg="…"</c> (logfmt), or objects of JSON.</summary>
/// <param name="json">Write JSON (<c>log-format</c>), with dockerd's names.</param>
internal sealed class DaemonLog(EngineLogLevel lowest, bool json = false) : IEngineLog, ILoggerFactory
{
    private readonly Lock _gate = new();

    /// <summary>What is below this is not told. May be changed while the daemon runs.</summary>
    public EngineLogLevel Lowest { get; set; } = lowest;

    public void Write(EngineLogLevel level, string message, Exception? exception = null)
    {
        if (level < Lowest)
        {
            return;
        }

        string name = level switch
        {
            EngineLogLevel.Debug => "debug",
            EngineLogLevel.Information => "info",
            EngineLogLevel.Warning => "warning",
            _ => "error",
        };
        string text = exception is null ? message : $"{message}: {(Lowest == EngineLogLevel.Debug ? exception.ToString() : exception.Message)}";
        string time = Rfc3339.Format(TimeProvider.System.GetUtcNow());
        string line = json ? $$"""{"level":"{{name}}","msg":"{{JsonEncodedText.Encode(text)}}","time":"{{time}}"}""" : $"time=\"{time}\" level={name} msg=\"{Escape(text)}\"";
        lock (_gate)
        {
            Console.Error.WriteLine(line);
        }
    }

    public void Started(DaemonConfiguration configuration) =>
        Write(EngineLogLevel.Information, $"API listen on {string.Join(", ", configuration.Hosts ?? [Server.ServerOptions.DefaultHost])}");

    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException("the daemon has one log");

    public ILogger CreateLogger(string categoryName) => new ServerLogger(this);

    public void Dispose()
    {
        // Standard error stays open.
    }

    private static string Escape(string text) =>
        text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);

    /// <summary>The HTTP server's messages: what is below a warning is of no use to an operator.</summary>
    private sealed class ServerLogger(DaemonLog log) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        /// <summary>A request was answered before all of its body was read: the HTTP server then ends the connection, which is right.</summary>
        private const string UnreadBody = "RequestBodyDrainBodyReaderInvalidState";

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Warning;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel) && eventId.Name != UnreadBody)
            {
                log.Write(logLevel == LogLevel.Warning ? EngineLogLevel.Warning : EngineLogLevel.Error, formatter(state, exception), exception);
            }
        }
    }
}
