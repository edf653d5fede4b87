using System.Text;
using Slipway.Kernel;
using Slipway.Kernel.Compression;
using Slipway.Oci;
using Slipway.Oci.Tar;
using Slipway.Storage.Content;
using Slipway.Storage.Layers;

namespace Slipway.Storage.Images;

/// <summary>
/// The files of an image archive. The archive is read once, front to back; each file becomes a blob that is not published
/// yet, because what a file is becomes known only from others that may come later. Names are keys here and never paths.
/// </summary>
internal sealed class ImageArchive : IDisposable
{
    public const string BlobPrefix = "blobs/sha256/";

    private const int MaxFiles = 100_000;
    private const int MaxLinks = 16;
    private const int MaxDocument = 16 << 20;

    private readonly Dictionary<string, ArchiveFile> _files = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _links = new(StringComparer.Ordinal);

    private ImageArchive()
    {
    }

    /// <exception cref="StorageException">InvalidParameter: no tar, truncated, or beyond a limit.</exception>
    public static ImageArchive Read(
        Stream source, ContentStore content, LayerStore layers, UnpackLimits limits, IProgress<ImageProgress>? progress, CancellationToken cancellationToken)
    {
        var archive = new ImageArchive();
        try
        {
            using var plain = Decompression.Open(source, limits.Expansion);
            var reader = new ArchiveFileReader(content, layers, limits, progress, cancellationToken);
            archive.Ingest(new TarReader(new BufferedStream(plain, 128 << 10)), reader, limits, cancellationToken);
            return archive;
        }
        catch (Exception error)
        {
            archive.Dispose();
            throw error switch
            {
                OciException or InvalidDataException => new StorageException(StorageErrorKind.InvalidParameter, $"invalid archive: {error.Message}", error),
                KernelException kernel => HostErrors.Map(kernel, "invalid archive"),
                _ => error,
            };
        }
    }

    public bool Contains(string name) => Find(name) is not null;

    /// <summary>The file of a name, symbolic links of the archive followed; null where there is none.</summary>
    public ArchiveFile? Find(string name)
    {
        for (var links = 0; links < MaxLinks; links++)
        {
            if (Key(name) is not { } key)
            {
                return null;
            }

            if (_files.TryGetValue(key, out var file))
            {
                return file;
            }

            if (!_links.TryGetValue(key, out var target))
            {
                return null;
            }

            name = target;
        }

        return null;
    }

    /// <exception cref="StorageException">InvalidParameter: there is no such file.</exception>
    public ArchiveFile Get(string name) => Find(name) ?? throw new StorageException(StorageErrorKind.InvalidParameter, $"invalid archive: \"{name}\" is missing");

    /// <summary>The blob of an OCI layout, with the digest that its name claims.</summary>
    /// <exception cref="StorageException">InvalidParameter: it is missing or has another digest.</exception>
    public ArchiveFile GetBlob(Digest digest)
    {
        if (digest.IsNone || digest.Algorithm != Digest.Sha256)
        {
            throw new StorageException(StorageErrorKind.InvalidParameter, $"invalid archive: unsupported digest \"{digest}\"");
        }

        var file = Get($"blobs/{Digest.Sha256}/{digest.Hex}");
        return file.Digest == digest ? file : throw WrongDigest(digest, file.Digest);
    }

    /// <summary>A small file's content.</summary>
    public static byte[] ReadDocument(ArchiveFile file)
    {
        if (file.Blob is null || file.Length > MaxDocument)
        {
            throw new StorageException(StorageErrorKind.InvalidParameter, $"invalid archive: a document has more than {MaxDocument} bytes");
        }

        using var stream = file.Blob.OpenRead();
        var content = new byte[file.Length];
        stream.ReadExactly(content);
        return content;
    }

    public void Dispose()
    {
        foreach (var file in _files.Values)
        {
            file.Dispose();
        }
    }

    private void Ingest(TarReader reader, ArchiveFileReader files, UnpackLimits limits, CancellationToken cancellationToken)
    {
        long total = 0;
        var count = 0;
        while (reader.Next() is { } entry)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (++count > MaxFiles)
            {
                throw new OciException($"it has more than {MaxFiles} entries");
            }

            if (entry.Size > limits.MaxBytes - total)
            {
                throw new OciException($"it has more than {limits.MaxBytes} bytes");
            }

            total += entry.Size;
            if (entry.Sparse is not null)
            {
                throw new OciException($"\"{entry.DisplayName}\" is sparse");
            }

            if (Key(entry.DisplayName) is not { } key)
            {
                throw EntryPath.Invalid(entry.Name, "it is outside of the root");
            }

            switch (entry.Type)
            {
                case TarEntryType.Regular:
                    Forget(key);
                    _files.Add(key, files.Read(reader, key, entry.Size));
                    Verify(key);
                    break;
                case TarEntryType.SymbolicLink:
                    // Relative to the directory of the link.
                    Forget(key);
                    var target = Encoding.UTF8.GetString(entry.LinkName);
                    var slash = key.LastIndexOf('/');
                    _links[key] = target.StartsWith('/') || slash < 0 ? target : $"{key[..slash]}/{target}";
                    break;
                case TarEntryType.HardLink:
                    Forget(key);
                    _links[key] = Encoding.UTF8.GetString(entry.LinkName);
                    break;
                default:
                    // Directories carry no content; devices and pipes have no meaning in an archive of images.
                    break;
            }
        }
    }

    /// <summary>A file in the place of a blob has the blob's digest, or the archive is refused, whatever refers to it.</summary>
    private void Verify(string key)
    {
        if (key.StartsWith(BlobPrefix, StringComparison.Ordinal) && Digest.TryParse($"{Digest.Sha256}:{key[BlobPrefix.Length..]}", out var claimed) && _files[key].Digest != claimed)
        {
            throw WrongDigest(claimed, _files[key].Digest);
        }
    }

    private void Forget(string key)
    {
        if (_files.Remove(key, out var earlier))
        {
            earlier.Dispose();
        }

        _links.Remove(key);
    }

    /// <summary>The name cleaned, or null where it leads out of the archive.</summary>
    private static string? Key(string name)
    {
        var parts = new List<string>();
        foreach (var part in name.Split('/'))
        {
            if (part == "..")
            {
                if (parts.Count == 0)
                {
                    return null;
                }

                parts.RemoveAt(parts.Count - 1);
            }
            else if (part is not ("" or "."))
            {
                parts.Add(part);
            }
        }

        return string.Join('/', parts);
    }

    private static StorageException WrongDigest(Digest expected, Digest actual) =>
        new(StorageErrorKind.InvalidParameter, $"invalid archive: expected digest {expected}, got {actual}");
}
