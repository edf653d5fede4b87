using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Oci;

namespace Slipway.Storage.Content;

/// <summary>
/// Blobs by digest: <c>blobs/sha256/&lt;hex&gt;</c>, byte for byte as received. A blob has its name only when it is complete, verified and
/// on the disk, in its file or in the <see cref="DocumentJournal"/>.
/// </summary>
internal sealed class ContentStore : IDisposable
{
    private const uint BlobMode = 0x180; // 0600

    private readonly TemporaryDirectory _temporary;
    private readonly SafeFileHandle _blobs;
    private readonly Pins _pins = new();

    public ContentStore(HostPath root, TemporaryDirectory temporary)
    {
        _temporary = temporary;
        var path = root / "blobs" / Digest.Sha256;
        path.CreateDirectories(DataRoot.DirectoryMode);
        _blobs = path.Open(OpenFlags.Directory);
    }

    /// <summary>Starts a blob.</summary>
    public BlobWriter Create()
    {
        var name = _temporary.NewName("blob");
        return new BlobWriter(this, name, DirectoryEntry.Open(_temporary.Descriptor, name, OpenFlags.ReadWrite | OpenFlags.Create | OpenFlags.Exclusive, BlobMode));
    }

    /// <summary>Stores a document that is whole already.</summary>
    public void Add(ReadOnlySpan<byte> document)
    {
        using var blob = Create();
        blob.Write(document);
        blob.Publish();
    }

    /// <summary>As <see cref="Add"/>, for one that the caller keeps on the disk elsewhere until <see cref="TrySync"/> and <see cref="SyncNames"/> have been called.</summary>
    public void AddUnsynced(ReadOnlySpan<byte> document)
    {
        using var blob = Create();
        blob.Write(document);
        blob.NameUnsynced();
    }

    /// <summary>Puts the file of a document on the disk.</summary>
    /// <returns>False, and nothing done, where there is none with this content.</returns>
    public bool TrySync(Digest digest, ReadOnlySpan<byte> content)
    {
        if (!Contains(digest))
        {
            return false;
        }

        using var file = DirectoryEntry.Open(_blobs, digest.Hex, OpenFlags.ReadOnly);
        var found = new byte[content.Length];
        if (FileStatus.Of(file).Size != content.Length || RandomAccess.Read(file, found, 0) != found.Length || !content.SequenceEqual(found))
        {
            return false;
        }

        Descriptors.Sync(file);
        return true;
    }

    public bool Contains(Digest digest) => digest.Algorithm == Digest.Sha256 && FileStatus.TryOf(_blobs, digest.Hex) is not null;

    /// <summary>Keeps a blob from being collected until the result is disposed.</summary>
    public IDisposable Pin(Digest digest) => _pins.Add(digest);

    /// <exception cref="StorageException">NotFound.</exception>
    public Stream OpenRead(Digest digest)
    {
        SafeFileHandle? file = null;
        var errno = digest.Algorithm == Digest.Sha256 ? DirectoryEntry.TryOpen(_blobs, digest.Hex, OpenFlags.ReadOnly, out file) : Errno.ENOENT;
        return errno switch
        {
            0 => new FileStream(file!, FileAccess.Read, bufferSize: 0),
            Errno.ENOENT => throw new StorageException(StorageErrorKind.NotFound, $"content {digest} not found"),
            _ => throw new KernelException($"open blob {digest}", errno),
        };
    }

    /// <summary>A whole blob.</summary>
    /// <exception cref="StorageException">NotFound; System: the blob is damaged.</exception>
    public byte[] ReadAll(Digest digest, int maximum)
    {
        using var stream = OpenRead(digest);
        if (stream.Length > maximum)
        {
            throw new StorageException(StorageErrorKind.System, $"content {digest} has more than {maximum} bytes");
        }

        var content = new byte[stream.Length];
        stream.ReadExactly(content);
        return Digest.Of(content) == digest ? content : throw new StorageException(StorageErrorKind.System, $"content {digest} is damaged");
    }

    /// <summary>Deletes a blob that nobody has pinned; nothing happens where there is none.</summary>
    public void Delete(Digest digest)
    {
        if (!_pins.Contains(digest))
        {
            TreeRemoval.Remove(_blobs, digest.Hex);
        }
    }

    /// <summary>All blobs.</summary>
    public IEnumerable<Digest> List()
    {
        foreach (var entry in new DirectoryListing(_blobs))
        {
            if (Digest.TryParse($"{Digest.Sha256}:{Encoding.UTF8.GetString(entry.Name)}", out var digest))
            {
                yield return digest;
            }
        }
    }

    public void Dispose() => _blobs.Dispose();

    /// <summary>Gives a blob its name, which is durable after <see cref="SyncNames"/>.</summary>
    internal void Name(string name, Digest digest) => DirectoryEntry.Rename(_temporary.Descriptor, name, _blobs, digest.Hex);

    internal void SyncNames() => Descriptors.Sync(_blobs);

    internal void Discard(string name) => TreeRemoval.Remove(_temporary.Descriptor, name);
}
