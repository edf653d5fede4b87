using System.Formats.Tar;
using System.Globalization;
using System.IO.Compression;
using System.Security.Cryptography;
using Slipway.Tests.Harness;
using Slipway.Tests.Harness.Registries;

namespace Slipway.Tests.Conformance.Registries;

/// <summary>An image of a gigabyte: pulled and pushed in bounded memory. Nothing runs beside it, since the memory is the whole engine's.</summary>
[Collection(nameof(Alone))]
public sealed class LargeImageTests(SharedEngine engine, DebianRegistry registry) : RegistryTest(engine, registry), IClassFixture<DebianRegistry>
{
    private const long Size = 1L << 30;

    /// <summary>Bytes of resident memory beyond what the engine had before: buffers, not layers.</summary>
    private const long MemoryLimit = 192L << 20;

    [Fact]
    public async Task A_gigabyte_goes_in_and_out()
    {
        var (repository, copy) = (Repository(), Repository("copy"));
        await Http.PutImage(repository, "1", [await Layer()]);
        var before = await Memory("VmRSS");
        (await Docker.RunFor(Programs.Limit(240), "pull", "-q", Remote(repository))).Ok();
        var size = await Docker.Ok("run", "--rm", "--network", "none", "-v", "/bin/busybox:/busybox:ro", Remote(repository), "/busybox", "stat", "-c", "%s", "/big");
        Assert.Equal(Size.ToString(CultureInfo.InvariantCulture), size);

        await Docker.Ok("tag", Remote(repository), Remote(copy));
        (await Docker.RunFor(Programs.Limit(240), "push", "-q", Remote(copy))).Ok();
        Assert.Equal(await Http.Digest(repository, "1"), await Http.Digest(copy, "1"));
        Assert.InRange(await Memory("VmHWM") - before, long.MinValue, MemoryLimit);
    }

    /// <summary>A file of numbers: compresses well, and no two kilobytes are the same.</summary>
    private static async Task<RegistryLayer> Layer()
    {
        var blob = new MemoryStream();
        using var hash = SHA256.Create();
        await using (var gzip = new GZipStream(blob, CompressionLevel.Fastest, leaveOpen: true))
        await using (var hashing = new CryptoStream(gzip, hash, CryptoStreamMode.Write, leaveOpen: true))
        await using (var tar = new TarWriter(hashing, TarEntryFormat.Pax, leaveOpen: true))
        {
            await using var content = new NumbersStream(Size);
            await tar.WriteEntryAsync(new PaxTarEntry(TarEntryType.RegularFile, "big") { DataStream = content }, Cancellation);
        }
        return new RegistryLayer([], blob.ToArray(), "application/vnd.oci.image.layer.v1.tar+gzip") { DiffId = "sha256:" + Convert.ToHexStringLower(hash.Hash!) };
    }

    /// <summary>Bytes, of the engine; 0 for one that was not started here. The peak begins anew with the first look.</summary>
    private async Task<long> Memory(string field)
    {
        if (Pid is not { } pid)
        {
            return 0;
        }
        if (field == "VmRSS")
        {
            // proc(5): 5 resets the peak resident set size.
            await File.WriteAllTextAsync($"/proc/{pid}/clear_refs", "5", Cancellation);
        }
        var line = (await File.ReadAllLinesAsync($"/proc/{pid}/status", Cancellation)).Single(line => line.StartsWith(field, StringComparison.Ordinal));
        return 1024 * long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture);
    }

    /// <summary>A stream of so many bytes, the number of its position in each eight of them.</summary>
    private sealed class NumbersStream(long length) : Stream
    {
        public override bool CanRead => true;

        public override bool CanSeek => true;

        public override bool CanWrite => false;

        public override long Length => length;

        public override long Position { get; set; }

        public override int Read(byte[] buffer, int offset, int count)
        {
            var read = (int)Math.Min(count, length - Position) & ~7;
            for (var i = 0; i < read; i += 8)
            {
                BitConverter.TryWriteBytes(buffer.AsSpan(offset + i), (Position + i) >> 10);
            }
            Position += read;
            return read;
        }

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
