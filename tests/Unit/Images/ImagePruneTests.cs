using Slipway.Api.Disk;
using Slipway.Engine;
using Slipway.Engine.Events;
using Slipway.Engine.Images;
using Slipway.Engine.Telemetry;
using Slipway.Oci;
using Slipway.Storage.Images;
using Slipway.Storage.Ledger;
using Xunit;
using static Slipway.Tests.Unit.Images.ImageServiceTests;

namespace Slipway.Tests.Unit.Images;

/// <summary><c>docker image prune</c>.</summary>
public sealed class ImagePruneTests : IAsyncDisposable
{
    private static readonly DateTimeOffset s_day = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly EventLog _events = new(new NoEventTable(), TimeProvider.System);
    private readonly FakeStore _store = new();
    private readonly FakeLedger _ledger = new();
    private readonly Dictionary<Digest, IReadOnlyList<ImageUse>> _uses = [];
    private readonly ImageService _images;

    public ImagePruneTests()
    {
        _images = new ImageService(_store, _ledger, _events, new EngineMetrics(TimeProvider.System), TimeProvider.System, id => _uses.GetValueOrDefault(id) ?? []);
        _store.Images.AddRange(
        [
            Make('a', s_day, ["named:1"]),
            Make('b', s_day.AddDays(1), []),
            Make('c', s_day.AddDays(2), [], new Dictionary<string, string> { ["keep"] = "yes" }),
            Make('d', s_day.AddDays(3), ["used:1"]),
            Make('e', s_day.AddDays(4), []),
        ]);
        _uses[Id('d')] = [new ImageUse("c1", Running: false)];
        _uses[Id('e')] = [new ImageUse("c2", Running: false)];
        _ledger.Entries = () => [.. _store.Images.Select(image => new LedgerEntry(LedgerKind.Layer, image.Id.ToString(), 1000, 1, [image.Id]))];
    }

    public ValueTask DisposeAsync() => _events.DisposeAsync();

    [Theory]
    [InlineData("", "ade")]
    [InlineData("dangling=true", "ade")]
    [InlineData("dangling=false", "de")]
    [InlineData("label=keep", "abde")]
    [InlineData("label=keep=no", "abcde")]
    [InlineData("label!=keep", "acde")]
    [InlineData("label!=keep=no", "ade")]
    [InlineData("until=2026-01-02T12:00:00Z", "acde")]
    public async Task What_is_unused_and_asked_for_goes(string filter, string left)
    {
        ImagesPruneReport report = await _images.PruneAsync(Parse(filter), TestContext.Current.CancellationToken);
        Assert.Equal(left, string.Concat(_store.Images.Select(image => image.Id.Hex[0])));
        Assert.Equal(1000 * (5 - left.Length), report.SpaceReclaimed);
        Assert.Equal(left.Length < 5, report.ImagesDeleted is not null);
        Assert.Equal(filter.Length == 0 || filter.StartsWith("dangling", StringComparison.Ordinal) ? 1 : 0, _store.Purges);
    }

    [Theory]
    [InlineData("dangling=maybe", "invalid filter 'dangling=[maybe]'")]
    [InlineData("nope=1", "invalid filter 'nope'")]
    [InlineData("until=soon", "failed to parse value as time or duration: \"soon\"")]
    [InlineData("until=1h,until=2h", "more than one until filter specified")]
    public async Task A_filter_that_makes_no_sense_removes_nothing(string filter, string message)
    {
        EngineException refused = await Assert.ThrowsAsync<EngineException>(() => _images.PruneAsync(Parse(filter), TestContext.Current.CancellationToken));
        Assert.Equal((ErrorKind.InvalidParameter, message), (refused.Kind, refused.Message));
        Assert.Equal(5, _store.Images.Count);
    }

    [Fact]
    public async Task One_prune_runs_at_a_time()
    {
        TaskCompletionSource<IReadOnlyList<LedgerEntry>> reading = new();
        SlowLedger ledger = new(reading.Task);
        ImageService images = new(_store, ledger, _events, new EngineMetrics(TimeProvider.System), TimeProvider.System, _ => []);
        Task<ImagesPruneReport> first = images.PruneAsync(Filters.None, TestContext.Current.CancellationToken);
        EngineException refused = await Assert.ThrowsAsync<EngineException>(() => images.PruneAsync(Filters.None, TestContext.Current.CancellationToken));
        Assert.Equal((ErrorKind.Conflict, "a prune operation is already running"), (refused.Kind, refused.Message));
        reading.SetResult([]);
        await first;
        await images.PruneAsync(Filters.None, TestContext.Current.CancellationToken);
    }

    [Fact]
    public void Shared_sizes_count_layers_of_more_than_one_image()
    {
        Image Layered(char id, params (char Chain, long Size)[] layers) =>
            Make(id, s_day, []) with { Layers = [.. layers.Select(layer => new Layer(Id(layer.Chain), Id(layer.Chain), layer.Size))] };

        Image first = Layered('1', ('a', 100), ('b', 20));
        Image second = Layered('2', ('a', 100), ('c', 3));
        SharedSizes shared = new([first, second]);
        Assert.Equal((100L, 100L), (shared.Of(first), shared.Of(second)));
        Assert.Equal(0, new SharedSizes([first]).Of(first));
    }

    /// <summary>As the docker CLI splits <c>--filter</c>: <c>label!=x</c> is the key <c>label!</c>.</summary>
    private static Filters Parse(string text) => new(text
        .Split(',', StringSplitOptions.RemoveEmptyEntries)
        .Select(part => part.Split('=', 2))
        .GroupBy(part => part[0])
        .ToDictionary(group => group.Key, group => (IReadOnlyList<string>)[.. group.Select(part => part[1])]));

    private sealed class SlowLedger(Task<IReadOnlyList<LedgerEntry>> entries) : IDiskLedger
    {
        public Task<IReadOnlyList<LedgerEntry>> ReadAsync(CancellationToken cancellationToken) => entries;

        public void Touch(Digest imageId)
        {
        }

        public DateTimeOffset? LastUsed(Digest imageId) => null;
    }
}
