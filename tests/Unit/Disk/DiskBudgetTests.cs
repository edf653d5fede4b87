using Slipway.Api.Events;
using Slipway.Engine;
using Slipway.Engine.Disk;
using Slipway.Engine.Events;
using Slipway.Engine.Images;
using Slipway.Engine.Telemetry;
using Slipway.Oci;
using Slipway.Storage.Images;
using Slipway.Storage.Ledger;
using Slipway.Tests.Unit.Images;
using Xunit;
using static Slipway.Tests.Unit.Images.ImageServiceTests;

namespace Slipway.Tests.Unit.Disk;

/// <summary>Images of 1000 bytes each, and a budget.</summary>
public sealed class DiskBudgetTests : IAsyncDisposable
{
    private static readonly DateTimeOffset s_day = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly EventLog _events = new(new NoEventTable(), TimeProvider.System);
    private readonly FakeStore _store = new();
    private readonly FakeLedger _ledger = new();
    private readonly Dictionary<Digest, IReadOnlyList<ImageUse>> _uses = [];
    private readonly ImageService _images;

    public DiskBudgetTests()
    {
        _images = new ImageService(_store, _ledger, _events, new EngineMetrics(TimeProvider.System), TimeProvider.System, id => _uses.GetValueOrDefault(id) ?? []);
        foreach ((char id, int age) in (ReadOnlySpan<(char, int)>)[('a', 3), ('b', 5), ('c', 1), ('d', 4)])
        {
            _store.Images.Add(Make(id, s_day, []));
            _ledger.Uses[Id(id)] = s_day.AddDays(-age);
        }

        _ledger.Entries = () => [.. _store.Images.Select(image => new LedgerEntry(LedgerKind.Layer, image.Id.ToString(), 1000, 1, [image.Id]))];
    }

    public ValueTask DisposeAsync() => _events.DisposeAsync();

    [Theory]
    [InlineData(4000, "abcd")]
    [InlineData(3999, "acd")]
    [InlineData(2000, "ac")]
    [InlineData(1, "c")]
    public async Task The_longest_unused_go_first_and_the_newest_stays(long budget, string left)
    {
        await EnforceAsync(budget, s_day);
        Assert.Equal(left, Left);
    }

    [Fact]
    public async Task What_containers_were_made_of_stays()
    {
        _uses[Id('b')] = [new ImageUse("stopped", Running: false)];
        await EnforceAsync(3000, s_day);
        Assert.Equal("abc", Left);
    }

    [Fact]
    public async Task What_was_just_used_stays_for_a_moment()
    {
        foreach (Image image in _store.Images)
        {
            _ledger.Uses[image.Id] = s_day;
        }

        TimeSpan again = await EnforceAsync(1, s_day.AddSeconds(2));
        Assert.Equal(("abcd", TimeSpan.FromSeconds(10)), (Left, again));
        await EnforceAsync(1, s_day.AddSeconds(11));
        Assert.Single(_store.Images);
    }

    [Fact]
    public async Task The_event_says_why()
    {
        IAsyncEnumerable<EventMessage> events = _events.Subscribe(null, null, Filters.None, TestContext.Current.CancellationToken);
        await EnforceAsync(3000, s_day);
        List<EventMessage> seen = await events.Take(2).ToListAsync(TestContext.Current.CancellationToken);
        EventMessage deleted = Assert.Single(seen, message => message.Action == "delete");
        Assert.Equal((Id('b').ToString(), "disk-budget"), (deleted.Actor.ID, deleted.Actor.Attributes["reason"]));
    }

    private string Left => string.Concat(_store.Images.Select(image => image.Id.Hex[0]).Order());

    private async Task<TimeSpan> EnforceAsync(long budget, DateTimeOffset now)
    {
        await using DiskBudget disk = new(budget, _store, _ledger, _events, _images, new FixedTime(now), new NoLog());
        return await disk.EnforceAsync(TestContext.Current.CancellationToken);
    }

    private sealed class FixedTime(DateTimeOffset now) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => now;
    }

    private sealed class NoLog : IEngineLog
    {
        public void Write(EngineLogLevel level, string message, Exception? exception = null)
        {
        }
    }
}
