using System.Diagnostics;
using System.Text.Json;
using Slipway.Oci;
using Slipway.Oci.Tar;
using Xunit;

namespace Slipway.Tests.Kernel.Storage;

/// <summary>Programs of others read what <c>save</c> writes. Needs skopeo and umoci: <c>apt-get install skopeo umoci</c>.</summary>
public sealed class InteroperabilityTests : IAsyncLifetime
{
    private readonly string _directory = Directory.CreateTempSubdirectory("slipway-storage-interop-").FullName;
    private TemporaryDataRoot _temporary = null!;
    private string _archive = "";
    private Digest _imageId;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _temporary = await TemporaryDataRoot.CreateAsync();
        byte[][] layers = [
            new TarBuilder().Folder("d").File("d/old", "x").File("f", "first").ToArray(),
            new TarBuilder().File("d/.wh.old").Add(new TarEntry { Name = "g"u8.ToArray(), Mode = 0x9ed, Uid = 5, Size = 1 }, "g").ToArray()];
        var loaded = await _temporary.Root.Images.LoadAsync(new MemoryStream(ImageBuilder.Archive("example.com/app:1", layers)), null, null, Cancellation);
        _imageId = loaded[0].Image.Id;
        _archive = Path.Combine(_directory, "image.tar");
        await using var file = File.Create(_archive);
        await _temporary.Root.Images.SaveAsync(["example.com/app:1"], null, file, Cancellation);
    }

    public async ValueTask DisposeAsync()
    {
        await _temporary.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    [Theory]
    [InlineData("docker-archive:{0}")]
    [InlineData("oci-archive:{0}:1")]
    public async Task Skopeo_reads_it(string transport)
    {
        var source = string.Format(null, transport, _archive);
        using var config = JsonDocument.Parse(await RunAsync("skopeo", "inspect", "--config", "--raw", source));
        Assert.Equal("/bin/sh", config.RootElement.GetProperty("config").GetProperty("Cmd")[0].GetString());

        // Copying reads and verifies every blob.
        await RunAsync("skopeo", "--insecure-policy", "copy", "--quiet", source, $"dir:{_directory}/copy");
        Assert.Equal(_imageId, Digest.Of(await File.ReadAllBytesAsync(Path.Combine(_directory, "copy", _imageId.Hex), Cancellation)));
    }

    [Fact]
    public async Task What_skopeo_copies_loads_again()
    {
        await RunAsync("skopeo", "--insecure-policy", "copy", "--quiet", $"docker-archive:{_archive}", $"docker-archive:{_directory}/copy.tar:example.com/copy:2");
        await using var copy = File.OpenRead(Path.Combine(_directory, "copy.tar"));
        var loaded = Assert.Single(await _temporary.Root.Images.LoadAsync(copy, null, null, Cancellation));
        Assert.Equal((_imageId, "example.com/copy:2"), (loaded.Image.Id, loaded.Name));
    }

    [Fact]
    public async Task Umoci_unpacks_it()
    {
        var layout = Path.Combine(_directory, "layout");
        await System.Formats.Tar.TarFile.ExtractToDirectoryAsync(_archive, Directory.CreateDirectory(layout).FullName, overwriteFiles: false, Cancellation);
        await RunAsync("umoci", "unpack", "--image", $"{layout}:1", Path.Combine(_directory, "bundle"));
        var rootfs = Path.Combine(_directory, "bundle", "rootfs");
        Assert.Equal("first", await File.ReadAllTextAsync(Path.Combine(rootfs, "f"), Cancellation));
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(rootfs, "d")));
        Assert.True(File.GetUnixFileMode(Path.Combine(rootfs, "g")).HasFlag(UnixFileMode.SetUser));
    }

    private static async Task<string> RunAsync(string program, params string[] arguments)
    {
        Assert.True(
            Environment.GetEnvironmentVariable("PATH")!.Split(':').Any(directory => File.Exists(Path.Combine(directory, program))),
            $"{program} is missing: apt-get install {program}");
        using var process = System.Diagnostics.Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var error = process.StandardError.ReadToEndAsync(Cancellation);
        var output = await process.StandardOutput.ReadToEndAsync(Cancellation);
        await process.WaitForExitAsync(Cancellation);
        Assert.True(process.ExitCode == 0, $"{program}: {await error}");
        return output;
    }
}
