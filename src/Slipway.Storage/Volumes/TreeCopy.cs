using System.Buffers;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Storage.Layers;

namespace Slipway.Storage.Volumes;

/// <summary>
/// Copies a tree: owners, modes, times, extended attributes, links as links, hard links as such, device nodes, holes. Source and target may both
/// be hostile, the one an image's, the other a directory that a container has mounted: every step is on one name in an open directory, and
/// follows nothing.
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
        FileMetadata.Copy(directory.Directory, directory.Name, directory.Status, _targets.Peek(), directory.Name);
    }

    protected override void Visit(in WalkedFile file)
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

    /// <summary>Blocks of zeros become holes, as they mostly were.</summary>
    private void CopyContent(in WalkedFile file, SafeFileHandle directory)
    {
        using var source = DirectoryEntry.Open(file.Directory, file.Name, OpenFlags.ReadOnly | OpenFlags.NonBlocking);
        if (!FileStatus.Of(source).IsRegularFile)
        {
            throw new KernelException($"copy \"{new PathName(file.Path).ToString()}\", which was replaced meanwhile", Errno.ESTALE);
        }

        using var target = DirectoryEntry.CreateFile(directory, file.Name, PrivateFile);
        var block = ArrayPool<byte>.Shared.Rent(BlockSize);
        try
        {
            long offset = 0;
            for (int length; (length = RandomAccess.Read(source, block.AsSpan(0, BlockSize), offset)) > 0; offset += length)
            {
                _cancellation.ThrowIfCancellationRequested();
                var bytes = block.AsSpan(0, length);
                if (bytes.ContainsAnyExcept((byte)0))
                {
                    Descriptors.WriteAt(target, bytes, offset);
                }
            }

            RandomAccess.SetLength(target, offset);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(block);
        }
    }
}
