using Slipway.Oci;
using Slipway.Storage.Images;
using Slipway.Storage.Ledger;
using Slipway.Storage.State;
using Xunit;

namespace Slipway.Tests.Kernel.Storage;

/// <summary>Every byte below the data root has an owner, and what has none is mended.</summary>
public sealed class DiskLedgerTests : IAsyncLifetime
{
    private static readonly string Container = new('c', 64);

    private TemporaryDataRoot _temporary = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _temporary = await TemporaryDataRoot.CreateAsync();

    public async ValueTask DisposeAsync() => await _temporary.DisposeAsync();

    [Fact]
    public async Task The_entries_add_up_to_what_du_says()
    {
        await AgreesAsync();
        var image = await LoadAsync("test:one", "shared", "one");
        await LoadAsync("test:two", "shared", "two");
        await AgreesAsync();
        using (var rootfs = _temporary.Root.Snapshots.MountRootfs(image.ChainIds, Container, readOnly: false))
        {
            // A file with two names, one with a hole, and one that is large.
            var root = $"/proc/self/fd/{rootfs.DangerousGetHandle()}";
            File.WriteAllBytes(root + "/large", new byte[1_000_000]);
            using (var sparse = File.Create(root + "/sparse"))
            {
                sparse.SetLength(1L << 30);
            }

            using var directory = new Slipway.Kernel.Files.HostPath(root).Open(Slipway.Kernel.Files.OpenFlags.Directory);
            Slipway.Kernel.Files.DirectoryEntry.CreateHardLink(directory, "large"u8, directory, "again"u8);
        }

        Directory.CreateDirectory(_temporary.Path + "/volumes/data/_data/deep");
        File.WriteAllBytes(_temporary.Path + "/volumes/data/_data/deep/f", new byte[77_777]);
        File.WriteAllBytes(_temporary.Path + "/stranger", new byte[9_999]);
        Directory.CreateDirectory(_temporary.Path + "/blobs/sha512");
        File.WriteAllBytes(_temporary.Path + "/tmp/half", new byte[5_000]);
        await AgreesAsync();
        var entries = await _temporary.Root.Ledger.ReadAsync(Cancellation);
        Assert.Equal(["data"], Ids(entries, LedgerKind.Volume));
        Assert.Equal([Container], Ids(entries, LedgerKind.Container));
        Assert.Equal(["tmp/half"], Ids(entries, LedgerKind.Temporary));
        Assert.Equal(["blobs/sha512", "stranger"], Ids(entries, LedgerKind.Other));
        Assert.InRange(Assert.Single(entries, entry => entry.Kind == LedgerKind.Container).Bytes, 1_000_000, 1_100_000);
        await _temporary.Root.Images.RemoveAsync("test:two", new RemoveOptions { UsedBy = _ => [] }, Cancellation);
        await AgreesAsync();
    }

    [Fact]
    public async Task Layers_and_blobs_name_their_images()
    {
        var one = await LoadAsync("test:one", "shared", "one");
        var two = await LoadAsync("test:two", "shared", "two");
        var entries = await _temporary.Root.Ledger.ReadAsync(Cancellation);
        var layers = entries.Where(entry => entry.Kind == LedgerKind.Layer).ToDictionary(entry => entry.Id);
        Assert.Equal(new[] { one.Id, two.Id }.Order(), layers[one.ChainIds[0].ToString()].Images.Order());
        Assert.Equal([one.Id], layers[one.ChainIds[1].ToString()].Images);
        Assert.Equal(3, layers.Count);
        Assert.All(entries.Where(entry => entry.Kind == LedgerKind.Blob), blob => Assert.NotEmpty(blob.Images));
    }

    [Fact]
    public async Task A_layer_is_measured_once_and_again_where_somebody_changed_it()
    {
        var image = await LoadAsync("test:one", "x");
        var before = await LayerBytesAsync(image);
        await _temporary.CloseAsync();
        await _temporary.OpenAsync();

        // A change that leaves the directory as it was shows that nobody measured again.
        var diff = $"{_temporary.Path}/layers/{image.ChainIds[0].Hex}/diff";
        File.AppendAllText(diff + "/file", new string('y', 100_000));
        Assert.Equal(before, await LayerBytesAsync(image));
        File.WriteAllText(diff + "/stranger", new string('y', 100_000));
        Assert.InRange(await LayerBytesAsync(image), before + 200_000, before + 220_000);
        await AgreesAsync();
    }

    [Fact]
    public async Task What_no_row_names_is_removed_at_start()
    {
        var image = await LoadAsync("test:one", "x");
        await _temporary.CloseAsync();
        var kept = _temporary.Contents();
        foreach (var path in (string[])["layers/stranger/diff", $"layers/{new string('a', 64)}/diff", "containers/no-id/upper", "blobs/sha256/..x"])
        {
            Directory.CreateDirectory($"{_temporary.Path}/{path}");
        }

        File.WriteAllText($"{_temporary.Path}/blobs/sha256/{new string('b', 64)}", "x");
        await _temporary.OpenAsync();
        Assert.Equal(kept.Order(), _temporary.Contents().Order());
        Assert.Equal(["blobs/sha256/..x", "containers/no-id", "layers/stranger"], _temporary.Root.Repair.Removed.Order());
        Assert.Equal(image.Id, _temporary.Root.Images.Get("test:one").Id);
        await _temporary.CloseAsync();
        await _temporary.OpenAsync();
        Assert.True(_temporary.Root.Repair.IsNothing);
    }

    [Fact]
    public async Task An_image_without_its_layer_goes_unless_a_container_names_it()
    {
        var lost = await LoadAsync("test:lost", "lost");
        var used = await LoadAsync("test:used", "used");
        var whole = await LoadAsync("test:whole", "whole");
        await _temporary.Root.Containers.InsertAsync(
            new ContainerRow { Id = Container, Name = "c", Created = DateTimeOffset.UnixEpoch, ImageId = used.Id.ToString(), Config = [], HostConfig = [], Networking = [], State = [] }, Cancellation);
        await _temporary.CloseAsync();
        foreach (var image in (Image[])[lost, used])
        {
            Directory.Delete($"{_temporary.Path}/layers/{image.ChainIds[0].Hex}", recursive: true);
        }

        await _temporary.OpenAsync();
        Assert.Equal([lost.Id], _temporary.Root.Repair.LostImages);
        Assert.Equal([used.Id], _temporary.Root.Repair.DamagedImages);
        Assert.Equal(new[] { used.Id, whole.Id }.Order(), _temporary.Root.Images.All.Select(image => image.Id).Order());
        await AgreesAsync();

        // What was lost can come again.
        await LoadAsync("test:lost", "lost");
        await AgreesAsync();
    }

    [Fact]
    public async Task The_time_of_the_last_use_outlives_the_engine()
    {
        var image = await LoadAsync("test:one", "x");
        var other = await LoadAsync("test:two", "y");
        await _temporary.CloseAsync();
        var time = new SettableTime { Now = new DateTimeOffset(2026, 3, 4, 5, 6, 7, TimeSpan.Zero) };
        await _temporary.OpenAsync(time);
        var first = time.Now;
        _temporary.Root.Ledger.Touch(image.Id);
        time.Now += TimeSpan.FromSeconds(30);
        _temporary.Root.Ledger.Touch(image.Id);
        _temporary.Root.Ledger.Touch(Digest.Of("gone"u8));
        Assert.Equal((time.Now, null), (_temporary.Root.Ledger.LastUsed(image.Id), _temporary.Root.Ledger.LastUsed(other.Id)));
        await _temporary.CloseAsync();

        // Within a minute only the first is written.
        await _temporary.OpenAsync(time);
        Assert.Equal(first, _temporary.Root.Ledger.LastUsed(image.Id));
        time.Now += TimeSpan.FromMinutes(2);
        _temporary.Root.Ledger.Touch(image.Id);
        await _temporary.CloseAsync();
        await _temporary.OpenAsync(time);
        Assert.Equal(time.Now, _temporary.Root.Ledger.LastUsed(image.Id));
        Assert.Null(_temporary.Root.Ledger.LastUsed(Digest.Of("gone"u8)));
        await _temporary.Root.Images.RemoveAsync(image.Id.ToString(), new RemoveOptions { UsedBy = _ => [] }, Cancellation);
        await _temporary.Root.Ledger.ReadAsync(Cancellation);
        Assert.Null(_temporary.Root.Ledger.LastUsed(image.Id));
    }

    [Fact]
    public async Task A_purge_takes_the_layers_of_ingests_that_ended_and_leaves_those_at_work()
    {
        Layer ended;
        await using (var ingest = _temporary.Root.Images.BeginIngest())
        {
            ended = await ingest.AddTarAsync(default, new TarBuilder().File("ended", "x").ToStream(), Cancellation);
        }

        await using var working = _temporary.Root.Images.BeginIngest();
        var kept = await working.AddTarAsync(default, new TarBuilder().File("working", "x").ToStream(), Cancellation);
        Assert.Equal(2, Directory.GetDirectories(_temporary.Path + "/layers").Length);
        await _temporary.Root.Images.PurgeAsync(Cancellation);
        Assert.Equal([kept.ChainId.Hex], Directory.GetDirectories(_temporary.Path + "/layers").Select(Path.GetFileName));
        Assert.False(working.TryHold(ended.ChainId));
        var config = ImageBuilder.Config(new TarBuilder().File("working", "x").ToArray());
        await working.CommitAsync(new IngestedImage { Config = config, Manifest = null, Names = [] }, Cancellation);
        await AgreesAsync();
    }

    private Task AgreesAsync() => _temporary.LedgerAgreesAsync();

    private async Task<long> LayerBytesAsync(Image image) =>
        Assert.Single(await _temporary.Root.Ledger.ReadAsync(Cancellation), entry => entry.Kind == LedgerKind.Layer && entry.Id == image.ChainIds[0].ToString()).Bytes;

    private async Task<Image> LoadAsync(string tag, params string[] layers)
    {
        var archive = ImageBuilder.Archive(tag, [.. layers.Select(content => new TarBuilder().File("file", content).ToArray())]);
        return (await _temporary.Root.Images.LoadAsync(new MemoryStream(archive), null, null, Cancellation))[0].Image;
    }

    private static IEnumerable<string> Ids(IEnumerable<LedgerEntry> entries, LedgerKind kind) => entries.Where(entry => entry.Kind == kind).Select(entry => entry.Id);

    private sealed class SettableTime : TimeProvider
    {
        public DateTimeOffset Now { get; set; }

        public override DateTimeOffset GetUtcNow() => Now;
    }
}
