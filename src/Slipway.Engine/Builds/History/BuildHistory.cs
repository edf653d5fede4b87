using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Threading.Channels;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Storage;
using Slipway.Storage.Builds;

namespace Slipway.Engine.Builds.History;

/// <inheritdoc cref="IBuildHistory"/>
internal sealed class BuildHistory(IBuildHistoryStore store, HistoryLimits limits, TimeProvider time, IEngineLog log) : IBuildHistory, IDisposable
{
    private const int ReadSize = 64 << 10;

    /// <summary>What is longer, or no word, is shown to nobody: such a build gets a name of the engine's.</summary>
    private const int MaxReference = 128;

    /// <summary>Characters of an error, which may repeat what a client sent.</summary>
    private const int MaxError = 16 << 10;

    /// <summary>Changes ahead of a watcher.</summary>
    private const int Ahead = 256;

    /// <summary>One at a time writes to the store, and changes what is remembered.</summary>
    private readonly SemaphoreSlim _changing = new(1);
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Entry> _entries = new(StringComparer.Ordinal);
    private readonly List<Channel<BuildRecordChange>> _watchers = [];
    private bool _isOpen;

    public async Task<IReadOnlyList<BuildRecord>> ListAsync(CancellationToken cancellationToken)
    {
        await ChangeAsync(TrimAsync, cancellationToken);
        lock (_gate)
        {
            return [.. _entries.Values.Select(entry => entry.Record).OrderByDescending(record => record.Started).ThenBy(record => record.Reference, StringComparer.Ordinal)];
        }
    }

    public async Task<BuildRecord?> FindAsync(string reference, CancellationToken cancellationToken)
    {
        await ChangeAsync(TrimAsync, cancellationToken);
        return Find(reference)?.Record;
    }

    public async IAsyncEnumerable<BuildRecordChange> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        Channel<BuildRecordChange> channel = Channel.CreateBounded<BuildRecordChange>(new BoundedChannelOptions(Ahead) { FullMode = BoundedChannelFullMode.DropOldest });
        lock (_gate)
        {
            _watchers.Add(channel);
        }

        try
        {
            await foreach (BuildRecordChange change in channel.Reader.ReadAllAsync(cancellationToken))
            {
                yield return change;
            }
        }
        finally
        {
            lock (_gate)
            {
                _watchers.Remove(channel);
            }
        }
    }

    public async Task ReplayAsync(string reference, IBuildProgress progress, CancellationToken cancellationToken)
    {
        await ChangeAsync(TrimAsync, cancellationToken);
        Entry entry = Find(reference) ?? throw Missing(reference);
        using SafeFileHandle? file = await store.OpenLogAsync(reference);
        if (file is null)
        {
            return;
        }

        byte[] buffer = new byte[ReadSize];
        int filled = 0;
        long offset = 0;
        while (true)
        {
            (long length, bool isEnded, Task changed) = entry.Running?.Written ?? (entry.LogBytes, true, Task.CompletedTask);
            while (offset < length)
            {
                int count = Descriptors.ReadAt(file, buffer.AsSpan(filled, (int)Math.Min(buffer.Length - filled, length - offset)), offset);
                if (count == 0)
                {
                    return;
                }

                (offset, filled) = (offset + count, filled + count);
                int told = await TellAsync(buffer.AsMemory(0, filled), progress);
                buffer.AsSpan(told, filled - told).CopyTo(buffer);
                filled -= told;
                if (filled == buffer.Length)
                {
                    // An entry is never longer than this; a file that has one is no log.
                    buffer = filled <= BuildRecorder.MaxEntry ? [.. buffer, .. new byte[buffer.Length]] : throw new EngineException(ErrorKind.System, $"the log of build {reference} cannot be read");
                }
            }

            if (isEnded)
            {
                return;
            }

            await changed.WaitAsync(cancellationToken);
        }
    }

    public Task PinAsync(string reference, bool isPinned, CancellationToken cancellationToken) => ChangeAsync(
        async () =>
        {
            Entry entry = Find(reference) ?? throw Missing(reference);
            lock (_gate)
            {
                if (isPinned && !entry.Record.IsPinned && _entries.Values.Count(other => other.Record.IsPinned) >= limits.Records / 2)
                {
                    throw new EngineException(ErrorKind.Conflict, $"no more than {limits.Records / 2} builds can be kept");
                }
            }

            if (entry.Running is not null)
            {
                throw new EngineException(ErrorKind.Conflict, $"build {reference} is running");
            }

            await PutAsync(entry with { Finished = entry.Record with { IsPinned = isPinned } });
        },
        cancellationToken);

    public Task RemoveAsync(string reference, CancellationToken cancellationToken) => ChangeAsync(
        async () =>
        {
            Entry entry = Find(reference) ?? throw Missing(reference);
            await ForgetAsync(entry.Running is null ? [entry] : throw new EngineException(ErrorKind.Conflict, $"build {reference} is running"));
        },
        cancellationToken);

    /// <summary>Begins to record a build; where that cannot be done it is built without a record.</summary>
    public async Task<BuildRecorder> BeginAsync(BuildRequest request, IBuildProgress progress)
    {
        BuildRecord record = new()
        {
            Reference = request.Reference is { Length: > 0 and <= MaxReference } given && given.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.') ? given : NewReference(),
            Attributes = RequestAttributes.Of(request),
            Names = RequestAttributes.Names(request),
            Started = time.GetUtcNow(),
        };
        BuildRecorder? recorder = null;
        try
        {
            await ChangeAsync(
                async () =>
                {
                    if (Find(record.Reference) is { Running: not null })
                    {
                        record = record with { Reference = NewReference() };
                    }

                    recorder = new BuildRecorder(record, progress, await store.CreateLogAsync(record.Reference), limits.LogBytes);
                    await PutAsync(new Entry(recorder, record, 0));
                    await TrimAsync();
                },
                CancellationToken.None);
            Tell(RecordChange.Started, record);
        }
        catch (Exception error) when (error is StorageException or KernelException)
        {
            log.Write(EngineLogLevel.Warning, "a build is not recorded", error);
        }

        return recorder ?? new BuildRecorder(record, progress, log: null, limits.LogBytes);
    }

    public async Task RefuseAsync(BuildRequest request, string error) => await EndAsync(await BeginAsync(request, new Nobody()), BuildState.Error, result: null, error);

    /// <param name="result">Null: there is none.</param>
    /// <param name="error">Empty: it did not fail.</param>
    public async Task EndAsync(BuildRecorder recorder, BuildState state, BuildResult? result, string error)
    {
        error = error.Length <= MaxError ? error : error[..MaxError] + "…";
        BuildRecord record = recorder.Record with { State = state, Error = error, Completed = time.GetUtcNow(), Result = result?.Metadata ?? new Dictionary<string, string>() };
        if (result is { ImageId.IsNone: false })
        {
            record = record with { Result = new Dictionary<string, string>(record.Result) { ["containerimage.config.digest"] = result.ImageId.ToString() } };
        }

        recorder.End(record);
        try
        {
            await ChangeAsync(
                async () =>
                {
                    if (Find(record.Reference)?.Running == recorder)
                    {
                        await PutAsync(new Entry(null, record, recorder.Written.Length));
                        await TrimAsync();
                    }
                },
                CancellationToken.None);
            Tell(RecordChange.Completed, record);
        }
        catch (Exception failed) when (failed is StorageException or KernelException)
        {
            log.Write(EngineLogLevel.Warning, "the record of a build could not be stored", failed);
        }
        finally
        {
            recorder.Dispose();
        }
    }

    public void Dispose() => _changing.Dispose();

    /// <summary>Tells whole lines.</summary>
    /// <returns>Bytes of them.</returns>
    private static async Task<int> TellAsync(ReadOnlyMemory<byte> bytes, IBuildProgress progress)
    {
        int told = 0;
        for (int end; (end = bytes.Span[told..].IndexOf((byte)'\n')) >= 0; told += end + 1)
        {
            if (BuildLogEntry.Parse(bytes.Span.Slice(told, end)) is { } entry)
            {
                await entry.TellAsync(progress);
            }
        }

        return told;
    }

    private async Task ChangeAsync(Func<Task> change, CancellationToken cancellationToken)
    {
        await _changing.WaitAsync(cancellationToken);
        try
        {
            if (!_isOpen)
            {
                await OpenAsync();
                _isOpen = true;
            }

            await change();
        }
        finally
        {
            _changing.Release();
        }
    }

    private async Task OpenAsync()
    {
        foreach (BuildHistoryRow row in await store.OpenAsync(CancellationToken.None))
        {
            if (Parse(row) is not { } record)
            {
                // One that cannot be read is of no use to anybody, and must not end what is built now.
                log.Write(EngineLogLevel.Warning, $"the record of build {row.Reference} cannot be read, and is removed");
                await store.DeleteAsync([row.Reference], CancellationToken.None);
                continue;
            }

            if (record.State == BuildState.Running)
            {
                // What its log has is all there is.
                using SafeFileHandle? file = await store.OpenLogAsync(record.Reference);
                record = record with { State = BuildState.Error, Error = "the engine ended while the build ran", Completed = record.Started };
                await PutAsync(new Entry(null, record, file is null ? 0 : FileStatus.Of(file).Size));
            }
            else
            {
                lock (_gate)
                {
                    _entries[record.Reference] = new Entry(null, record, row.LogBytes);
                }
            }
        }
    }

    private static BuildRecord? Parse(BuildHistoryRow row)
    {
        try
        {
            return JsonSerializer.Deserialize(row.Document, HistoryJson.Default.BuildRecord);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>Forgets what is too old, too many or too large, the oldest first.</summary>
    private async Task TrimAsync()
    {
        List<Entry> doomed = [];
        lock (_gate)
        {
            DateTimeOffset oldest = time.GetUtcNow() - limits.Age;
            (int records, long bytes) = (0, 0);
            foreach (Entry entry in _entries.Values.OrderByDescending(entry => entry.Running is not null || entry.Record.IsPinned).ThenByDescending(entry => entry.Record.Started))
            {
                (records, bytes) = (records + 1, bytes + entry.LogBytes);
                if (entry.Running is null && !entry.Record.IsPinned && (entry.Record.Started < oldest || records > limits.Records || bytes > limits.Bytes))
                {
                    doomed.Add(entry);
                }
            }
        }

        if (doomed.Count > 0)
        {
            await ForgetAsync(doomed);
        }
    }

    private async Task ForgetAsync(List<Entry> doomed)
    {
        await store.DeleteAsync([.. doomed.Select(entry => entry.Record.Reference)], CancellationToken.None);
        foreach (Entry entry in doomed)
        {
            lock (_gate)
            {
                _entries.Remove(entry.Record.Reference);
            }

            Tell(RecordChange.Deleted, entry.Record);
        }
    }

    private async Task PutAsync(Entry entry)
    {
        BuildRecord record = entry.Record;
        await store.StoreAsync(
            new BuildHistoryRow(record.Reference, record.Started, entry.LogBytes, JsonSerializer.SerializeToUtf8Bytes(record, HistoryJson.Default.BuildRecord)), CancellationToken.None);
        lock (_gate)
        {
            _entries[record.Reference] = entry;
        }
    }

    private Entry? Find(string reference)
    {
        lock (_gate)
        {
            return _entries.GetValueOrDefault(reference);
        }
    }

    private void Tell(RecordChange change, BuildRecord record)
    {
        lock (_gate)
        {
            foreach (Channel<BuildRecordChange> watcher in _watchers)
            {
                watcher.Writer.TryWrite(new BuildRecordChange(change, record));
            }
        }
    }

    private static string NewReference() => Identifiers.New()[..25];

    private static EngineException Missing(string reference) => new(ErrorKind.NotFound, $"no build record found for {reference}");

    /// <param name="Running">Null: it has ended.</param>
    /// <param name="Finished">What is remembered of one that has.</param>
    private sealed record Entry(BuildRecorder? Running, BuildRecord Finished, long LogBytes)
    {
        public BuildRecord Record => Running?.Record ?? Finished;
    }

    /// <summary>Nobody watches.</summary>
    private sealed class Nobody : IBuildProgress
    {
        public ValueTask VertexAsync(BuildVertex vertex) => ValueTask.CompletedTask;

        public ValueTask LogAsync(BuildLog log) => ValueTask.CompletedTask;

        public ValueTask StatusAsync(BuildStatus status) => ValueTask.CompletedTask;

        public ValueTask WarningAsync(BuildWarning warning) => ValueTask.CompletedTask;
    }
}
