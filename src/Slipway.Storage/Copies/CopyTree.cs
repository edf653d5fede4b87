using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;
using Slipway.Kernel.Users;
using Slipway.Storage.Changes;

namespace Slipway.Storage.Copies;

/// <summary>
/// A directory of a container as a tar, with what is mounted inside: volumes, binds, tmpfs. A file system through which the
/// kernel tells of itself (procfs, sysfs, …) shows as an empty directory, and so does /dev of a whole root: its devices are no files to take along.
/// </summary>
internal sealed class CopyTree : TreeWalk
{
    private readonly FileArchiver _archiver;
    private readonly bool _isContainerRoot;
    private readonly CancellationToken _cancellationToken;

    private CopyTree(FileArchiver archiver, bool isContainerRoot, int maxDepth, CancellationToken cancellationToken)
        : base(maxDepth) => (_archiver, _isContainerRoot, _cancellationToken) = (archiver, isContainerRoot, cancellationToken);

    /// <param name="prefix">Ends in a slash; names the directory itself, and begins the name of all that is in it.</param>
    public static void Write(SafeFileHandle directory, byte[] prefix, bool isContainerRoot, Stream output, int maxDepth, IdMaps? maps, CancellationToken cancellationToken)
    {
        var archiver = new FileArchiver(output, prefix, maps);
        archiver.AddRoot(prefix, directory);
        if (!Descriptors.IsOnKernelFileSystem(directory))
        {
            new CopyTree(archiver, isContainerRoot, maxDepth, cancellationToken).Walk(directory, cancellationToken);
        }

        archiver.Finish();
    }

    /// <summary>One file, which is no directory.</summary>
    /// <param name="written">The entry's name; null: the file's.</param>
    public static void WriteFile(SafeFileHandle parent, byte[] name, byte[]? written, Stream output, IdMaps? maps, CancellationToken cancellationToken)
    {
        var archiver = new FileArchiver(output, maps: maps) { Renamed = written };
        if (FileStatus.TryOf(parent, name) is { } status)
        {
            archiver.AddFile(new WalkedFile(parent, name, status), cancellationToken);
        }

        archiver.Finish();
    }

    protected override bool VisitListed(SafeFileHandle directory, ReadOnlySpan<byte> path, FileType type) =>
        type == FileType.RegularFile && _archiver.TryAddRegular(directory, path, _cancellationToken);

    protected override void Visit(in WalkedFile file) => _archiver.AddFile(file, _cancellationToken);

    protected override bool Enter(in WalkedFile directory)
    {
        _archiver.AddDirectory(directory.Directory, directory.Path, directory.Status);
        return true;
    }

    protected override void Leave(in WalkedFile directory)
    {
    }

    protected override MountPolicy EntersMount(SafeFileHandle directory, ReadOnlySpan<byte> path) =>
        Descriptors.IsOnKernelFileSystem(directory) || (_isContainerRoot && path.SequenceEqual("dev"u8)) ? MountPolicy.ShowEmpty : MountPolicy.Enter;
}
