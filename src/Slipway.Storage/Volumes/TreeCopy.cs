using System.Buffers;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Storage.Layers;

namespace Slipway.Storage.Volumes;

/// <summary>
/// Copies a tree: owners, modes, times, extended attributes, links as links, hard links as such, device nodes, holes. Source and target may both
/// be hostile, the one an image's, the other a directory that a container has mounted: every step is on one name in an open directory, and
/// follows nothing. What is removed or replaced meanwhile is left out.
/// </summary>
internal sealed class TreeCopy : TreeWalk
{
    /// <summary>Each level holds two descriptors.</summary>
    private const int MaximumDepth = 1024;

    private const int BlockSize = 64 << 10;
    private const uint PrivateDirectory = 0x1c0; // 0700
    private const uint PrivateFile = 0x180; // 0600

    private readonly Stack<SafeFileHandle> _targets = new();
    private readonly SafeFileHandle _target;
    private readonly Dictionary<(DeviceNumber, ulong), byte[]> _linked = [];
    private readonly CancellationToken _cancellation;

    private TreeCopy(SafeFileHandle target, CancellationToken cancellationToken) : base(MaximumDepth)
    {
        _target = target;
        _targets.Push(target);
        _cancellation = cancellationToken;
    }

    /// <summary>Copies a directory's content into an empty directory, and its attributes last. Both are given by a name in an open directory.</summary>
    public static void Run(SafeFileHandle sourceParent, PathName source, SafeFileHandle targetParent, ReadOnlySpan<byte> target, CancellationToken cancellationToken)
    {
        var status = FileStatus.Of(sourceParent, source);
        using (var from = DirectoryEntry.Open(sourceParent, source, OpenFlags.Directory))
        using (var to = DirectoryEntry.Open(targetParent, target, OpenFlags.Directory))
        {
            new TreeCopy(to, cancellationToken).Run(from);
        }

        FileMetadata.Copy(sourceParent, source, status, targetParent, target);
    }

    /// <summary>As the other, of the root of a tree, which has no name: its extended attributes are left.</summary>
    public static void Run(SafeFileHandle root, SafeFileHandle targetParent, ReadOnlySpan<byte> target, CancellationToken cancellationToken)
    {
        var status = FileStatus.Of(root);
        using (var from = Descriptors.Reopen(root, OpenFlags.Directory))
        using (var to = DirectoryEntry.Open(targetParent, target, OpenFlags.Directory))
        {
            new TreeCopy(to, cancellationToken).Run(from);
        }

        DirectoryEntry.ChangeOwner(targetParent, target, status.UserId, status.GroupId);
        DirectoryEntry.ChangeMode(targetParent, target, status.Permissions);
        DirectoryEntry.SetTimes(targetParent, target, status.AccessTime, status.ModificationTime);
    }

    private void Run(SafeFileHandle source)
    {
        try
        {
            Walk(source, _cancellation);
        }
        finally
        {
            while (_targets.Count > 1)
            {
                _targets.Pop().Dispose();
            }
        }
    }

    protected override bool Enter(in WalkedFile directory)
    {
        var parent = _targets.Peek();
        DirectoryEntry.CreateDirectory(parent, directory.Name, PrivateDirectory);
        _targets.Push(DirectoryEntry.Open(parent, directory.Name, OpenFlags.Path | OpenFlags.Directory));
        return true;
    }

    protected override void Leave(in WalkedFile directory)
    {
        _targets.Pop().Dispose();
        try
        {
            FileMetadata.Copy(directory.Directory, directory.Name, directory.Status, _targets.Peek(), directory.Name);
        }
        catch (KernelException error) when (IsGone(error))
        {
            // It was there when it was met; its attributes but the extended ones are known since then.
            DirectoryEntry.ChangeMode(_targets.Peek(), directory.Name, directory.Status.Permissions);
            DirectoryEntry.SetTimes(_targets.Peek(), directory.Name, directory.Status.AccessTime, directory.Status.ModificationTime);
        }
    }

    protected override void Visit(in WalkedFile file)
    {
        try
        {
            Copy(file);
        }
        catch (KernelException error) when (IsGone(error))
        {
            // Removed or replaced since it was listed: as if it had not been there.
            TreeRemoval.Remove(_targets.Peek(), file.Name);
        }
    }

    private static bool IsGone(KernelException error) => error.Errno is Errno.ENOENT or Errno.ELOOP or Errno.ESTALE or Errno.ENXIO;

    private void Copy(in WalkedFile file)
    {
        var status = file.Status;
        var target = _targets.Peek();
        if (status.LinkCount > 1 && _linked.TryGetValue((status.Device, status.Inode), out var first))
        {
            // The root is not disposed with its wrapper: it is the caller's.
            using var directory = new RootDirectory(_target).OpenParent(first, out var name);
            DirectoryEntry.CreateHardLink(directory, name, target, file.Name);
            return;
        }

        switch (status.Type)
        {
            case FileType.RegularFile:
                CopyContent(file, target);
                break;
            case FileType.SymbolicLink:
                DirectoryEntry.CreateSymbolicLink(target, file.Name, DirectoryEntry.ReadLink(file.Directory, file.Name));
                break;
            case FileType.Socket:
                // Means nothing without the process that listens.
                return;
            default:
                DirectoryEntry.CreateNode(target, file.Name, status.Type, PrivateFile, status.SpecialDevice);
                break;
        }

        FileMetadata.Copy(file.Directory, file.Name, status, target, file.Name);
        if (status.LinkCount > 1)
        {
            _linked[(status.Device, status.Inode)] = file.Path.ToArray();
        }
    }

    /// <summary>Shares the blocks where the file system can; else copies what is no hole. Blocks of zeros become holes too, as they mostly were.</summary>
    private void CopyContent(in WalkedFile file, SafeFileHandle directory)
    {
        using var source = DirectoryEntry.Open(file.Directory, file.Name, OpenFlags.ReadOnly | OpenFlags.NonBlocking);
        var status = FileStatus.Of(source);
        if (!status.IsRegularFile)
        {
            throw new KernelException($"copy \"{new PathName(file.Path).ToString()}\", which was replaced meanwhile", Errno.ESTALE);
        }

        using var target = DirectoryEntry.CreateFile(directory, file.Name, PrivateFile);
        if (FileContent.TryShare(source, target))
        {
            return;
        }

        var block = ArrayPool<byte>.Shared.Rent(BlockSize);
        try
        {
            // What is appended meanwhile is left: there might be no end of it.
            long offset = 0;
            while (offset < status.Size && FileContent.TryFindData(source, offset, out var start, out var end))
            {
                offset = CopyRange(source, target, start, Math.Min(end, status.Size), block.AsSpan(0, BlockSize));
                if (offset < end)
                {
                    break;
                }
            }

            RandomAccess.SetLength(target, status.Size);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(block);
        }
    }

    /// <returns>Where it ended: before the end of the range where the file does.</returns>
    private long CopyRange(SafeFileHandle source, SafeFileHandle target, long offset, long end, Span<byte> block)
    {
        while (offset < end)
        {
            _cancellation.ThrowIfCancellationRequested();
            var length = RandomAccess.Read(source, block[..(int)Math.Min(block.Length, end - offset)], offset);
            if (length == 0)
            {
                break;
            }

            var bytes = block[..length];
            if (bytes.ContainsAnyExcept((byte)0))
            {
                Descriptors.WriteAt(target, bytes, offset);
            }

            offset += length;
        }

        return offset;
    }
}
