using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;
using Slipway.Oci;

namespace Slipway.Registry.Server.Storage;

/// <summary>An upload in a file, held by one request.</summary>
internal sealed class FileUpload(
    FileSystemStorage storage, RepositoryName repository, string id, SafeFileHandle directory, SafeFileHandle file, UploadHash hash) : IBlobUpload
{
    private bool _gone;

    public string Id => id;

    public long Length => hash.Length;

    public SafeFileHandle OpenRead() => Descriptors.Duplicate(file);

    public void Write(ReadOnlySpan<byte> bytes)
    {
        RandomAccess.Write(file, bytes, hash.Length);
        hash.Append(bytes);
    }

    public async Task<bool> CommitAsync(Digest digest, CancellationToken cancellationToken)
    {
        // From here on the client's leaving changes nothing: what was sent whole is kept.
        bool matches = await storage.RunAsync(
            () =>
            {
                if ((digest.Algorithm == Digest.Sha256 ? hash.Current() : Compute(digest)) != digest)
                {
                    return false;
                }

                storage.Publish(repository, file, directory, id, digest);
                DirectoryEntry.Unlink(directory, id);
                return true;
            },
            cancellationToken);
        _gone |= matches;
        return matches;
    }

    public void Cancel()
    {
        if (!_gone)
        {
            DirectoryEntry.Unlink(directory, id);
            _gone = true;
        }
    }

    public void Dispose()
    {
        file.Dispose();
        directory.Dispose();
        if (_gone)
        {
            hash.Dispose();
        }

        storage.Leave(id, _gone ? null : hash);
    }

    /// <summary>By an algorithm that nobody announced while the bytes came in.</summary>
    private Digest Compute(Digest expected)
    {
        using IncrementalHash other = expected.CreateHash();
        byte[] buffer = new byte[1 << 18];
        long offset = 0;
        for (int count; (count = RandomAccess.Read(file, buffer, offset)) > 0; offset += count)
        {
            other.AppendData(buffer.AsSpan(0, count));
        }

        return Digest.FromHash(other.GetHashAndReset());
    }
}
