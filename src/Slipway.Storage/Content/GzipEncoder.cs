using System.IO.Compression;

namespace Slipway.Storage.Content;

/// <summary>
/// Compresses layers that were made here, the same way each time. Another build of the runtime may bring another zlib, whose output
/// differs: so its version is part of the encoder's name, and what was recorded under another name does not count.
/// </summary>
internal static class GzipEncoder
{
    private static readonly ZLibCompressionOptions Options = new() { CompressionLevel = 5 };

    public static string Name { get; } = $"gzip-{Options.CompressionLevel}/{Environment.Version}";

    /// <summary>Blocks; for a thread of its own.</summary>
    public static void Encode(Stream tar, Stream destination, CancellationToken cancellationToken)
    {
        using var gzip = new GZipStream(destination, Options, leaveOpen: true);
        var buffer = new byte[256 << 10];
        for (var count = tar.Read(buffer); count > 0; count = tar.Read(buffer))
        {
            cancellationToken.ThrowIfCancellationRequested();
            gzip.Write(buffer, 0, count);
        }
    }
}
