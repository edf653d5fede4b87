using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;

namespace Slipway.Registry.Server.Storage;

/// <summary>Uploads: a file each, which is all there is to them.</summary>
internal sealed partial class FileSystemStorage
{
    public ValueTask<IBlobUpload> BeginUploadAsync(RepositoryName repository, CancellationToken cancellationToken)
    {
        string id = Guid.NewGuid().ToString();
        SafeFileHandle directory = EnsureDirectory(_uploadRoot, repository.FileName);
        try
        {
            SafeFileHandle file = DirectoryEntry.Open(directory, id, OpenFlags.ReadWrite | OpenFlags.Create | OpenFlags.Exclusive, FileMode);
            _sessions.TryEnter(id, out _);
            return ValueTask.FromResult<IBlobUpload>(new FileUpload(this, repository, id, directory, file, new UploadHash()));
        }
        catch
        {
            directory.Dispose();
            throw;
        }
    }

    public async ValueTask<IBlobUpload?> OpenUploadAsync(RepositoryName repository, string id, CancellationToken cancellationToken)
    {
        if (!Guid.TryParseExact(id, "D", out _) || id.Any(char.IsAsciiLetterUpper))
        {
            return null;
        }

        int errno = _uploadRoot.TryOpen(repository.FileName, OpenFlags.Directory, out SafeFileHandle? directory, resolution: Resolution.Canonical);
        if (errno == Errno.ENOENT)
        {
            return null;
        }

        SafeFileHandle open = directory ?? throw new KernelException($"open uploads of {repository}", errno);
        if (!_sessions.TryEnter(id, out UploadHash? hash))
        {
            open.Dispose();
            throw new UploadBusyException();
        }

        SafeFileHandle? file = null;
        try
        {
            errno = DirectoryEntry.TryOpen(open, id, OpenFlags.ReadWrite, out file);
            if (errno == Errno.ENOENT)
            {
                hash?.Dispose();
                _sessions.Leave(id, null);
                open.Dispose();
                return null;
            }

            SafeFileHandle content = file ?? throw new KernelException($"open upload {id}", errno);
            hash = await HashedAsync(content, hash, cancellationToken);
            return new FileUpload(this, repository, id, open, content, hash);
        }
        catch
        {
            file?.Dispose();
            open.Dispose();
            _sessions.Leave(id, hash);
            throw;
        }
    }

    public Task<int> ExpireUploadsAsync(DateTimeOffset unusedSince, CancellationToken cancellationToken) => ChangeAsync(
        () =>
        {
            int count = 0;
            foreach (ListedEntry repository in new DirectoryListing(_uploadRoot.Descriptor).ToList())
            {
                using SafeFileHandle directory = DirectoryEntry.Open(_uploadRoot.Descriptor, repository.Name, OpenFlags.Directory);
                foreach (ListedEntry upload in new DirectoryListing(directory).ToList())
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    string id = Encoding.UTF8.GetString(upload.Name);
                    if (FileStatus.TryOf(directory, id) is { } status && LastUsed(status) < unusedSince && _sessions.TryEnter(id, out UploadHash? hash))
                    {
                        TreeRemoval.Remove(directory, id);
                        hash?.Dispose();
                        _sessions.Leave(id, null);
                        count++;
                    }
                }
            }

            return count;
        },
        cancellationToken);

    /// <summary>The hash of all that the file holds; after a restart, or where more was written than was hashed, the file is read.</summary>
    private async Task<UploadHash> HashedAsync(SafeFileHandle file, UploadHash? hash, CancellationToken cancellationToken)
    {
        long length = FileStatus.Of(file).Size;
        if (hash?.Length == length)
        {
            return hash;
        }

        hash?.Dispose();
        return await ChangeAsync(
            () =>
            {
                UploadHash fresh = new();
                byte[] buffer = new byte[1 << 18];
                while (fresh.Length < length)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    int count = RandomAccess.Read(file, buffer.AsSpan(0, (int)Math.Min(buffer.Length, length - fresh.Length)), fresh.Length);
                    if (count == 0)
                    {
                        throw new IOException("an upload became shorter while it was read");
                    }

                    fresh.Append(buffer.AsSpan(0, count));
                }

                return fresh;
            },
            cancellationToken);
    }
}
