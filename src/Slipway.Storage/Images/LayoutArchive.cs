using System.Text;
using System.Text.Json;
using Slipway.Oci;
using Slipway.Oci.Tar;

namespace Slipway.Storage.Images;

/// <summary>
/// Writes an image with all its compressed layers as an OCI layout in a tar (image-spec, image-layout.md). Times are zero and blobs in the order of their digests, so that the same image gives the same bytes.
/// </summary>
public static class LayoutArchive
{
    private const uint FileMode = 0x1a4; // 0644
    private const uint DirectoryMode = 0x1ed; // 0755

    /// <param name="image">What the layout's index names.</param>
    /// <param name="names">Each is an entry of that index; none: one without a name.</param>
    public static async Task WriteAsync(
        Descriptor image, IReadOnlyList<Reference> names, IReadOnlyList<ImageContent> documents, IReadOnlyList<PublishedBlob> layers, Stream output, CancellationToken cancellationToken)
    {
        var headers = new MemoryStream();
        await using var _ = headers.ConfigureAwait(false);
        var tar = new TarWriter(headers);
        tar.WriteEntry(Directory("blobs/"));
        tar.WriteEntry(Directory($"blobs/{Digest.Sha256}/"));
        foreach (var (digest, size, open) in documents.Select(document => (document.Descriptor.Digest, document.Descriptor.Size, Open: (Func<ValueTask<Stream>>)(() => ValueTask.FromResult<Stream>(new MemoryStream(document.Content.ToArray(), writable: false)))))
            .Concat(layers.Select(layer => (layer.Descriptor.Digest, layer.Descriptor.Size, Open: (Func<ValueTask<Stream>>)(() => layer.OpenAsync(cancellationToken)))))
            .DistinctBy(blob => blob.Digest).OrderBy(blob => blob.Digest))
        {
            tar.WriteEntry(File(ImageArchive.BlobPrefix + digest.Hex) with { Size = size });
            await SendAsync(headers, output, cancellationToken).ConfigureAwait(false);
            var content = await open().ConfigureAwait(false);
            await using (content.ConfigureAwait(false))
            {
                await content.CopyToAsync(output, cancellationToken).ConfigureAwait(false);
            }

            tar.DataWritten();
        }

        tar.WriteEntry(File(OciLayout.IndexName), JsonSerializer.SerializeToUtf8Bytes(Index(image, names), OciJson.Default.ImageIndex));
        tar.WriteEntry(File(OciLayout.MarkerName), JsonSerializer.SerializeToUtf8Bytes(new OciLayoutMarker(), ArchiveJson.Default.OciLayoutMarker));
        tar.Finish();
        await SendAsync(headers, output, cancellationToken).ConfigureAwait(false);
    }

    private static ImageIndex Index(Descriptor image, IReadOnlyList<Reference> names) => new()
    {
        MediaType = MediaTypes.OciIndex,
        Manifests = names.Count == 0 ? [image] : [.. names.Select(name => image with
        {
            Annotations = new Dictionary<string, string> { [OciLayout.ImageNameAnnotation] = name.ToString(), [OciLayout.RefNameAnnotation] = name.Tag ?? "latest" },
        })],
    };

    private static async Task SendAsync(MemoryStream headers, Stream output, CancellationToken cancellationToken)
    {
        await output.WriteAsync(headers.GetBuffer().AsMemory(0, (int)headers.Length), cancellationToken).ConfigureAwait(false);
        headers.SetLength(0);
    }

    private static TarEntry File(string name) => new() { Name = Encoding.UTF8.GetBytes(name), Mode = FileMode };

    private static TarEntry Directory(string name) => new() { Name = Encoding.UTF8.GetBytes(name), Type = TarEntryType.Directory, Mode = DirectoryMode };
}
