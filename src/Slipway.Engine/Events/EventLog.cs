using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Threading.Channels;
using Slipway.Api;
using Slipway.Api.Events;
using Slipway.Storage.State;

namespace Slipway.Engine.Events;

/// <summary>
/// What happened, in order: subscribers hear it at once, the database gets it a moment later, so that publishing costs
/// no more than a lock. The database's bound is the bound of the history.
/// </summary>
/// <remarks>
/// Nobody holds the publisher up. A subscriber that falls <see cref="SubscriberCapacity"/> events behind is ended with an error
/// rather than told a story with gaps: it can subscribe again from the last time it saw. Where the database falls
/// <see cref="UnwrittenCapacity"/> events behind, the oldest of those are left out of the history.
/// </remarks>
public sealed class EventLog : IEvents, IAsyncDisposable
{
    internal const int SubscriberCapacity = 4096;
    internal const int UnwrittenCapacity = 16384;

    /// <summary>Events of one transaction, at most.</summary>
    private const int WrittenTogether = 256;

    /// <summary>The newest events are kept in memory, so that a replay of the last minutes reads no database.</summary>
    private const int RecentCapacity = 256;

    private readonly Lock _gate = new();
    private readonly IEventTable _table;
    private readonly TimeProvider _time;
    private readonly Queue<EventMessage> _recent = new(RecentCapacity);
    private readonly List<Subscription> _subscriptions = [];
    private readonly Channel<Unwritten> _unwritten;
    private readonly Task _writing;
    private long _lastTicks;
    private long _published;

    public EventLog(IEventTable table, TimeProvider time)
    {
        _table = table;
        _time = time;
        _lastTicks = time.GetUtcNow().UtcTicks;
        _unwritten = Channel.CreateBounded<Unwritten>(
            new BoundedChannelOptions(UnwrittenCapacity) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true },
            dropped => dropped.Written?.TrySetResult());
        _writing = WriteAsync();
    }

    /// <summary>Subscriptions that stand, for /info.</summary>
    public int SubscriberCount
    {
        get
        {
            lock (_gate)
            {
                return _subscriptions.Count;
            }
        }
    }

    /// <summary>Events since this was made.</summary>
    public long PublishedCount => Interlocked.Read(ref _published);

    /// <summary>Tells all subscribers. Never waits and never fails, so it may be called while a lock is held.</summary>
    /// <param name="type">container, image, network, volume, daemon.</param>
    /// <param name="action">create, start, die, …</param>
    /// <param name="id">The object's id.</param>
    /// <param name="attributes">Copied. For a container: <c>image</c>, <c>name</c> (without slash) and its labels.</param>
    public void Publish(string type, string action, string id, IReadOnlyDictionary<string, string> attributes)
    {
        Dictionary<string, string> copy = new(attributes, StringComparer.Ordinal);
        bool old = type is "container" or "image";
        lock (_gate)
        {
            // Each event has a time of its own, so that the time of the last one seen is a place to resume from.
            _lastTicks = Math.Max(_time.GetUtcNow().UtcTicks, _lastTicks + 1);
            DateTimeOffset time = new(_lastTicks, TimeSpan.Zero);
            EventMessage message = new()
            {
                Status = old ? action : null,
                Id = old ? id : null,
                From = type == "container" ? copy.GetValueOrDefault("image") : null,
                Type = type,
                Action = action,
                Actor = new EventActor { ID = id, Attributes = copy },
                Time = time.ToUnixTimeSeconds(),
                TimeNano = Rfc3339.UnixNanoseconds(time),
            };

            if (_recent.Count == RecentCapacity)
            {
                _recent.Dequeue();
            }

            _recent.Enqueue(message);
            _published++;
            _unwritten.Writer.TryWrite(new Unwritten(message, null));
            foreach (Subscription subscription in _subscriptions)
            {
                subscription.Offer(message);
            }
        }
    }

    /// <inheritdoc/>
    /// <exception cref="EngineException">InvalidParameter: <paramref name="until"/> is before <paramref name="since"/>.</exception>
    public IAsyncEnumerable<EventMessage> Subscribe(DateTimeOffset? since, DateTimeOffset? until, Filters filters, CancellationToken cancellationToken)
    {
        if (since > until)
        {
            throw new EngineException(
                ErrorKind.InvalidParameter,
                $"`since` time ({since.Value.ToUnixTimeSeconds()}) cannot be after `until` time ({until.Value.ToUnixTimeSeconds()})");
        }

        Subscription subscription = new(new EventFilter(filters));
        Past past;
        lock (_gate)
        {
            past = new Past(since is null && until is null ? [] : [.. _recent], Rfc3339.UnixNanoseconds(new DateTimeOffset(_lastTicks, TimeSpan.Zero)));
            _subscriptions.Add(subscription);
        }

        CancellationTokenRegistration registration = cancellationToken.UnsafeRegister(_ => Remove(subscription), null);
        return ReadAsync(subscription, registration, past, since, until, cancellationToken);
    }

    /// <summary>Waits until all events so far are in the database.</summary>
    internal async Task FlushAsync(CancellationToken cancellationToken)
    {
        TaskCompletionSource written = new(TaskCreationOptions.RunContinuationsAsynchronously);
        if (_unwritten.Writer.TryWrite(new Unwritten(null, written)))
        {
            await written.Task.WaitAsync(cancellationToken);
        }
    }

    /// <summary>Ends all subscriptions and writes what is left.</summary>
    public async ValueTask DisposeAsync()
    {
        _unwritten.Writer.TryComplete();
        lock (_gate)
        {
            _subscriptions.ForEach(subscription => subscription.End());
            _subscriptions.Clear();
        }

        await _writing;
    }

    private async IAsyncEnumerable<EventMessage> ReadAsync(
        Subscription subscription, CancellationTokenRegistration registration, Past past, DateTimeOffset? since, DateTimeOffset? until,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using CancellationTokenRegistration registered = registration;
        try
        {
            // An end without a start means what is in memory up to it, as in Docker.
            long first = since is { } start ? Rfc3339.UnixNanoseconds(start) : 0;
            long last = until is { } end ? Rfc3339.UnixNanoseconds(end) : long.MaxValue;
            foreach (EventMessage message in since is { } from ? await HistoryAsync(from, past, cancellationToken) : past.Recent)
            {
                if (message.TimeNano >= first && message.TimeNano <= last && subscription.Includes(message))
                {
                    yield return message;
                }
            }

            TimeSpan left = until - _time.GetUtcNow() ?? Timeout.InfiniteTimeSpan;
            if (until is not null && left <= TimeSpan.Zero)
            {
                yield break;
            }

            using CancellationTokenSource deadline = new(left, _time);
            using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
            while (await subscription.WaitAsync(either.Token, deadline.Token))
            {
                while (subscription.TryTake(out EventMessage? message))
                {
                    yield return message;
                }
            }
        }
        finally
        {
            Remove(subscription);
        }
    }

    /// <summary>The events in memory, and before them those in the database where memory does not reach back that far.</summary>
    private async Task<IEnumerable<EventMessage>> HistoryAsync(DateTimeOffset start, Past past, CancellationToken cancellationToken)
    {
        long oldest = past.Recent.Length > 0 ? past.Recent[0].TimeNano : long.MaxValue;
        if (Rfc3339.UnixNanoseconds(start) >= oldest)
        {
            return past.Recent;
        }

        await FlushAsync(cancellationToken);
        List<EventMessage> all = [];
        foreach (byte[] document in await _table.ReadAsync(start, _time.GetUtcNow(), cancellationToken))
        {
            if (JsonSerializer.Deserialize(document, EngineJson.Wire.EventMessage) is { } message && message.TimeNano < oldest && message.TimeNano <= past.Last)
            {
                all.Add(message);
            }
        }

        all.AddRange(past.Recent);
        return all;
    }

    private void Remove(Subscription subscription)
    {
        lock (_gate)
        {
            _subscriptions.Remove(subscription);
        }
    }

    /// <summary>Writes what has come since the last time in one go: a start of a container alone publishes three events.</summary>
    private async Task WriteAsync()
    {
        List<StoredEvent> events = [];
        List<TaskCompletionSource> marks = [];
        while (await _unwritten.Reader.WaitToReadAsync())
        {
            while (events.Count < WrittenTogether && _unwritten.Reader.TryRead(out Unwritten next))
            {
                if (next.Message is { } message)
                {
                    events.Add(new StoredEvent(
                        DateTimeOffset.UnixEpoch.AddTicks(message.TimeNano / 100), JsonSerializer.SerializeToUtf8Bytes(message, EngineJson.Wire.EventMessage)));
                }
                else
                {
                    marks.Add(next.Written!);
                }
            }

            try
            {
                await (events.Count > 0 ? _table.AppendAsync(events, CancellationToken.None) : Task.CompletedTask);
            }
            catch (Storage.StorageException)
            {
                // A full disk must not stop the engine; the events were delivered, only the history has a gap.
            }

            events.Clear();
            marks.ForEach(mark => mark.TrySetResult());
            marks.Clear();
        }
    }

    /// <summary>What there was when a subscription was made; all later events come by way of the subscription.</summary>
    /// <param name="Recent">The events in memory, where they are asked for.</param>
    /// <param name="Last">Time of the last event, in nanoseconds since 1970.</param>
    private sealed record Past(EventMessage[] Recent, long Last);

    /// <param name="Message">What to write, or null for a mark that tells when everything before it is written.</param>
    private readonly record struct Unwritten(EventMessage? Message, TaskCompletionSource? Written);
}
