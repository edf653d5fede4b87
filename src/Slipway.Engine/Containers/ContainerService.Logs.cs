using System.Runtime.CompilerServices;
using System.Text;
using Slipway.Api;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.State;
using Slipway.Engine.Logging;
using Slipway.Runtime.Logs;

namespace Slipway.Engine.Containers;

internal sealed partial class ContainerService
{
    public Task<LogSession> LogsAsync(string reference, LogsOptions options, CancellationToken cancellationToken)
    {
        Container container = _index.Resolve(reference);
        ContainerSnapshot snapshot = container.Snapshot;
        if (!options.Stdout && !options.Stderr)
        {
            throw ContainerErrors.Invalid("Bad parameters: you must choose at least one stream");
        }

        if (!Logging(snapshot).IsReadable)
        {
            throw new EngineException(ErrorKind.NotImplemented, "configured logging driver does not support reading");
        }

        // As in Docker, following a container that does not run ends with what is there.
        LogReadOptions read = new()
        {
            Follow = options.Follow && snapshot.State.IsRunning,
            Tail = options.Tail < 0 ? null : options.Tail,
            Since = options.Since,
            Until = options.Until,
            Stdout = options.Stdout || snapshot.Config.Tty,
            Stderr = options.Stderr || snapshot.Config.Tty,
        };
        return Task.FromResult(new LogSession(snapshot.Config.Tty, LinesAsync(container, read, options, cancellationToken)));
    }

    /// <param name="until">When the stream that carries what comes after was connected: what it carries is not told twice.</param>
    private IAsyncEnumerable<LogLine> PastLines(Container container, AttachOptions options, DateTimeOffset until, CancellationToken cancellationToken) => LinesAsync(
        container,
        new LogReadOptions { Stdout = options.Stdout, Stderr = options.Stderr, Until = until },
        new LogsOptions(options.Stdout, options.Stderr, Follow: false, Timestamps: false, Details: false, Since: null, Until: null),
        cancellationToken);

    private LogOptions Logging(ContainerSnapshot container) => LogOptions.Parse(container.HostConfig.LogConfig, _services.Options.LogMaxSize, _services.Options.LogMaxFiles);

    /// <summary>The attributes that the log driver was told to record with each line; they are the container's, the same for all.</summary>
    private static string Details(ContainerSnapshot container)
    {
        return string.Join(',', LogSubject.Of(container).Details().Select(attribute => $"{Escape(attribute.Key)}={Escape(attribute.Value)}"));
    }

    /// <summary>As in the query of an address: Go's url.QueryEscape.</summary>
    private static string Escape(string text) => Uri.EscapeDataString(text).Replace("%20", "+", StringComparison.Ordinal);

    private async IAsyncEnumerable<LogLine> LinesAsync(
        Container container, LogReadOptions read, LogsOptions options, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        string path = ContainerLog.Path(_services.ContainerDirectory(container.Id), container.Id);

        string details = options.Details ? Details(container.Snapshot) + " " : "";
        await foreach (LogEntry entry in JsonLogReader.ReadAsync(path, read, () => !container.Snapshot.State.IsRunning, _services.Time, cancellationToken))
        {
            ReadOnlyMemory<byte> text = entry.Text;
            if (options.Timestamps || details.Length > 0)
            {
                string prefix = (options.Timestamps ? Rfc3339.FormatFixed(entry.Time) + " " : "") + details;
                text = (byte[])[.. Encoding.UTF8.GetBytes(prefix), .. text.Span];
            }

            yield return new LogLine(entry.Stream == LogStream.Stderr, text);
        }
    }
}
