using System.Formats.Tar;
using System.IO.Compression;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>Broken and hostile archives given to load and import: refused, nothing written outside the store, nothing left.</summary>
[Collection(nameof(Alone))]
public sealed class BadArchiveTests(SharedEngine engine) : EngineTest(engine)
{
    // The process id keeps test runs of several checkouts apart.
    private static readonly string EscapedName = $"slipway-escaped{Environment.ProcessId}";
    private static readonly string KeptName = $"slipway-kept{Environment.ProcessId}";
    private static readonly string Outside = "/tmp/" + EscapedName;
    private static readonly string Kept = "/tmp/" + KeptName;

    private Task<CliResult> Load(byte[] archive) => Docker.RunWith(new MemoryStream(archive), "load");

    private Task<CliResult> Import(byte[] archive, string image) => Docker.RunWith(new MemoryStream(archive), "import", "-", image);

    private async Task Refused(byte[] archive)
    {
        var before = (await Docker.Run("images", "-aq")).Ok().Lines.Order();
        Assert.NotEqual(0, (await Load(archive)).ExitCode);
        Assert.Equal(before, (await Docker.Run("images", "-aq")).Ok().Lines.Order());
    }

    [Fact]
    public Task Not_an_archive_at_all() => Refused("this is no tar"u8.ToArray());

    [Theory]
    [InlineData(700)]
    [InlineData(2000)]
    [InlineData(5000)]
    public async Task Truncated_archive(int length) => await Refused(Archive.Image(Image(), [Archive.Of(Archive.Bytes("a", new byte[9000]))])[..length]);

    [Fact]
    public async Task Truncated_gzip()
    {
        var packed = new MemoryStream();
        await using (var gzip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true))
        {
            await gzip.WriteAsync(Archive.Image(Image(), [Archive.Of(Archive.Bytes("a", new byte[9000]))]), Cancellation);
        }
        await Refused(packed.ToArray()[..^30]);
    }

    [Fact]
    public Task Layer_with_another_digest() => Refused(Archive.Image(Image(), [Archive.Of(Archive.Text("a", "1"))], wrongDiffId: true));

    [Fact]
    public Task More_layers_than_digests() => Refused(Archive.Image(Image(), [Archive.Of(Archive.Text("a", "1"))], config => config["rootfs"]!["diff_ids"]!.AsArray().Clear()));

    [Fact]
    public Task Manifest_that_names_a_missing_layer() =>
        Refused(Archive.Of(Archive.Text("config.json", "{}"), Archive.Text("manifest.json", """[{"Config":"config.json","RepoTags":["x:1"],"Layers":["nosuch/layer.tar"]}]""")));

    [Theory]
    [InlineData("null")]
    [InlineData("{")]
    [InlineData("[{\"Config\":\"../../../etc/passwd\",\"RepoTags\":[\"x:1\"],\"Layers\":[]}]")]
    [InlineData("[{\"Config\":\"/etc/passwd\",\"RepoTags\":[\"x:1\"],\"Layers\":[]}]")]
    public Task Bad_manifest(string manifest) => Refused(Archive.Of(Archive.Text("manifest.json", manifest)));

    [Fact]
    public Task Manifest_through_a_link_out_of_the_archive() =>
        Refused(Archive.Of(Archive.Link("config.json", "/etc/passwd"), Archive.Text("manifest.json", """[{"Config":"config.json","RepoTags":["x:1"],"Layers":[]}]""")));

    public static TheoryData<string, TarEntry[]> Escapes() => new()
    {
        { "parent", [Archive.Text("../../../../../../../../.." + Outside, "x")] },
        { "absolute", [Archive.Text(Outside, "x")] },
        { "through a link", [Archive.Link("link", "/tmp"), Archive.Text("link/" + EscapedName, "x")] },
        { "through a relative link", [Archive.Link("link", "../../../../../../../../../../tmp"), Archive.Text("link/" + EscapedName, "x")] },
        { "hard link out", [Archive.HardLink("hard", "/etc/hostname"), Archive.Text("hard", "overwritten")] },
        { "hard link to the parent", [Archive.HardLink("hard", "../../../../../../../../../../etc/hostname"), Archive.Text("hard", "overwritten")] },
        { "whiteout of the parent", [Archive.Text("../../../../../../../../../../tmp/.wh." + KeptName, "")] },
        { "whiteout named dot-dot", [Archive.Folder("d/"), Archive.Text("d/.wh...", "")] },
        { "mode through a link", [Archive.Link("link", "/etc/hostname"), new PaxTarEntry(TarEntryType.RegularFile, "link") { Mode = (UnixFileMode)0x1FF }] },
    };

    [Theory]
    [MemberData(nameof(Escapes))]
    public async Task Entry_that_points_outside_writes_nothing_there(string kind, TarEntry[] entries)
    {
        Assert.NotEmpty(kind);
        File.Delete(Outside);
        await File.WriteAllTextAsync(Kept, "kept", Cancellation);
        var hostname = (await File.ReadAllTextAsync("/etc/hostname", Cancellation), File.GetUnixFileMode("/etc/hostname"));
        // Refused, or kept inside the layer: both are safe.
        await Import(Archive.Of(entries), Image());
        Assert.False(File.Exists(Outside));
        Assert.True(File.Exists(Kept));
        Assert.Equal(hostname, (await File.ReadAllTextAsync("/etc/hostname", Cancellation), File.GetUnixFileMode("/etc/hostname")));
        File.Delete(Kept);
    }

    [Fact]
    public async Task Device_nodes_and_fifos_unpack_as_what_they_are()
    {
        var image = Image();
        var device = new PaxTarEntry(TarEntryType.CharacterDevice, "null") { DeviceMajor = 1, DeviceMinor = 3 };
        (await Import(Archive.Of(device, new PaxTarEntry(TarEntryType.Fifo, "fifo")), image)).Ok();
    }

    [Fact]
    public async Task Layer_that_grows_without_bound_is_refused()
    {
        if (!IsSlipway)
        {
            Assert.Skip("dockerd unpacks it until the disk is full");
        }
        // One gzip member of 2 GiB of zeros in 9 MB.
        var bomb = Path.Combine(Folder(), "bomb.tar.gz");
        (await Programs.Run("sh", ["-c", $"truncate -s 2G {bomb}.raw; tar -C {Path.GetDirectoryName(bomb)} -cf - bomb.tar.gz.raw | gzip -1 > {bomb}; rm {bomb}.raw"], limit: Programs.Limit(180))).Ok();
        await using var stream = File.OpenRead(bomb);
        Assert.NotEqual(0, (await Docker.RunWith(stream, "import", "-", Image())).ExitCode);
        await Docker.Ok("ps");
    }

    [Fact]
    public async Task Million_entries_are_refused_or_unpacked_in_bounded_time()
    {
        if (!IsSlipway)
        {
            Assert.Skip("costs the peer minutes and proves nothing about it");
        }
        var file = Path.Combine(Folder(), "million.tar");
        await using (var writer = new TarWriter(File.Create(file), TarEntryFormat.Ustar))
        {
            for (var i = 0; i < 1_000_000; i++)
            {
                writer.WriteEntry(new UstarTarEntry(TarEntryType.RegularFile, $"d{i / 1000}/f{i}"));
            }
        }
        await Docker.RunFor(Programs.Limit(240), "import", file, Image());
        await Docker.Ok("ps");
    }

    [Theory]
    [InlineData("dev")]
    [InlineData("proc")]
    [InlineData("sys")]
    public async Task CVE_2026_41579_image_whose_system_folder_is_a_link(string folder)
    {
        var image = Image();
        (await Import(Archive.Of(Archive.Link(folder, "/tmp"), Archive.Folder("tmp/")), image)).Ok();
        (await Docker.Run("run", "--rm", image, "/nosuch")).Says("");
        Assert.False(File.Exists("/tmp/null") || Directory.Exists("/tmp/pts") || Directory.Exists("/tmp/self"));
    }
}
