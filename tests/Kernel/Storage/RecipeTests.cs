using System.Security.Cryptography;
using Slipway.Kernel.Compression;
using Slipway.Oci;
using Slipway.Oci.Tar;
using Slipway.Storage;
using Slipway.Storage.Images;
using Xunit;

namespace Slipway.Tests.Kernel.Storage;

/// <summary>A layer is kept unpacked alone; its tar is made again, byte for byte.</summary>
public sealed class RecipeTests : IAsyncLifetime
{
    private TemporaryDataRoot _temporary = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _temporary = await TemporaryDataRoot.CreateAsync();

    public async ValueTask DisposeAsync() => await _temporary.DisposeAsync();

    [Fact]
    public async Task The_content_of_a_file_that_a_later_entry_replaces_is_not_lost() =>
        await AssertMadeAgainAsync(new TarBuilder().File("f", "first").File("g", "between").File("f", "second, which stays").ToArray());

    [Fact]
    public async Task Nor_is_a_directory_that_becomes_a_file_and_a_directory_again() =>
        await AssertMadeAgainAsync(new TarBuilder()
            .Folder("d").File("d/a", "one").Folder("d/e").File("d/e/b", "two").File("d", "a file now").File("d2", "x").Symlink("d2", "d")
            .Link("hard", "d").File("d", "another").Folder("d").File("d/a", "three").ToArray());

    [Fact]
    public async Task Files_reached_through_a_link_that_changes_afterwards_are_found() =>
        await AssertMadeAgainAsync(new TarBuilder()
            .Folder("usr").Folder("usr/bin").Symlink("bin", "usr/bin").File("bin/sh", "shell").Folder("other").Symlink("bin", "other").File("bin/ls", "list")
            .Symlink("abs", "/usr/bin").File("abs/cat", "meow").ToArray());

    [Fact]
    public async Task Whiteouts_opaque_marks_links_devices_and_odd_names()
    {
        var tar = new TarBuilder().Folder("d").File("d/.wh.gone").File("d/.wh..wh..opq").File(".wh..wh.plnk/x", "metadata of aufs").File("f", "content").Link("l", "f").Link("f", "f")
            .Add(new TarEntry { Name = [0xff, 0xfe, (byte)'x'], Mode = 0x1a4, Size = 3 }, "abc")
            .Add(new TarEntry { Name = TarBuilder.Bytes(new string('n', 200)), Mode = 0x1a4, Size = 3, ModificationTime = new TarTime(-5, 250_000_000) }, "abc")
            .Add(new TarEntry { Name = "null"u8.ToArray(), Type = TarEntryType.CharacterDevice, DeviceMajor = 1, DeviceMinor = 3 })
            .Add(new TarEntry { Name = "x"u8.ToArray(), Mode = 0x9ed, Uid = 1000, Gid = 4_000_000, Size = 1, Xattrs = [new TarXattr("user.a"u8.ToArray(), [0, 1, 255])] }, "y");
        await AssertMadeAgainAsync(tar.ToArray());
    }

    [Fact]
    public async Task What_follows_the_last_entry()
    {
        var tar = new TarBuilder().File("f", "content").ToArray();
        await AssertMadeAgainAsync([.. tar, .. new byte[100_000]]);
        await AssertMadeAgainAsync([.. tar, .. RandomNumberGenerator.GetBytes(70_001)]);
        await AssertMadeAgainAsync(tar[..^1024]);
        await AssertMadeAgainAsync(new byte[1024]);
        await AssertMadeAgainAsync([]);
    }

    [Fact]
    public async Task Global_headers_and_sparse_files()
    {
        var plain = new TarBuilder().File("f", "content").ToArray();
        var global = new byte[1024];
        "pax_global_header"u8.CopyTo(global);
        "0000666\0"u8.CopyTo(global.AsSpan(100));
        "00000000017 "u8.CopyTo(global.AsSpan(124));
        global[156] = (byte)'g';
        "15 comment=abcd"u8.CopyTo(global.AsSpan(512));
        global[526] = (byte)'\n';
        Seal(global);
        await AssertMadeAgainAsync([.. global, .. plain]);

        // GNU's old form: a map of two segments in the header, the second after a hole.
        var sparse = new byte[512 + 1024];
        "hole"u8.CopyTo(sparse);
        "0000644\0"u8.CopyTo(sparse.AsSpan(100));
        "00000002000\0"u8.CopyTo(sparse.AsSpan(124));
        sparse[156] = (byte)'S';
        "ustar  \0"u8.CopyTo(sparse.AsSpan(257));
        "00000000000\000000001000\000004000000\000000001000\0"u8.CopyTo(sparse.AsSpan(386));
        "00004001000\0"u8.CopyTo(sparse.AsSpan(483));
        Seal(sparse);
        RandomNumberGenerator.Fill(sparse.AsSpan(512));
        await AssertMadeAgainAsync([.. sparse, .. plain]);
    }

    [Fact]
    public async Task A_layer_whose_files_were_changed_is_an_error_and_not_another_tar()
    {
        var image = await LoadAsync(new TarBuilder().File("f", "content").ToArray());
        await File.WriteAllTextAsync(Path.Combine(_temporary.Path, "layers", image.Layers[0].ChainId.Hex, "diff", "f"), "CONTENT", Cancellation);
        using var output = new MemoryStream();
        var error = await Assert.ThrowsAsync<StorageException>(() => _temporary.Root.Images.SaveAsync(["x:1"], null, output, Cancellation));
        Assert.Equal($"layer {image.Layers[0].ChainId} is damaged: its files no longer yield {image.Layers[0].DiffId}", error.Message);
    }

    [Fact]
    public async Task A_layer_that_links_to_a_file_of_the_layer_below_is_unpacked_on_top_of_it()
    {
        byte[] lower = new TarBuilder().Folder("a").File("a/f", "below").ToArray(), upper = new TarBuilder().File("g", "own").Link("h", "a/f").ToArray();
        var image = (await _temporary.Root.Images.LoadAsync(new MemoryStream(ImageBuilder.Archive("x:1", lower, upper)), null, null, Cancellation))[0].Image;
        Assert.Equal("below", await File.ReadAllTextAsync(Path.Combine(_temporary.Path, "layers", image.Layers[1].ChainId.Hex, "diff", "h"), Cancellation));
        await AssertSavedAsync(upper);
    }

    /// <summary>
    /// Few names and many entries, so that entries replace, link and hide each other in every way: what unpacks at all is made again.
    /// </summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task Random_layers_are_made_again(int seed)
    {
        var random = new Random(seed);
        var made = 0;
        for (var run = 0; run < 60; run++)
        {
            var tar = RandomTar(random);
            Image image;
            try
            {
                image = await LoadAsync(tar);
            }
            catch (StorageException error) when (error.Kind == StorageErrorKind.InvalidParameter)
            {
                continue;
            }

            made++;
            await AssertSavedAsync(tar);
            await _temporary.Root.Images.RemoveAsync(image.Id.ToString(), new RemoveOptions { Force = true, UsedBy = _ => [] }, Cancellation);
            Assert.Empty(_temporary.Contents());
        }

        Assert.InRange(made, 4, 60);
    }

    public static TheoryData<string> SampleLayers() =>
        Samples.Directory is null ? [""] : [.. Directory.GetFiles(Samples.Path("layers"), "*.tar*", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(Samples.Path(""), file)).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(SampleLayers))]
    public async Task Layers_of_others_are_made_again_or_refused(string sample)
    {
        await using var file = Samples.Open(sample);
        using var tar = new MemoryStream();
        using (var plain = Decompression.Open(file, limits: null))
        {
            await plain.CopyToAsync(tar, Cancellation);
        }

        try
        {
            await AssertMadeAgainAsync(tar.ToArray());
        }
        catch (StorageException error) when (error.Kind == StorageErrorKind.InvalidParameter)
        {
            Assert.Empty(_temporary.Contents());
        }
    }

    private static byte[] RandomTar(Random random)
    {
        string[] names = ["a", "b", "a/b", "a/c", "b/a", "a/b/c", "c", "c/d"];
        var tar = new TarBuilder();
        for (var i = random.Next(1, 25); i > 0; i--)
        {
            string name = names[random.Next(names.Length)], other = names[random.Next(names.Length)];
            switch (random.Next(10))
            {
                case 0:
                    tar.Symlink(name, random.Next(2) == 0 ? "/" + other : other);
                    break;
                case 1:
                    tar.Link(name, other);
                    break;
                case 2 or 3:
                    tar.Folder(name, (uint)random.Next(0x1000));
                    break;
                case 4:
                    tar.File(name.Insert(name.LastIndexOf('/') + 1, ".wh."));
                    break;
                case 5:
                    tar.File(name + "/.wh..wh..opq");
                    break;
                default:
                    var content = new byte[random.Next(3) == 0 ? 0 : random.Next(3000)];
                    random.NextBytes(content);
                    tar.Add(new TarEntry { Name = TarBuilder.Bytes(name), Mode = (uint)random.Next(0x1000), Uid = random.Next(3), Size = content.Length }, content);
                    break;
            }
        }

        return [.. tar.ToArray(), .. new byte[random.Next(3) * 700]];
    }

    [Fact]
    public async Task The_same_layer_twice_in_one_image()
    {
        var tar = new TarBuilder().File("f", "content").ToArray();
        var image = (await _temporary.Root.Images.LoadAsync(new MemoryStream(ImageBuilder.Archive("x:1", tar, tar)), null, null, Cancellation))[0].Image;
        Assert.Equal(2, image.ChainIds.Distinct().Count());
        await AssertSavedAsync(tar);
    }

    private async Task AssertMadeAgainAsync(byte[] tar)
    {
        await LoadAsync(tar);
        Assert.DoesNotContain(Directory.GetFiles(Path.Combine(_temporary.Path, "blobs/sha256")), file => Path.GetFileName(file) == Digest.Of(tar).Hex);
        await AssertSavedAsync(tar);
    }

    private async Task<Image> LoadAsync(byte[] tar) =>
        (await _temporary.Root.Images.LoadAsync(new MemoryStream(ImageBuilder.Archive("x:1", tar)), null, null, Cancellation))[0].Image;

    private async Task AssertSavedAsync(byte[] tar)
    {
        using var output = new MemoryStream();
        await _temporary.Root.Images.SaveAsync(["x:1"], null, output, Cancellation);
        output.Position = 0;
        var reader = new TarReader(output);
        while (reader.Next() is { } entry)
        {
            if (entry.DisplayName == $"blobs/sha256/{Digest.Of(tar).Hex}")
            {
                var saved = new byte[entry.Size];
                for (var length = 0; length < saved.Length;)
                {
                    length += reader.Read(saved.AsSpan(length));
                }

                Assert.Equal(tar, saved);
                return;
            }
        }

        Assert.Fail("the archive does not hold the layer");
    }

    /// <summary>Fills in the sum of a header's bytes.</summary>
    private static void Seal(byte[] header)
    {
        header.AsSpan(148, 8).Fill((byte)' ');
        var sum = 0;
        foreach (var value in header.AsSpan(0, 512))
        {
            sum += value;
        }

        System.Text.Encoding.ASCII.GetBytes(Convert.ToString(sum, 8).PadLeft(6, '0') + "\0 ").CopyTo(header.AsSpan(148));
    }
}
