using System.Security.Cryptography;
using Slipway.Kernel.Compression;
using Slipway.Oci;
using Slipway.Oci.Tar;
using Slipway.Storage.Content;
using Slipway.Storage.Layers;
using Slipway.Storage.Threading;

namespace Slipway.Storage.Images;

/// <summary>
/// Reads the files of an archive one by one. What looks like a layer is unpacked at once, on a thread of its own, while the next file is
/// read; a layer that is not compressed is stored in no other form.
/// </summary>
internal sealed class ArchiveFileReader(
    ContentStore content, LayerStore layers, UnpackLimits limits, IProgress<ImageProgress>? progress, CancellationToken cancellationToken)
{
    /// <summary>Unpackers at work at once.</summary>
    private static readonly int Parallelism = Math.Clamp(Environment.ProcessorCount, 2, 8);

    private const string LoadingLayer = "Loading layer";
    private const long ProgressStep = 512 << 10;

    private readonly object _gate = new();
    private readonly byte[] _buffer = new byte[Conveyor.BufferSize];
    private int _atWork;

    /// <param name="key">The file's cleaned name.</param>
    /// <param name="size">Bytes of the file.</param>
    public ArchiveFile Read(TarReader archive, string key, long size)
    {
        var id = ShortName(key);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var length = Fill(archive, _buffer);
        var format = Decompression.Detect(_buffer.AsSpan(0, length));
        var isTar = TarReader.IsHeader(_buffer.AsSpan(0, length));
        var layer = isTar || format is CompressionFormat.Gzip or CompressionFormat.Zstd ? Begin(isTar ? null : limits.Expansion) : null;
        var blob = isTar ? null : content.Create();
        try
        {
            var total = Copy(archive, length, hash, layer, blob, count =>
            {
                if (id is not null && layer is not null)
                {
                    progress?.Report(new ImageProgress(id, LoadingLayer, count, size));
                }
            });
            var digest = Digest.FromHash(hash.GetHashAndReset());
            if (layer is not null)
            {
                layer.End(digest);
                progress?.Report(new ImageProgress(digest.Short, LoadingLayer, total, total));
            }

            return new ArchiveFile(digest, total, blob, layer);
        }
        catch
        {
            layer?.Dispose();
            blob?.Dispose();
            throw;
        }
    }

    private SpeculativeLayer Begin(ExpansionLimits? expansion)
    {
        lock (_gate)
        {
            while (_atWork == Parallelism)
            {
                Monitor.Wait(_gate);
            }

            _atWork++;
        }

        try
        {
            return new SpeculativeLayer(layers, expansion, Ended, cancellationToken);
        }
        catch
        {
            Ended();
            throw;
        }
    }

    private void Ended()
    {
        lock (_gate)
        {
            _atWork--;
            Monitor.Pulse(_gate);
        }
    }

    private long Copy(TarReader archive, int length, IncrementalHash hash, SpeculativeLayer? layer, BlobWriter? blob, Action<long> report)
    {
        long total = 0, reported = 0;
        while (length > 0)
        {
            cancellationToken.ThrowIfCancellationRequested();
            hash.AppendData(_buffer, 0, length);
            blob?.Write(_buffer.AsSpan(0, length));
            if (layer?.Take() is { } next)
            {
                _buffer.AsSpan(0, length).CopyTo(next);
                layer.Feed(next, length);
            }

            total += length;
            if (total - reported >= ProgressStep)
            {
                reported = total;
                report(total);
            }

            length = Fill(archive, _buffer);
        }

        return total;
    }

    /// <summary>A blob's name tells its digest beforehand, and with it what progress is reported under.</summary>
    private static string? ShortName(string key) =>
        key.StartsWith(ImageArchive.BlobPrefix, StringComparison.Ordinal) && Digest.TryParse($"{Digest.Sha256}:{key[ImageArchive.BlobPrefix.Length..]}", out var digest) ? digest.Short : null;

    private static int Fill(TarReader archive, byte[] buffer)
    {
        var length = 0;
        while (length < buffer.Length && archive.Read(buffer.AsSpan(length)) is > 0 and var count)
        {
            length += count;
        }

        return length;
    }
}
