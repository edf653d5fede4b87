using Slipway.Api.Images;
using Slipway.Engine;
using Slipway.Engine.Events;
using Slipway.Engine.Images;
using Slipway.Engine.Telemetry;
using Slipway.Oci;
using Slipway.Storage;
using Slipway.Storage.Images;
using Slipway.Storage.Ledger;
using Slipway.Storage.State;
using Xunit;

namespace Slipway.Tests.Unit.Images;

public sealed class ImageServiceTests : IAsyncDisposable
{
    private static readonly DateTimeOffset s_day = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly EventLog _events = new(new NoEventTable(), TimeProvider.System);
    private readonly FakeStore _store = new();
    private readonly FakeLedger _ledger = new();
    private readonly ImageService _images;

    public ImageServiceTests() => _images = new ImageService(_store, _ledger, _events, new EngineMetrics(TimeProvider.System), TimeProvider.System, _ => []);

    public ValueTask DisposeAsync() => _events.DisposeAsync();

    [Theory]
    [InlineData("reference", "alpine", "a")]
    [InlineData("reference", "alpine:3.2*", "a")]
    [InlineData("reference", "*", "ab")]
    [InlineData("reference", "reg:5000/*/tool", "c")]
    [InlineData("reference", "reg:5000/*", "")]
    [InlineData("reference", "*/*/tool:1", "c")]
    [InlineData("dangling", "true", "d")]
    [InlineData("dangling", "false", "abc")]
    [InlineData("label", "tier", "b")]
    [InlineData("label", "tier=front", "b")]
    [InlineData("label", "tier=back", "")]
    [InlineData("before", "busybox", "a")]
    [InlineData("since", "busybox", "cd")]
    [InlineData("until", "2026-01-03T00:00:00Z", "ab")]
    [InlineData("until", "1h", "abcd")]
    public void Filters_choose_as_Docker_does(string key, string value, string expected)
    {
        _store.Images.AddRange(
        [
            Make('a', s_day, ["alpine:3.20", "alpine:latest"]),
            Make('b', s_day.AddDays(1), ["busybox:latest"], labels: new Dictionary<string, string> { ["tier"] = "front" }),
            Make('c', s_day.AddDays(2), ["reg:5000/team/tool:1"]),
            Make('d', s_day.AddDays(3), []),
        ]);

        IReadOnlyList<ImageSummary> found = _images.List(false, new Filters(new Dictionary<string, IReadOnlyList<string>> { [key] = [value] }), sharedSize: false);

        Assert.Equal(expected, string.Concat(found.Select(image => image.Id["sha256:".Length])));
    }

    [Fact]
    public void A_filter_by_name_shows_the_names_it_matches()
    {
        _store.Images.Add(Make('a', s_day, ["alpine:3.20", "alpine:latest", "other:1"]));

        ImageSummary found = Assert.Single(_images.List(false, new Filters(new Dictionary<string, IReadOnlyList<string>> { ["reference"] = ["alpine:3*"] }), sharedSize: false));

        Assert.Equal(["alpine:3.20"], found.RepoTags);
    }

    [Theory]
    [InlineData("bogus", "1", ErrorKind.InvalidParameter)]
    [InlineData("dangling", "maybe", ErrorKind.InvalidParameter)]
    [InlineData("until", "soon", ErrorKind.InvalidParameter)]
    [InlineData("before", "nosuch", ErrorKind.NotFound)]
    public void Filters_that_make_no_sense_are_refused(string key, string value, ErrorKind kind) =>
        Assert.Equal(kind, Assert.Throws<EngineException>(() => _images.List(false, new Filters(new Dictionary<string, IReadOnlyList<string>> { [key] = [value] }), sharedSize: false)).Kind);

    [Fact]
    public void History_gives_sizes_to_the_steps_that_made_layers()
    {
        Image image = Make('a', s_day, ["x:1"]) with
        {
            Config = new ImageConfig
            {
                History =
                [
                    new ImageHistory { CreatedBy = "ADD rootfs", Created = "2026-01-01T00:00:00Z" },
                    new ImageHistory { CreatedBy = "CMD sh", EmptyLayer = true },
                    new ImageHistory { CreatedBy = "RUN x", Comment = "c" },
                ],
            },
            Layers = [new Layer(Id('1'), Id('1'), 100), new Layer(Id('2'), Id('2'), 20)],
        };
        _store.Images.Add(image);

        IReadOnlyList<ImageHistoryItem> history = _images.History("x:1");

        Assert.Equal([("RUN x", 20L), ("CMD sh", 0L), ("ADD rootfs", 100L)], history.Select(item => (item.CreatedBy, item.Size)));
        Assert.Equal([image.Id.ToString(), "<missing>", "<missing>"], history.Select(item => item.Id));
        Assert.Equal(["x:1"], history[0].Tags);
        Assert.Null(history[1].Tags);
        Assert.Equal(s_day.ToUnixTimeSeconds(), history[2].Created);
    }

    [Fact]
    public async Task Changes_are_published_with_the_image_s_labels()
    {
        _store.Images.Add(Make('a', s_day, ["x:1"], labels: new Dictionary<string, string> { ["l"] = "1" }));
        var events = _events.Subscribe(null, null, Filters.None, TestContext.Current.CancellationToken);

        await _images.TagAsync("x:1", "y", null, TestContext.Current.CancellationToken);
        await _images.RemoveAsync("x:1", false, true, TestContext.Current.CancellationToken);

        var seen = await events.Take(3).ToListAsync(TestContext.Current.CancellationToken);
        string id = Id('a').ToString();
        Assert.Equal([("tag", "y:latest"), ("untag", id), ("delete", id)], seen.Select(message => (message.Action, message.Actor.Attributes["name"])));
        Assert.All(seen, message => Assert.Equal(("image", id, "1"), (message.Type, message.Actor.ID, message.Actor.Attributes["l"])));
    }

    [Theory]
    [InlineData("A", "x", "must be lowercase")]
    [InlineData("a", "x y", "invalid tag format")]
    [InlineData("", "x", "invalid reference format")]
    [InlineData("a@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", null, "refusing to create a tag with a digest reference")]
    public async Task Names_that_are_none_are_refused(string repository, string? tag, string message)
    {
        EngineException refused = await Assert.ThrowsAsync<EngineException>(() => _images.TagAsync("x", repository, tag, TestContext.Current.CancellationToken));

        Assert.Equal(ErrorKind.InvalidParameter, refused.Kind);
        Assert.Contains(message, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Loading_reports_progress_and_then_what_was_loaded()
    {
        List<ProgressMessage> loud = [];
        List<ProgressMessage> quiet = [];
        await _images.LoadAsync(Stream.Null, null, false, Collect(loud), TestContext.Current.CancellationToken);
        await _images.LoadAsync(Stream.Null, null, true, Collect(quiet), TestContext.Current.CancellationToken);

        Assert.Equal(["Loading layer", null], loud.Select(message => message.Status));
        Assert.Equal((5L, 10L), (loud[0].ProgressDetail!.Current, loud[0].ProgressDetail!.Total));
        Assert.Equal(["Loaded image: x:1\n"], quiet.Select(message => message.Stream));
    }

    [Fact]
    public async Task A_client_that_is_gone_ends_a_load()
    {
        _store.LoadForever = true;

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            _images.LoadAsync(Stream.Null, null, false, _ => throw new IOException("gone"), TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Saving_an_unknown_image_fails_before_anything_is_written()
    {
        _store.Images.Add(Make('a', s_day, ["x:1"]));

        Assert.Equal(ErrorKind.NotFound, (await Assert.ThrowsAsync<EngineException>(() => _images.SaveAsync(["x:1", "nosuch"], null, TestContext.Current.CancellationToken))).Kind);
        Assert.Equal(ErrorKind.InvalidParameter, (await Assert.ThrowsAsync<EngineException>(() => _images.SaveAsync([], null, TestContext.Current.CancellationToken))).Kind);
    }

    [Theory]
    [InlineData("a*c", "abbc", true)]
    [InlineData("a*c", "ab/c", false)]
    [InlineData("*a*b*", "xxaxxbxx", true)]
    [InlineData("a?c", "abc", true)]
    [InlineData("a?c", "a/c", false)]
    [InlineData("[a-c]x", "bx", true)]
    [InlineData("[^a-c]x", "bx", false)]
    [InlineData("[^a-c]x", "dx", true)]
    [InlineData(@"\*", "*", true)]
    [InlineData(@"\*", "a", false)]
    [InlineData("[", "a", false)]
    [InlineData("[a-", "a", false)]
    [InlineData("", "", true)]
    [InlineData("", "a", false)]
    [InlineData("**", "", true)]
    public void Patterns_match_as_shells_do(string pattern, string text, bool expected) => Assert.Equal(expected, GlobPattern.IsMatch(pattern, text));

    [Fact]
    public void A_pattern_of_stars_does_not_take_for_ever() =>
        Assert.False(GlobPattern.IsMatch(string.Concat(Enumerable.Repeat("a*", 50)) + "b", new string('a', 100_000)));

    private static Func<ProgressMessage, ValueTask> Collect(List<ProgressMessage> messages) => message =>
    {
        messages.Add(message);
        return ValueTask.CompletedTask;
    };

    internal static Digest Id(char digit) => Digest.Parse("sha256:" + new string(digit, 64));

    internal static Image Make(char digit, DateTimeOffset created, string[] names, IReadOnlyDictionary<string, string>? labels = null) => new()
    {
        Id = Id(digit),
        Config = new ImageConfig { Config = new ImageRunConfig { Labels = labels } },
        Layers = [],
        RepoTags = names,
        Created = created,
    };

    internal sealed class FakeStore : IImageStore
    {
        public List<Image> Images { get; } = [];

        public int Purges { get; private set; }

        public bool LoadForever { get; set; }

        public IReadOnlyList<Image> All => [.. Images];

        public Image Get(string nameOrId) => Find(nameOrId) ?? throw new StorageException(StorageErrorKind.NotFound, $"No such image: {nameOrId}:latest");

        public Image? Find(string nameOrId) => Images.Find(image => image.Id.ToString() == nameOrId || image.RepoTags.Any(name => name == nameOrId || name == nameOrId + ":latest"));

        public Image? Find(string nameOrId, Platform platform) => Find(nameOrId);

        public IImageIngest BeginIngest() => throw new NotSupportedException();

        public Task<ImagePublication> PublishAsync(string nameOrId, Platform? platform, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task<ImagePublication> PublishLayersAsync(IReadOnlyList<Layer> layers, CancellationToken cancellationToken) => throw new NotSupportedException();

        public LayerTar? FindLayer(Digest diffId) => throw new NotSupportedException();

        public ReadOnlyMemory<byte> RawConfig(Digest imageId) => throw new NotSupportedException();

        public async Task<IReadOnlyList<LoadedImage>> LoadAsync(Stream archive, Platform? platform, IProgress<ImageProgress>? progress, CancellationToken cancellationToken)
        {
            progress?.Report(new ImageProgress("abc", "Loading layer", 5, 10));
            await Task.Delay(LoadForever ? Timeout.Infinite : 0, cancellationToken);
            return [new LoadedImage(Make('a', s_day, []), "x:1")];
        }

        public Task<Image> ImportAsync(Stream rootfs, ImportOptions options, IProgress<ImageProgress>? progress, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task SaveAsync(IReadOnlyList<string> namesOrIds, Platform? platform, Stream output, CancellationToken cancellationToken) => Task.CompletedTask;

        public Task<Image> TagAsync(string nameOrId, Reference target, CancellationToken cancellationToken) => Task.FromResult(Get(nameOrId));

        public Task PurgeAsync(CancellationToken cancellationToken)
        {
            Purges++;
            return Task.CompletedTask;
        }

        public Task<IReadOnlyList<RemovedItem>> RemoveAsync(string nameOrId, RemoveOptions options, CancellationToken cancellationToken)
        {
            Image image = Get(nameOrId);
            if (options.UsedBy(image.Id).Any(use => use.Running))
            {
                throw new StorageException(StorageErrorKind.Conflict, "in use");
            }

            Images.Remove(image);
            return Task.FromResult<IReadOnlyList<RemovedItem>>([new RemovedItem(nameOrId, null), new RemovedItem(null, image.Id.ToString()), new RemovedItem(null, "sha256:layer")]);
        }
    }

    internal sealed class NoEventTable : IEventTable
    {
        public Task AppendAsync(IReadOnlyList<StoredEvent> events, CancellationToken cancellationToken) => Task.CompletedTask;

        public Task<IReadOnlyList<byte[]>> ReadAsync(DateTimeOffset since, DateTimeOffset until, CancellationToken cancellationToken) => Task.FromResult<IReadOnlyList<byte[]>>([]);
    }
}
