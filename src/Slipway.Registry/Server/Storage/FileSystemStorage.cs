using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Oci;

namespace Slipway.Registry.Server.Storage;

/// <summary>
/// A registry in a directory. One process at a time has it open.
/// <code>
/// blobs/DIGEST                         content, shared by all repositories
/// repositories/NAME/blobs/DIGEST       a hard link to it: the repository has the blob
/// repositories/NAME/manifests/DIGEST   a manifest, byte for byte
/// repositories/NAME/tags/TAG           the digest the tag names
/// repositories/NAME/referrers/DIGEST   a directory of empty files, named after the manifests whose subject it is
/// uploads/NAME/UUID                    what was received of an upload
/// tmp/                                 files being written; cleared when the directory is opened
/// </code>
/// Links count what a blob is needed for, so no race between a push and a collection can lose content: a repository that has
/// the link has the bytes. All names are validated values (digest, tag, repository, UUID) and opened below descriptors.
/// </summary>
internal sealed partial class FileSystemStorage : IRegistryStorage
{
    private const uint DirectoryMode = 0x1C0; // 0700
    private const uint FileMode = 0x180; // 0600
    private const string Blobs = "blobs";
    private const string Manifests = "manifests";
    private const string Tags = "tags";
    private const string Referrers = "referrers";

    private readonly TimeProvider _time;
    private readonly StorageThreads _threads = new();
    private readonly SafeFileHandle _lock;
    private readonly SafeFileHandle _blobs;
    private readonly SafeFileHandle _temporary;
    private readonly RootDirectory _repositories;
    private readonly RootDirectory _uploadRoot;
    private readonly UploadSessions _sessions = new();
    private readonly Lock[] _stripes = [.. Enumerable.Range(0, 64).Select(_ => new Lock())];
    private long _sequence;

    private FileSystemStorage(SafeFileHandle root, SafeFileHandle rootLock, TimeProvider time)
    {
        (_lock, _time) = (rootLock, time);
        _blobs = OpenDirectory(root, Blobs);
        _temporary = OpenDirectory(root, "tmp");
        _repositories = new RootDirectory(OpenDirectory(root, "repositories"));
        _uploadRoot = new RootDirectory(OpenDirectory(root, "uploads"));
        TreeRemoval.Clear(_temporary);
    }

    /// <summary>A blob that was used is not old for this part of the grace period; sparing the disk a write for each look at it.</summary>
    public TimeSpan TouchInterval { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>Opens the directory and makes it where it is missing.</summary>
    /// <exception cref="RegistryConfigurationException">Another process has it open, or it cannot be used.</exception>
    public static FileSystemStorage Open(string path, TimeProvider time)
    {
        try
        {
            Directory.CreateDirectory(path, (UnixFileMode)DirectoryMode);
            using SafeFileHandle root = new HostPath(path).Open(OpenFlags.Directory);
            SafeFileHandle rootLock = DirectoryEntry.Open(root, "lock", OpenFlags.ReadWrite | OpenFlags.Create, FileMode);
            if (!Descriptors.TryLock(rootLock))
            {
                rootLock.Dispose();
                throw new RegistryConfigurationException($"{path} is in use by another registry");
            }

            return new FileSystemStorage(root, rootLock, time);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RegistryConfigurationException($"{path} cannot be used: {e.Message}", e);
        }
    }

    public void Dispose()
    {
        _threads.Dispose();
        _sessions.Dispose();
        _repositories.Dispose();
        _uploadRoot.Dispose();
        _temporary.Dispose();
        _blobs.Dispose();
        _lock.Dispose();
    }

    public ValueTask<IReadOnlyList<RepositoryName>> ListRepositoriesAsync(CancellationToken cancellationToken)
    {
        List<RepositoryName> names = [.. EnumerateRepositories().Where(HasManifests)];
        names.Sort();
        return ValueTask.FromResult<IReadOnlyList<RepositoryName>>(names);
    }

    public IEnumerable<RepositoryName> EnumerateRepositories()
    {
        foreach (ListedEntry entry in new DirectoryListing(_repositories.Descriptor))
        {
            if (RepositoryName.TryParseFileName(Encoding.UTF8.GetString(entry.Name), out RepositoryName name))
            {
                yield return name;
            }
        }
    }

    public ValueTask<bool> HasRepositoryAsync(RepositoryName repository, CancellationToken cancellationToken) => ValueTask.FromResult(HasManifests(repository));

    private bool HasManifests(RepositoryName repository) => List(repository, Manifests).Any();

    private static SafeFileHandle OpenDirectory(SafeFileHandle root, string name)
    {
        int errno = DirectoryEntry.TryCreateDirectory(root, name, DirectoryMode);
        return errno is 0 or Errno.EEXIST ? DirectoryEntry.Open(root, name, OpenFlags.Directory) : throw new KernelException($"mkdir \"{name}\"", errno);
    }

    /// <summary>The lock that everything holds for a moment that looks at the age of a blob and acts on it, or changes the tags of a repository.</summary>
    private Lock Stripe(RepositoryName repository) => _stripes[(uint)repository.GetHashCode() % (uint)_stripes.Length];

    private Lock Stripe(Digest digest) => _stripes[(uint)digest.GetHashCode() % (uint)_stripes.Length];

    private string NewTemporaryName() => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{Interlocked.Increment(ref _sequence)}");

    /// <summary>Opens a file of a repository; null where there is none.</summary>
    private SafeFileHandle? TryOpen(RepositoryName repository, string kind, string name, OpenFlags flags)
    {
        int errno = _repositories.TryOpen($"{repository.FileName}/{kind}/{name}", flags, out SafeFileHandle? file, resolution: Resolution.Canonical);
        return errno switch
        {
            0 => file,
            Errno.ENOENT => null,
            _ => throw new KernelException($"open {kind}/{name} of {repository}", errno),
        };
    }

    /// <summary>The names in a directory of a repository; none where it is missing.</summary>
    private IEnumerable<string> List(RepositoryName repository, string kind)
    {
        int errno = _repositories.TryOpen($"{repository.FileName}/{kind}", OpenFlags.Directory, out SafeFileHandle? directory, resolution: Resolution.Canonical);
        if (errno == Errno.ENOENT)
        {
            yield break;
        }

        using SafeFileHandle open = directory ?? throw new KernelException($"open {kind} of {repository}", errno);
        foreach (ListedEntry entry in new DirectoryListing(open))
        {
            yield return Encoding.UTF8.GetString(entry.Name);
        }
    }

    private IEnumerable<Digest> ListDigests(RepositoryName repository, string kind)
    {
        foreach (string name in List(repository, kind))
        {
            if (Digest.TryParse(name, out Digest digest))
            {
                yield return digest;
            }
        }
    }

    /// <summary>Opens a directory for changes, and makes it and its parents, durably, where they are missing.</summary>
    private static SafeFileHandle EnsureDirectory(RootDirectory root, params ReadOnlySpan<string> names)
    {
        SafeFileHandle current = Descriptors.Duplicate(root.Descriptor);
        foreach (string name in names)
        {
            SafeFileHandle parent = current;
            try
            {
                int errno = DirectoryEntry.TryOpen(parent, name, OpenFlags.Directory, out SafeFileHandle? child);
                if (errno == Errno.ENOENT)
                {
                    errno = DirectoryEntry.TryCreateDirectory(parent, name, DirectoryMode);
                    if (errno is 0 or Errno.EEXIST)
                    {
                        Descriptors.Sync(parent);
                        errno = DirectoryEntry.TryOpen(parent, name, OpenFlags.Directory, out child);
                    }
                }

                current = child ?? throw new KernelException($"open directory \"{name}\"", errno);
            }
            finally
            {
                parent.Dispose();
            }
        }

        return current;
    }

    /// <summary>For uploads.</summary>
    internal Task<T> RunAsync<T>(Func<T> change, CancellationToken cancellationToken) => _threads.RunAsync(change, cancellationToken);

    internal void Leave(string uploadId, UploadHash? hash) => _sessions.Leave(uploadId, hash);

    /// <summary>Runs what makes or removes files on a thread that may wait for the disk.</summary>
    private Task<T> ChangeAsync<T>(Func<T> change, CancellationToken cancellationToken) => _threads.RunAsync(change, cancellationToken);

    private Task ChangeAsync(Action change, CancellationToken cancellationToken) => _threads.RunAsync(change, cancellationToken);
}
