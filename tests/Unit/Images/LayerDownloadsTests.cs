using Slipway.Engine.Images.Progress;
using Slipway.Engine.Images.Pull;
using Slipway.Oci;
using Slipway.Registry.Distribution;
using Slipway.Storage.Images;
using Xunit;

namespace Slipway.Tests.Unit.Images;

public sealed class LayerDownloadsTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static readonly Digest[] s_diffIds = [.. Enumerable.Range(0, 40).Select(i => Digest.Of([(byte)i]))];

    private static readonly Descriptor[] s_blobs = [.. Enumerable.Range(100, 40).Select(i => new Descriptor { Digest = Digest.Of([(byte)i]), Size = 1 })];

    [Fact]
    public async Task No_more_than_allowed_are_fetched_at_once_and_the_lower_first()
    {
        FakeIngest ingest = new();
        await RunAsync(ingest, 40, maxDownloads: 3);

        Assert.Equal(40, ingest.Added.Count);
        Assert.InRange(ingest.MostAtOnce, 2, 3);
        Assert.Equal(s_diffIds, ingest.Begun);
    }

    [Fact]
    public async Task Layers_that_wait_for_the_one_below_keep_no_slot()
    {
        // The lowest layer is the slowest: all others are read beside it, by the slot it leaves.
        FakeIngest ingest = new() { Slow = s_diffIds[0], WaitForBelow = true };
        await RunAsync(ingest, 10, maxDownloads: 2);

        Assert.Equal(s_diffIds[..10], ingest.Added);
        Assert.Equal(9, ingest.ReadBeforeSlow);
    }

    [Fact]
    public async Task What_is_here_is_not_fetched()
    {
        FakeIngest ingest = new();
        ImageConfig config = Config(3);
        ingest.Here.Add(config.ChainIds.ElementAt(1));
        await RunAsync(ingest, 3, maxDownloads: 3);

        Assert.Equal([s_diffIds[0], s_diffIds[2]], ingest.Begun);
    }

    [Fact]
    public async Task The_first_failure_is_told_and_ends_the_others()
    {
        FakeIngest ingest = new() { Failing = s_diffIds[5], Slow = s_diffIds[4] };

        InvalidDataException error = await Assert.ThrowsAsync<InvalidDataException>(() => RunAsync(ingest, 40, maxDownloads: 3));
        Assert.Equal("bad layer", error.Message);
        Assert.InRange(ingest.Begun.Count, 6, 12);
        Assert.Equal(0, ingest.UnderWay);
    }

    private static ImageConfig Config(int count) => new() { RootFs = new RootFilesystem { DiffIds = s_diffIds[..count] } };

    private static Task RunAsync(FakeIngest ingest, int count, int maxDownloads) => TransferProgress.RunAsync(
        _ => ValueTask.CompletedTask,
        TimeProvider.System,
        (progress, end) => new LayerDownloads(ingest, new NoRepository(), peers: null, maxDownloads, progress).RunAsync(Config(count), s_blobs, end),
        Cancellation).WaitAsync(TimeSpan.FromSeconds(60), Cancellation);

    /// <summary>Adds layers after a moment, with the reports of the store.</summary>
    private sealed class FakeIngest : IImageIngest
    {
        private readonly System.Collections.Concurrent.ConcurrentDictionary<Digest, TaskCompletionSource> _done = [];
        private int _fetching;
        private int _read;

        public HashSet<Digest> Here { get; } = [];

        public List<Digest> Begun { get; } = [];

        public List<Digest> Added { get; } = [];

        public int MostAtOnce { get; private set; }

        public int UnderWay { get; private set; }

        public int ReadBeforeSlow { get; private set; }

        public Digest Failing { get; init; }

        public Digest Slow { get; init; }

        /// <summary>As the store: a layer is complete only after the one below it.</summary>
        public bool WaitForBelow { get; init; }

        public bool TryHold(Digest chainId) => Here.Contains(chainId);

        public async Task<Layer> AddLayerAsync(
            Digest parent, Digest diffId, Descriptor blob, Func<CancellationToken, ValueTask<Stream>> open, IProgress<LayerProgress>? progress, CancellationToken cancellationToken)
        {
            Digest chainId = parent.IsNone ? diffId : Digest.Of(System.Text.Encoding.ASCII.GetBytes($"{parent} {diffId}"));
            lock (Begun)
            {
                _done.TryAdd(chainId, new TaskCompletionSource());
                Begun.Add(diffId);
                UnderWay++;
                MostAtOnce = Math.Max(MostAtOnce, ++_fetching);
            }

            try
            {
                await Task.Delay(diffId == Slow ? 300 : 5, cancellationToken);
                if (diffId == Failing)
                {
                    throw new InvalidDataException("bad layer");
                }

                lock (Begun)
                {
                    _fetching--;
                    _read++;
                    ReadBeforeSlow = diffId == Slow ? _read - 1 : ReadBeforeSlow;
                }

                progress!.Report(new LayerProgress(LayerPhase.Downloaded, 1, 1));
                if (WaitForBelow && !parent.IsNone)
                {
                    await _done[parent].Task.WaitAsync(cancellationToken);
                }

                lock (Begun)
                {
                    Added.Add(diffId);
                }

                _done[chainId].SetResult();
                return new Layer(chainId, diffId, 1);
            }
            finally
            {
                lock (Begun)
                {
                    UnderWay--;
                }
            }
        }

        public ImageConfig Check(IngestedImage image) => throw new NotSupportedException();

        public Task<Layer> AddTarAsync(Digest parent, Stream tar, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task<Layer> AddTarAsync(Digest parent, Action<Stream, CancellationToken> write, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task<Image> CommitAsync(IngestedImage image, CancellationToken cancellationToken) => throw new NotSupportedException();

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }

    private sealed class NoRepository : IRemoteRepository
    {
        public Reference Name => Reference.Parse("reg.example.com/x");

        public Task<Descriptor> ResolveAsync(string tagOrDigest, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task<RemoteManifest> GetManifestAsync(string tagOrDigest, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task<Stream> OpenBlobAsync(Descriptor blob, long offset, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task<bool> HasBlobAsync(Digest digest, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task<BlobPush> PushBlobAsync(
            Descriptor blob, IReadOnlyList<string> mountFrom, Func<CancellationToken, ValueTask<Stream>> open, IProgress<long>? sent, CancellationToken cancellationToken) =>
            throw new NotSupportedException();

        public Task PushManifestAsync(string tagOrDigest, RemoteManifest manifest, CancellationToken cancellationToken) => throw new NotSupportedException();

        public IAsyncEnumerable<string> ListTagsAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task<IReadOnlyList<Descriptor>> ListReferrersAsync(Digest subject, string? artifactType, CancellationToken cancellationToken) => throw new NotSupportedException();

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
