using System.Collections.Concurrent;
using Slipway.Engine.Containers;
using Slipway.Engine.Containers.State;
using Slipway.Runtime.Logs;

namespace Slipway.Engine.Logging;

/// <summary>
/// Feeds remote log drivers. The supervisor writes every container's output to a bounded log on disk; what a remote driver gets is read from
/// there. So a receiver that is slow or gone never holds a container back, output of the time while no engine runs is
/// delivered by the next one, and <c>docker logs</c> reads the same record (Docker's "dual logging").
/// </summary>
internal sealed class LogForwarding(EngineServices services) : IAsyncDisposable
{
    /// <summary>How long the removal of a container waits for the delivery of its last records.</summary>
    private static readonly TimeSpan s_grace = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<string, Forwarder> _forwarders = new(StringComparer.Ordinal);

    /// <summary>Connects to the receiver of a container that is about to start; null where its driver has none.</summary>
    /// <exception cref="EngineException">It cannot be reached.</exception>
    public async Task<ILogSink?> ConnectAsync(ContainerSnapshot container)
    {
        if (!LogDrivers.IsRemote(container.HostConfig.LogConfig.Type))
        {
            return null;
        }

        ILogSink? sink = null;
        try
        {
            sink = Create(container);
            await sink.OpenAsync(CancellationToken.None);
            return sink;
        }
        catch (Exception exception) when (exception is IOException or FormatException)
        {
            if (sink is not null)
            {
                await sink.DisposeAsync();
            }

            throw new EngineException(ErrorKind.System, $"failed to create task for container: failed to initialize logging driver: {exception.Message}", exception);
        }
    }

    /// <summary>Delivers what the container writes from where delivery ended last.</summary>
    /// <param name="sink">Of <see cref="ConnectAsync"/>, or null: one is made. Owned from here on.</param>
    public async Task StartAsync(Container container, ILogSink? sink)
    {
        if (!LogDrivers.IsRemote(container.Snapshot.HostConfig.LogConfig.Type))
        {
            return;
        }

        // One that still delivers records of the last run goes on with this one.
        if (_forwarders.TryRemove(container.Id, out Forwarder? before))
        {
            await before.StopAsync();
        }

        Forwarder forwarder = new();
        forwarder.Running = RunAsync(container, sink, forwarder.Stopping.Token);
        _forwarders[container.Id] = forwarder;
    }

    /// <summary>Before a container's files are removed: waits a little for the last records, then gives the rest up.</summary>
    public async Task EndAsync(string id)
    {
        if (_forwarders.TryRemove(id, out Forwarder? forwarder))
        {
            await Task.WhenAny(forwarder.Running, Task.Delay(s_grace, services.Time));
            await forwarder.StopAsync();
        }
    }

    /// <summary>The engine ends; the next one goes on where this one stopped.</summary>
    public async ValueTask DisposeAsync()
    {
        foreach (Forwarder forwarder in _forwarders.Values)
        {
            await forwarder.StopAsync();
        }
    }

    private ILogSink Create(ContainerSnapshot container) =>
        LogDrivers.Create(container.HostConfig.LogConfig.Type, LogSubject.Of(container), services.Options.JournalSocket);

    private async Task RunAsync(Container container, ILogSink? sink, CancellationToken cancellationToken)
    {
        await Task.Yield();
        string directory = services.ContainerDirectory(container.Id);
        try
        {
            using ForwardPosition position = ForwardPosition.Open(directory);
            sink ??= Create(container.Snapshot);
            LogReadOptions read = new() { Follow = true, Since = position.Time, IsPatient = true };
            int skip = position.Delivered;
            DateTimeOffset? from = position.Time;
            await foreach (LogEntry entry in JsonLogReader.ReadAsync(
                ContainerLog.Path(directory, container.Id), read, () => !container.Snapshot.State.IsRunning, services.Time, cancellationToken))
            {
                if (skip > 0 && entry.Time == from)
                {
                    skip--;
                    continue;
                }

                await DeliverAsync(container, sink, entry, cancellationToken);
                position.Advance(entry.Time);
            }
        }
        catch (OperationCanceledException)
        {
            // The container is removed or started again, or the engine ends.
        }
        catch (Exception exception)
        {
            services.Log.Write(EngineLogLevel.Error, $"the log of container {container.Snapshot.Name} is not delivered any more: {exception.Message}", exception);
        }
        finally
        {
            if (sink is not null)
            {
                await sink.DisposeAsync();
            }
        }
    }

    private async Task DeliverAsync(Container container, ILogSink sink, LogEntry entry, CancellationToken cancellationToken)
    {
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                await sink.SendAsync(entry, cancellationToken);
                return;
            }
            catch (IOException exception)
            {
                if (attempt >= sink.MaxAttempts)
                {
                    services.Log.Write(EngineLogLevel.Warning, $"a log record of container {container.Snapshot.Name} could not be delivered in {attempt} attempts: {exception.Message}");
                    return;
                }

                if (attempt == 1)
                {
                    services.Log.Write(EngineLogLevel.Warning, $"the log of container {container.Snapshot.Name} cannot be delivered, trying again: {exception.Message}");
                }

                await Task.Delay(sink.RetryPause, services.Time, cancellationToken);
            }
        }
    }

    private sealed class Forwarder
    {
        public CancellationTokenSource Stopping { get; } = new();

        public Task Running { get; set; } = Task.CompletedTask;

        public async Task StopAsync()
        {
            await Stopping.CancelAsync();
            await Running;
            Stopping.Dispose();
        }
    }
}
