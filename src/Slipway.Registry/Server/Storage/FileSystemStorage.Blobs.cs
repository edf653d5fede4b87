using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Oci;

namespace Slipway.Registry.Server.Storage;

/// <summary>Blobs and the links by which repositories have them. The time of last use is the file's modification time; its content never changes.</summary>
internal sealed partial class FileSystemStorage
{
    public ValueTask<long?> FindBlobAsync(RepositoryName repository, Digest digest, CancellationToken cancellationToken)
    {
        lock (Stripe(digest))
        {
            using SafeFileHandle? file = TryOpen(repository, Blobs, digest.ToString(), OpenFlags.Path | OpenFlags.NoFollow);
            if (file is null)
            {
                return ValueTask.FromResult<long?>(null);
            }

            FileStatus status = FileStatus.Of(file);
            Touch(file, status);
            return ValueTask.FromResult<long?>(status.Size);
        }
    }

    public ValueTask<BlobContent?> OpenBlobAsync(RepositoryName repository, Digest digest, CancellationToken cancellationToken)
    {
        SafeFileHandle? file = TryOpen(repository, Blobs, digest.ToString(), OpenFlags.ReadOnly | OpenFlags.NoFollow);
        return ValueTask.FromResult(file is null ? null : new BlobContent(file, FileStatus.Of(file).Size));
    }

    public Task<bool> MountBlobAsync(RepositoryName source, RepositoryName target, Digest digest, CancellationToken cancellationToken) => ChangeAsync(
        () =>
        {
            lock (Stripe(digest))
            {
                using SafeFileHandle? file = TryOpen(source, Blobs, digest.ToString(), OpenFlags.ReadOnly | OpenFlags.NoFollow);
                if (file is null)
                {
                    return false;
                }

                SetUsed(file);
                using SafeFileHandle sourceLinks = EnsureDirectory(_repositories, source.FileName, Blobs);
                using SafeFileHandle links = EnsureDirectory(_repositories, target.FileName, Blobs);
                if (!TryLink(sourceLinks, digest.ToString(), links, digest))
                {
                    Duplicate(file, digest);
                    DirectoryEntry.CreateHardLink(_blobs, digest.ToString(), links, digest.ToString());
                }

                Descriptors.Sync(links);
                return true;
            }
        },
        cancellationToken);

    public Task<bool> RemoveBlobAsync(RepositoryName repository, Digest digest, DateTimeOffset? unusedSince, CancellationToken cancellationToken) => ChangeAsync(
        () =>
        {
            lock (Stripe(digest))
            {
                using SafeFileHandle? file = TryOpen(repository, Blobs, digest.ToString(), OpenFlags.Path | OpenFlags.NoFollow);
                if (file is null || (unusedSince is { } limit && LastUsed(FileStatus.Of(file)) >= limit))
                {
                    return false;
                }

                using SafeFileHandle links = EnsureDirectory(_repositories, repository.FileName, Blobs);
                DirectoryEntry.Unlink(links, digest.ToString());
                Descriptors.Sync(links);
                return true;
            }
        },
        cancellationToken);

    public IEnumerable<Digest> EnumerateBlobs(RepositoryName repository) => ListDigests(repository, Blobs);

    public Task<SweptContent> SweepContentAsync(DateTimeOffset unusedSince, CancellationToken cancellationToken) => ChangeAsync(
        () =>
        {
            int count = 0;
            long bytes = 0;
            foreach (ListedEntry entry in new DirectoryListing(_blobs))
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (!Digest.TryParse(System.Text.Encoding.UTF8.GetString(entry.Name), out Digest digest))
                {
                    continue;
                }

                lock (Stripe(digest))
                {
                    // One link is the name in this directory: no repository has the blob.
                    if (FileStatus.TryOf(_blobs, digest.ToString()) is { LinkCount: 1 } status && LastUsed(status) < unusedSince)
                    {
                        DirectoryEntry.Unlink(_blobs, digest.ToString());
                        count++;
                        bytes += status.Size;
                    }
                }
            }

            Descriptors.Sync(_blobs);
            return new SweptContent(count, bytes);
        },
        cancellationToken);

    /// <summary>Makes a complete upload a blob of the repository. Its content may be there already, from this repository or another.</summary>
    internal void Publish(RepositoryName repository, SafeFileHandle upload, SafeFileHandle uploads, string uploadName, Digest digest)
    {
        string name = digest.ToString();
        SetUsed(upload);
        Descriptors.Sync(upload);
        lock (Stripe(digest))
        {
            using SafeFileHandle links = EnsureDirectory(_repositories, repository.FileName, Blobs);
            int errno = DirectoryEntry.TryOpen(_blobs, name, OpenFlags.ReadOnly, out SafeFileHandle? content);
            using (content)
            {
                if (errno == Errno.ENOENT)
                {
                    DirectoryEntry.CreateHardLink(uploads, uploadName, _blobs, name);
                }
                else if (content is not null)
                {
                    SetUsed(content);
                }
            }

            if (!TryLink(_blobs, name, links, digest))
            {
                string temporary = NewTemporaryName();
                DirectoryEntry.CreateHardLink(uploads, uploadName, _temporary, temporary);
                DirectoryEntry.Rename(_temporary, temporary, _blobs, name);
                DirectoryEntry.CreateHardLink(_blobs, name, links, name);
            }

            Descriptors.Sync(links);
            Descriptors.Sync(_blobs);
        }
    }

    /// <summary>Links a blob into a repository that may have it already.</summary>
    /// <returns>False where too many repositories have it (ext4: 65,000 links of a file): the content needs a second file, for those to come.</returns>
    private static bool TryLink(SafeFileHandle directory, string name, SafeFileHandle links, Digest digest)
    {
        try
        {
            DirectoryEntry.CreateHardLink(directory, name, links, digest.ToString());
            return true;
        }
        catch (KernelException e) when (e.Errno is Errno.EEXIST or Errno.EMLINK)
        {
            return e.Errno == Errno.EEXIST;
        }
    }

    /// <summary>A second file of the same content, which takes the place of the first in the shared directory.</summary>
    private void Duplicate(SafeFileHandle file, Digest digest)
    {
        string name = NewTemporaryName();
        using SafeFileHandle copy = DirectoryEntry.Open(_temporary, name, OpenFlags.ReadWrite | OpenFlags.Create | OpenFlags.Exclusive, FileMode);
        byte[] buffer = new byte[1 << 20];
        long offset = 0;
        for (int count; (count = RandomAccess.Read(file, buffer, offset)) > 0; offset += count)
        {
            RandomAccess.Write(copy, buffer.AsSpan(0, count), offset);
        }

        Descriptors.Sync(copy);
        DirectoryEntry.Rename(_temporary, name, _blobs, digest.ToString());
        Descriptors.Sync(_blobs);
    }

    private void Touch(SafeFileHandle file, in FileStatus status)
    {
        if (_time.GetUtcNow() - LastUsed(status) >= TouchInterval)
        {
            SetUsed(file);
        }
    }

    private void SetUsed(SafeFileHandle file)
    {
        long ticks = (_time.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks;
        FileTime now = new(ticks / TimeSpan.TicksPerSecond, ticks % TimeSpan.TicksPerSecond * 100);
        Descriptors.SetTimes(file, FileTime.Unchanged, now);
    }

    private static DateTimeOffset LastUsed(in FileStatus status) =>
        DateTimeOffset.UnixEpoch.AddTicks((status.ModificationTime.Seconds * TimeSpan.TicksPerSecond) + (status.ModificationTime.Nanoseconds / 100));
}
