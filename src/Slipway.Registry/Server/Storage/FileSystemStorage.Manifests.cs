using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Oci;

namespace Slipway.Registry.Server.Storage;

/// <summary>Manifests, tags and referrers: small files, each written aside and renamed, so that it is whole or not there.</summary>
internal sealed partial class FileSystemStorage
{
    private const int MaximumTagFile = 256;

    public ValueTask<byte[]?> ReadManifestAsync(RepositoryName repository, Digest digest, CancellationToken cancellationToken) =>
        ValueTask.FromResult(Read(repository, Manifests, digest.ToString(), ManifestDocument.MaximumSize));

    public ValueTask<bool> HasManifestAsync(RepositoryName repository, Digest digest, CancellationToken cancellationToken)
    {
        lock (Stripe(repository))
        {
            using SafeFileHandle? file = TryOpen(repository, Manifests, digest.ToString(), OpenFlags.Path | OpenFlags.NoFollow);
            if (file is not null)
            {
                Touch(file, FileStatus.Of(file));
            }

            return ValueTask.FromResult(file is not null);
        }
    }

    public Task WriteManifestAsync(
        RepositoryName repository, Digest digest, ReadOnlyMemory<byte> content, IReadOnlyList<string> tags, Digest? subject, CancellationToken cancellationToken) => ChangeAsync(
        () =>
        {
            using (SafeFileHandle manifests = EnsureDirectory(_repositories, repository.FileName, Manifests))
            {
                Replace(manifests, digest.ToString(), content.Span, repository);
            }

            if (subject is { } named)
            {
                using SafeFileHandle referrers = EnsureDirectory(_repositories, repository.FileName, Referrers, named.ToString());
                Replace(referrers, digest.ToString(), default, repository);
            }

            if (tags.Count > 0)
            {
                using SafeFileHandle directory = EnsureDirectory(_repositories, repository.FileName, Tags);
                foreach (string tag in tags)
                {
                    Replace(directory, tag, Encoding.ASCII.GetBytes(digest.ToString()), repository);
                }
            }
        },
        cancellationToken);

    public Task<IReadOnlyList<string>?> RemoveManifestAsync(
        RepositoryName repository, Digest digest, Digest? subject, DateTimeOffset? unusedSince, CancellationToken cancellationToken) => ChangeAsync(
        () =>
        {
            List<string> tags;
            lock (Stripe(repository))
            {
                using SafeFileHandle manifests = EnsureDirectory(_repositories, repository.FileName, Manifests);
                if (FileStatus.TryOf(manifests, digest.ToString()) is not { } status)
                {
                    return (IReadOnlyList<string>?)null;
                }

                tags = [.. List(repository, Tags).Where(tag => ReadTag(repository, tag) == digest)];
                if (unusedSince is { } limit && (LastUsed(status) >= limit || tags.Count > 0))
                {
                    return null;
                }

                // A tag without its manifest does not resolve, so a crash between the two leaves nothing wrong.
                DirectoryEntry.Unlink(manifests, digest.ToString());
                Descriptors.Sync(manifests);
                RemoveTags(repository, tags);
            }

            if (subject is { } named)
            {
                RemoveReferrer(repository, named, digest);
            }

            return tags;
        },
        cancellationToken);

    public IEnumerable<Digest> EnumerateManifests(RepositoryName repository) => ListDigests(repository, Manifests);

    public ValueTask<Digest?> ResolveTagAsync(RepositoryName repository, string tag, CancellationToken cancellationToken) =>
        ValueTask.FromResult(ReadTag(repository, tag));

    public Task<bool> RemoveTagAsync(RepositoryName repository, string tag, CancellationToken cancellationToken) => ChangeAsync(
        () =>
        {
            lock (Stripe(repository))
            {
                using SafeFileHandle tags = EnsureDirectory(_repositories, repository.FileName, Tags);
                if (FileStatus.TryOf(tags, tag) is null)
                {
                    return false;
                }

                DirectoryEntry.Unlink(tags, tag);
                Descriptors.Sync(tags);
                return true;
            }
        },
        cancellationToken);

    public ValueTask<IReadOnlyList<string>> ListTagsAsync(RepositoryName repository, CancellationToken cancellationToken)
    {
        List<string> tags = [.. List(repository, Tags).Where(Reference.IsTag)];
        tags.Sort(string.CompareOrdinal);
        return ValueTask.FromResult<IReadOnlyList<string>>(tags);
    }

    public ValueTask<IReadOnlyList<Digest>> ListReferrersAsync(RepositoryName repository, Digest subject, CancellationToken cancellationToken)
    {
        List<Digest> referrers = [.. ListDigests(repository, $"{Referrers}/{subject}")];
        referrers.Sort();
        return ValueTask.FromResult<IReadOnlyList<Digest>>(referrers);
    }

    private Digest? ReadTag(RepositoryName repository, string tag) =>
        Read(repository, Tags, tag, MaximumTagFile) is { } text && Digest.TryParse(Encoding.ASCII.GetString(text), out Digest digest) ? digest : null;

    private byte[]? Read(RepositoryName repository, string kind, string name, int maximum)
    {
        using SafeFileHandle? file = TryOpen(repository, kind, name, OpenFlags.ReadOnly | OpenFlags.NoFollow);
        return file is null ? null : Descriptors.ReadToEnd(file, maximum);
    }

    private void RemoveTags(RepositoryName repository, List<string> tags)
    {
        if (tags.Count > 0)
        {
            using SafeFileHandle directory = EnsureDirectory(_repositories, repository.FileName, Tags);
            tags.ForEach(tag => DirectoryEntry.Unlink(directory, tag));
            Descriptors.Sync(directory);
        }
    }

    private void RemoveReferrer(RepositoryName repository, Digest subject, Digest digest)
    {
        int errno = _repositories.TryOpen(
            $"{repository.FileName}/{Referrers}/{subject}", OpenFlags.Directory, out SafeFileHandle? referrers, resolution: Resolution.Canonical);
        if (errno == Errno.ENOENT)
        {
            return;
        }

        using SafeFileHandle directory = referrers ?? throw new KernelException($"open referrers of {subject}", errno);
        TreeRemoval.Remove(directory, digest.ToString());
        Descriptors.Sync(directory);
    }

    /// <summary>Writes a file aside, then gives it its name, durably.</summary>
    private void Replace(SafeFileHandle directory, string name, ReadOnlySpan<byte> content, RepositoryName repository)
    {
        string temporary = NewTemporaryName();
        using SafeFileHandle file = DirectoryEntry.CreateFile(_temporary, temporary, FileMode);
        try
        {
            Descriptors.Write(file, content);
            Descriptors.Sync(file);
            lock (Stripe(repository))
            {
                DirectoryEntry.Rename(_temporary, temporary, directory, name);
            }
        }
        catch
        {
            TreeRemoval.Remove(_temporary, temporary);
            throw;
        }

        Descriptors.Sync(directory);
    }
}
