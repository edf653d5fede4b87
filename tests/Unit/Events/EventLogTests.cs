using Slipway.Api.Events;
using Slipway.Engine;
using Slipway.Engine.Events;
using Slipway.Storage.State;
using Xunit;

namespace Slipway.Tests.Unit.Events;

public sealed class EventLogTests
{
    private static readonly Dictionary<string, string> s_none = [];

    [Fact]
    public async Task A_subscriber_hears_what_is_published_after_it_subscribed_and_nothing_before()
    {
        await using EventLog log = new(new MemoryEventTable(), TimeProvider.System);
        log.Publish("container", "create", "a", s_none);
        IAsyncEnumerable<EventMessage> events = log.Subscribe(null, null, Filters.None, TestContext.Current.CancellationToken);
        log.Publish("container", "start", "a", new Dictionary<string, string> { ["image"] = "alpine" });

        EventMessage first = await events.FirstAsync(TestContext.Current.CancellationToken);

        Assert.Equal(("start", "start", "a", "alpine"), (first.Action, first.Status, first.Id, first.From));
    }

    [Fact]
    public async Task Replay_joins_database_memory_and_what_comes_without_gap_or_double()
    {
        MemoryEventTable table = new();
        DateTimeOffset start = TimeProvider.System.GetUtcNow();
        await using (EventLog earlier = new(table, TimeProvider.System))
        {
            PublishNumbers(earlier, 0, 100);
        }

        await using EventLog log = new(table, TimeProvider.System);
        PublishNumbers(log, 100, 900); // more than memory keeps
        IAsyncEnumerable<EventMessage> events = log.Subscribe(start, null, Filters.None, TestContext.Current.CancellationToken);
        PublishNumbers(log, 1000, 50);

        List<string> ids = await events.Take(1050).Select(message => message.Actor.ID).ToListAsync(TestContext.Current.CancellationToken);

        Assert.Equal(Enumerable.Range(0, 1050).Select(n => n.ToString()), ids);
    }

    [Fact]
    public async Task Right_after_a_restart_replay_has_no_doubles_of_what_comes()
    {
        MemoryEventTable table = new();
        await using EventLog log = new(table, TimeProvider.System);
        IAsyncEnumerable<EventMessage> events = log.Subscribe(DateTimeOffset.UnixEpoch, null, Filters.None, TestContext.Current.CancellationToken);
        PublishNumbers(log, 0, 3);
        await log.FlushAsync(TestContext.Current.CancellationToken);

        Assert.Equal(["0", "1", "2"], await events.Take(3).Select(message => message.Actor.ID).ToListAsync(TestContext.Current.CancellationToken));
        Assert.Equal(0, log.SubscriberCount);
    }

    [Fact]
    public async Task An_end_in_the_past_replays_and_ends()
    {
        await using EventLog log = new(new MemoryEventTable(), TimeProvider.System);
        PublishNumbers(log, 0, 5);
        DateTimeOffset until = TimeProvider.System.GetUtcNow().AddMilliseconds(1);
        await Task.Delay(5, TestContext.Current.CancellationToken);
        PublishNumbers(log, 5, 5);

        List<EventMessage> events = await log.Subscribe(null, until, Filters.None, TestContext.Current.CancellationToken).ToListAsync(TestContext.Current.CancellationToken);

        Assert.Equal(5, events.Count);
    }

    [Fact]
    public async Task An_end_to_come_ends_the_stream_by_itself()
    {
        await using EventLog log = new(new MemoryEventTable(), TimeProvider.System);
        IAsyncEnumerable<EventMessage> events = log.Subscribe(null, TimeProvider.System.GetUtcNow().AddMilliseconds(200), Filters.None, TestContext.Current.CancellationToken);
        PublishNumbers(log, 0, 2);

        Assert.Equal(2, await events.CountAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task An_end_before_the_start_is_refused()
    {
        await using EventLog log = new(new MemoryEventTable(), TimeProvider.System);

        EngineException refused = Assert.Throws<EngineException>(() =>
            log.Subscribe(DateTimeOffset.FromUnixTimeSeconds(20), DateTimeOffset.FromUnixTimeSeconds(10), Filters.None, TestContext.Current.CancellationToken));

        Assert.Equal((ErrorKind.InvalidParameter, "`since` time (20) cannot be after `until` time (10)"), (refused.Kind, refused.Message));
    }

    [Fact]
    public async Task A_subscriber_that_does_not_read_is_ended_with_an_error_and_delays_nobody()
    {
        await using EventLog log = new(new MemoryEventTable(), TimeProvider.System);
        IAsyncEnumerable<EventMessage> slow = log.Subscribe(null, null, Filters.None, TestContext.Current.CancellationToken);
        PublishNumbers(log, 0, EventLog.SubscriberCapacity + 1);

        EngineException ended = await Assert.ThrowsAsync<EngineException>(async () => await slow.CountAsync(TestContext.Current.CancellationToken));

        Assert.Equal(ErrorKind.Unavailable, ended.Kind);
    }

    [Fact]
    public async Task A_cancelled_subscription_that_was_never_read_is_forgotten()
    {
        await using EventLog log = new(new MemoryEventTable(), TimeProvider.System);
        using CancellationTokenSource source = new();
        log.Subscribe(null, null, Filters.None, source.Token);
        await source.CancelAsync();

        Assert.Equal(0, log.SubscriberCount);
    }

    [Fact]
    public async Task Disposal_ends_the_streams()
    {
        EventLog log = new(new MemoryEventTable(), TimeProvider.System);
        IAsyncEnumerable<EventMessage> events = log.Subscribe(null, null, Filters.None, TestContext.Current.CancellationToken);
        await log.DisposeAsync();

        Assert.Equal(0, await events.CountAsync(TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData("type", "container", true)]
    [InlineData("type", "image", false)]
    [InlineData("event", "exec_start", true)]
    [InlineData("event", "exec_start: sh -c ls", true)]
    [InlineData("event", "exec_create", false)]
    [InlineData("container", "abcd", true)]
    [InlineData("container", "web", true)]
    [InlineData("container", "db", false)]
    [InlineData("image", "reg:5000/alpine:3.20", true)]
    [InlineData("image", "reg:5000/alpine", true)]
    [InlineData("image", "alpine", false)]
    [InlineData("label", "tier=front", true)]
    [InlineData("label", "tier", true)]
    [InlineData("label", "tier=back", false)]
    [InlineData("scope", "local", true)]
    [InlineData("scope", "swarm", false)]
    [InlineData("unheard-of", "x", true)]
    public void Filters_compare_as_Docker_does(string key, string value, bool included)
    {
        EventMessage message = new()
        {
            Type = "container",
            Action = "exec_start: sh -c ls",
            Actor = new EventActor { ID = "abcdef", Attributes = new() { ["name"] = "web-1", ["image"] = "reg:5000/alpine:3.20", ["tier"] = "front" } },
        };
        Filters filters = new(new Dictionary<string, IReadOnlyList<string>> { [key] = [value] });

        Assert.Equal(included, new EventFilter(filters).Includes(message));
    }

    [Fact]
    public void All_labels_asked_for_are_required_but_any_other_value()
    {
        EventMessage message = new() { Type = "container", Action = "start", Actor = new EventActor { ID = "a", Attributes = new() { ["x"] = "1" } } };

        Assert.False(new EventFilter(new(new Dictionary<string, IReadOnlyList<string>> { ["label"] = ["x=1", "y"] })).Includes(message));
        Assert.True(new EventFilter(new(new Dictionary<string, IReadOnlyList<string>> { ["event"] = ["stop", "start"] })).Includes(message));
    }

    private static void PublishNumbers(EventLog log, int first, int count)
    {
        for (int i = first; i < first + count; i++)
        {
            log.Publish("container", "start", i.ToString(), s_none);
        }
    }

    private sealed class MemoryEventTable : IEventTable
    {
        private readonly Lock _gate = new();
        private readonly List<(DateTimeOffset Time, byte[] Document)> _rows = [];

        public Task AppendAsync(IReadOnlyList<StoredEvent> events, CancellationToken cancellationToken)
        {
            lock (_gate)
            {
                _rows.AddRange(events.Select(stored => (stored.Time, stored.Document)));
            }

            return Task.CompletedTask;
        }

        public Task<IReadOnlyList<byte[]>> ReadAsync(DateTimeOffset since, DateTimeOffset until, CancellationToken cancellationToken)
        {
            lock (_gate)
            {
                return Task.FromResult<IReadOnlyList<byte[]>>([.. _rows.Where(row => row.Time >= since && row.Time <= until).Select(row => row.Document)]);
            }
        }
    }
}
