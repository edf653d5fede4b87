using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Slipway.Engine.Images.Progress;
using Slipway.Engine.Images.Pull;
using Slipway.Engine.Images.Sharing;
using Slipway.Oci;
using Slipway.Registry.Distribution;
using Slipway.Registry.Peers;
using Slipway.Storage.Images;
using Slipway.Tests.Kernel.Storage;
using Slipway.Tests.Unit.Registry.Distribution;
using Slipway.Tests.Unit.Registry.Peers;
using Xunit;

namespace Slipway.Tests.Kernel.Peers;

/// <summary>Two engines with stores of their own: the second takes layers from the first, and the rest from the registry.</summary>
public sealed class SharedLayerTests : IAsyncLifetime
{
    private readonly PeerAuthority _authority = new();
    private readonly List<IAsyncDisposable> _opened = [];
    private readonly DistributionClient _client = new(new RegistryConfiguration());
    private FakeRegistry _registry = null!;
    private TemporaryDataRoot _first = null!;
    private TemporaryDataRoot _second = null!;
    private IReadOnlyList<Descriptor> _layers = [];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private IEnumerable<string> FetchedLayers => _registry.Lines.Where(line => _layers.Any(layer => line == $"GET /v2/app/one/blobs/{layer.Digest}"));

    public async ValueTask InitializeAsync()
    {
        _registry = await FakeRegistry.StartAsync();
        _first = await TemporaryDataRoot.CreateAsync();
        _second = await TemporaryDataRoot.CreateAsync();
        PutImage();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var item in _opened)
        {
            await item.DisposeAsync();
        }

        _client.Dispose();
        await _registry.DisposeAsync();
        await _first.DisposeAsync();
        await _second.DisposeAsync();
        _authority.Dispose();
    }

    [Fact]
    public async Task A_layer_that_a_peer_has_is_not_fetched_from_the_registry()
    {
        var before = await PullAsync(_first, null);
        Assert.Equal(3, FetchedLayers.Count());
        _registry.Requests.Clear();
        using var peers = await PeersAsync(new StoredLayers(_first.Root.Images));

        var image = await PullAsync(_second, peers);
        Assert.Equal(before.Id, image.Id);
        Assert.Equal(before.Layers, image.Layers);
        Assert.Equal(before.RepoDigests, image.RepoDigests);

        // The third is too small to ask for.
        Assert.Equal([$"GET /v2/app/one/blobs/{_layers[2].Digest}"], FetchedLayers);
        Assert.Equal(FilesOf(_first), FilesOf(_second));
    }

    [Fact]
    public async Task What_no_peer_has_comes_from_the_registry()
    {
        using var peers = await PeersAsync(new StoredLayers(_first.Root.Images));
        await PullAsync(_second, peers);
        Assert.Equal(3, FetchedLayers.Count());
    }

    [Fact]
    public async Task A_peer_that_lies_is_found_out_and_the_registry_asked()
    {
        var lies = new LyingLayers(1 << 20);
        using var peers = await PeersAsync(lies);
        await PullAsync(_second, peers);
        Assert.Equal(3, FetchedLayers.Distinct().Count());
        Assert.True(lies.Opened > 0);

        // It is not asked again.
        Assert.Null(await peers.FindAsync(Digest.Of("anything"u8), Cancellation));
        Assert.DoesNotContain(Digest.Of("anything"u8), lies.Asked);
    }

    [Fact]
    public async Task A_damaged_layer_of_a_peer_is_not_taken()
    {
        await PullAsync(_first, null);
        _registry.Requests.Clear();
        var file = Directory.EnumerateFiles(_first.Path, "file0", SearchOption.AllDirectories).Single();
        var content = await File.ReadAllBytesAsync(file, Cancellation);
        content[0] ^= 1;
        await File.WriteAllBytesAsync(file, content, Cancellation);
        using var peers = await PeersAsync(new StoredLayers(_first.Root.Images));

        await PullAsync(_second, peers);
        Assert.Contains($"GET /v2/app/one/blobs/{_layers[0].Digest}", FetchedLayers);
    }

    private async Task<LayerPeers> PeersAsync(ISharedLayers layers)
    {
        var share = await LayerShare.StartAsync(new PeerConfiguration { Listen = "127.0.0.1:0", Tls = _authority.Issue("first") }, layers, _ => { }, Cancellation);
        _opened.Add(share);
        return new LayerPeers(new PeerConfiguration { Peers = [share.EndPoint.ToString()], Tls = _authority.Issue("second") });
    }

    private async Task<Image> PullAsync(TemporaryDataRoot root, LayerPeers? peers)
    {
        await using var repository = _client.Open(_registry.Name(), RegistryAccess.Pull, null);
        Image? image = null;
        await TransferProgress.RunAsync(
            _ => ValueTask.CompletedTask,
            TimeProvider.System,
            async (told, end) =>
                (image, _) = await new ImagePull(root.Root.Images, repository, peers, PlatformPreference.Host, maxDownloads: 3, told).RunAsync(Reference.Parse($"{_registry.Host}/app/one:v1"), end),
            Cancellation);
        return image!;
    }

    /// <summary>Two layers that are worth sharing, and a small one.</summary>
    private void PutImage()
    {
        byte[][] tars = [Tar(0, 400_000), Tar(1, 300_000), Tar(2, 100)];
        _layers = [.. tars.Select(tar => _registry.AddBlob(Gzip(tar)))];
        var config = Encoding.UTF8.GetBytes(
            $$$"""{"architecture":"{{{Platform.Host.Architecture}}}","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[{{{string.Join(',', tars.Select(tar => $"\"{Digest.Of(tar)}\""))}}}]}}""");
        var manifest = new Manifest { MediaType = MediaTypes.OciManifest, Config = _registry.AddBlob(config, MediaTypes.OciConfig), Layers = _layers };
        _registry.AddManifest("app/one", "v1", JsonSerializer.SerializeToUtf8Bytes(manifest, OciJson.Default.Manifest));
    }

    private static byte[] Tar(int number, int size) => new TarBuilder().File($"file{number}", Convert.ToHexString(RandomNumberGenerator.GetBytes(size / 2))).ToArray();

    private static byte[] Gzip(byte[] content)
    {
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest))
        {
            gzip.Write(content);
        }

        return packed.ToArray();
    }

    private static SortedDictionary<string, Digest> FilesOf(TemporaryDataRoot root) => new(
        Directory.EnumerateFiles(root.Path, "file*", SearchOption.AllDirectories).ToDictionary(file => Path.GetFileName(file)!, file => Digest.Of(File.ReadAllBytes(file))));

    /// <summary>An engine that says it has every layer, and sends other bytes.</summary>
    private sealed class LyingLayers(int length) : ISharedLayers
    {
        private int _opened;

        public int Opened => _opened;

        public List<Digest> Asked { get; } = [];

        public ValueTask<SharedLayer?> FindAsync(Digest diffId, CancellationToken cancellationToken)
        {
            lock (Asked)
            {
                Asked.Add(diffId);
            }

            return ValueTask.FromResult<SharedLayer?>(new Lie(this, length));
        }

        private sealed class Lie(LyingLayers owner, int length) : SharedLayer
        {
            public override long Length => length;

            public override ValueTask<Stream> OpenAsync(CancellationToken cancellationToken)
            {
                Interlocked.Increment(ref owner._opened);
                return ValueTask.FromResult<Stream>(new MemoryStream(new byte[length]));
            }

            public override ValueTask DisposeAsync() => ValueTask.CompletedTask;
        }
    }
}
