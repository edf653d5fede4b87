using System.IO.Pipelines;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Mounts;
using Slipway.Oci;
using Slipway.Storage.Changes;
using Slipway.Storage.Layers;
using Slipway.Storage.Threading;

namespace Slipway.Storage.Snapshots;

/// <summary>
/// Reading the layers of containers: from the directory itself or through a mount of our own, by descriptors. The mounts a container
/// sees are never entered, so that nothing it mounts or links leads the reader anywhere (CVE-2018-15664 and kin).
/// </summary>
internal sealed partial class SnapshotStore
{
    private const int PipeBytes = 1 << 20;
    private const int TarBlock = 512;

    public Task<IReadOnlyList<FileChange>> ChangesAsync(IReadOnlyList<Digest> chainIds, string containerId, CancellationToken cancellationToken) =>
        WorkerThread.RunAsync("container-changes", () => Reading(containerId, () =>
        {
            using var upper = TryOpenUpper(containerId);
            if (upper is null)
            {
                return [];
            }

            using var lower = new LowerView(MountLower(chainIds, containerId, upper: null));
            return ChangeList.Of(upper, lower, _limits.MaxDepth, cancellationToken);
        }));

    public async Task<T> ReadLayerAsync<T>(
        IReadOnlyList<Digest> chainIds, string containerId, DateTimeOffset? newest, Func<Stream?, Task<T>> read, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var pipe = new Pipe(new PipeOptions(pauseWriterThreshold: PipeBytes, resumeWriterThreshold: PipeBytes / 2, useSynchronizationContext: false));
        var writing = WriteLayerAsync(chainIds, containerId, newest, pipe.Writer, stop.Token);
        try
        {
            var first = await pipe.Reader.ReadAtLeastAsync(TarBlock, cancellationToken).ConfigureAwait(false);

            // A tar begins with a header, or at once with the zeros of its end.
            var isEmpty = first.Buffer.FirstSpan.IndexOfAnyExcept((byte)0) < 0;
            pipe.Reader.AdvanceTo(first.Buffer.Start);
            var tar = pipe.Reader.AsStream(leaveOpen: true);
            await using (tar.ConfigureAwait(false))
            {
                return await read(isEmpty ? null : tar).ConfigureAwait(false);
            }
        }
        catch when (writing.IsFaulted)
        {
            // The reader's failure is this one's echo.
            await writing.ConfigureAwait(false);
            throw;
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
            await pipe.Reader.CompleteAsync().ConfigureAwait(false);
            await writing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    public void RemoveMountPoints(IReadOnlyList<Digest> chainIds, string containerId, IReadOnlyCollection<string> paths)
    {
        if (paths.Count == 0 || TryOpenUpper(containerId) is not { } upper)
        {
            return;
        }

        using var root = new RootDirectory(upper);
        using var lower = new LowerView(MountLower(chainIds, containerId, upper: null));
        foreach (var path in paths)
        {
            byte[] left = Encoding.UTF8.GetBytes(path.Trim('/'));
            while (left.Length > 0 && lower.Find(left) is null && TryRemoveEmpty(root, left))
            {
                left = EntryPath.Parent(left).ToArray();
            }
        }
    }

    private static bool TryRemoveEmpty(RootDirectory root, byte[] path)
    {
        if (root.TryOpen(EntryPath.Parent(path), OpenFlags.Path | OpenFlags.Directory, out var directory, resolution: Resolution.Canonical) != 0)
        {
            return false;
        }

        using (directory)
        {
            var name = EntryPath.Name(path);
            switch (FileStatus.TryOf(directory!, name))
            {
                case { IsDirectory: true } when !DirectoryHasEntries(directory!, name):
                    DirectoryEntry.RemoveDirectory(directory!, name);
                    return true;
                case { IsRegularFile: true, Size: 0 }:
                    DirectoryEntry.Unlink(directory!, name);
                    return true;
                default:
                    return false;
            }
        }
    }

    private static bool DirectoryHasEntries(SafeFileHandle directory, ReadOnlySpan<byte> name)
    {
        using var opened = DirectoryEntry.Open(directory, name, OpenFlags.Path | OpenFlags.Directory);
        return new DirectoryListing(opened).Any();
    }

    public Task ExportAsync(IReadOnlyList<Digest> chainIds, string containerId, Stream output, CancellationToken cancellationToken) =>
        BlockingToAsyncStream.RunAsync(
            "container-export",
            output,
            stream => Reading(containerId, () =>
            {
                using var upper = TryOpenUpper(containerId);
                using var root = MountLower(chainIds, containerId, upper);
                TreeArchive.Write(root, stream, _limits.MaxDepth, cancellationToken);
                return true;
            }),
            cancellationToken);

    public Task ExportImageAsync(IReadOnlyList<Digest> chainIds, Stream output, CancellationToken cancellationToken) =>
        BlockingToAsyncStream.RunAsync(
            "image-export",
            output,
            stream =>
            {
                using var root = MountImage(chainIds);
                TreeArchive.Write(root, stream, _limits.MaxDepth, cancellationToken);
            },
            cancellationToken);

    public Task ExportImagesAsync(IReadOnlyList<(string Folder, IReadOnlyList<Digest> ChainIds)> images, Stream output, CancellationToken cancellationToken) =>
        BlockingToAsyncStream.RunAsync(
            "image-export",
            output,
            stream =>
            {
                foreach (var (folder, chainIds) in images)
                {
                    using var root = MountImage(chainIds);
                    TreeArchive.WriteFolder(folder, root, stream, _limits.MaxDepth, cancellationToken);
                }

                TreeArchive.Finish(stream);
            },
            cancellationToken);

    public void WriteDifference(IReadOnlyList<Digest> lower, IReadOnlyList<Digest> chainIds, DateTimeOffset? newest, Stream output, CancellationToken cancellationToken)
    {
        using var view = new LowerView(MountImage(lower));
        using var root = MountImage(chainIds);
        TreeDifference.Write(root, view, output, newest, _limits.MaxDepth, cancellationToken);
    }

    private async Task WriteLayerAsync(IReadOnlyList<Digest> chainIds, string containerId, DateTimeOffset? newest, PipeWriter writer, CancellationToken cancellationToken)
    {
        try
        {
            var output = writer.AsStream(leaveOpen: true);
            await using (output.ConfigureAwait(false))
            {
                await BlockingToAsyncStream.RunAsync(
                    "container-layer",
                    output,
                    stream => Reading(containerId, () =>
                    {
                        using var lower = new LowerView(MountLower(chainIds, containerId, upper: null));
                        using var upper = TryOpenUpper(containerId) ?? _empty.Open(OpenFlags.Directory);
                        LayerArchive.Write(upper, lower, stream, newest, _limits.MaxDepth, cancellationToken);
                        return true;
                    }),
                    cancellationToken).ConfigureAwait(false);
            }

            await writer.CompleteAsync().ConfigureAwait(false);
        }
        catch (Exception error)
        {
            await writer.CompleteAsync(error).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>The container's own directory, or null where it was never started.</summary>
    private SafeFileHandle? TryOpenUpper(string containerId)
    {
        if (DirectoryEntry.TryOpen(_containers, Checked(containerId), OpenFlags.Path | OpenFlags.Directory, out var container) != 0)
        {
            return null;
        }

        using (container)
        using (var image = TryMountImage(container!))
        {
            return DirectoryEntry.Open(image ?? container!, Upper, OpenFlags.Directory);
        }
    }

    /// <summary>
    /// Layers as one read-only tree, in a detached mount. A container's own directory may be the highest: as one that is only read it
    /// can be part of a second mount while the container runs.
    /// </summary>
    private SafeFileHandle MountLower(IReadOnlyList<Digest> chainIds, string containerId, SafeFileHandle? upper)
    {
        var lowers = new List<SafeFileHandle>(chainIds.Count + 2);
        try
        {
            if (upper is not null)
            {
                lowers.Add(Descriptors.Duplicate(upper));
            }

            OpenLayers(chainIds, $"of container {containerId}", lowers);
            if (lowers.Count == 0)
            {
                // "At least 2 lowerdir are needed while upperdir nonexistent" (fs/overlayfs/super.c).
                return _base.Open(OpenFlags.Directory);
            }

            lowers.Add(_base.Open(OpenFlags.Path | OpenFlags.Directory));
            return OverlayMount.Create(lowers, upper: null, work: null, OverlayOptions.Default);
        }
        finally
        {
            lowers.ForEach(lower => lower.Dispose());
        }
    }

    private static T Reading<T>(string containerId, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (KernelException error) when (error.Errno is Errno.ENAMETOOLONG or Errno.ELOOP)
        {
            throw new StorageException(StorageErrorKind.InvalidParameter, $"root file system of container {containerId}: {error.Message}", error);
        }
        catch (KernelException error)
        {
            throw new StorageException(StorageErrorKind.System, $"root file system of container {containerId}: {error.Message}", error);
        }
    }
}
