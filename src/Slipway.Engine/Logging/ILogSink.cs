using Slipway.Runtime.Logs;

namespace Slipway.Engine.Logging;

/// <summary>The receiving end of a remote log driver. Used by one caller at a time.</summary>
internal interface ILogSink : IAsyncDisposable
{
    /// <summary>Between two attempts to deliver a record.</summary>
    TimeSpan RetryPause { get; }

    /// <summary>How often delivery of one record is tried before it is given up.</summary>
    int MaxAttempts { get; }

    /// <summary>Connects. Without this call the first record does.</summary>
    /// <exception cref="IOException">The receiver cannot be reached; the message is Docker's.</exception>
    ValueTask OpenAsync(CancellationToken cancellationToken);

    /// <summary>Delivers one record, connecting again where the connection was lost.</summary>
    /// <exception cref="IOException">It could not be delivered; it may be tried again.</exception>
    ValueTask SendAsync(LogEntry entry, CancellationToken cancellationToken);
}
