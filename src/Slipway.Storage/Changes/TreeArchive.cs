using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;

namespace Slipway.Storage.Changes;

/// <summary>A whole tree as a tar (<c>docker export</c>).</summary>
internal sealed class TreeArchive : TreeWalk
{
    private readonly FileArchiver _archiver;
    private readonly CancellationToken _cancellationToken;

    private TreeArchive(FileArchiver archiver, int maxDepth, CancellationToken cancellationToken)
        : base(maxDepth) => (_archiver, _cancellationToken) = (archiver, cancellationToken);

    public static void Write(SafeFileHandle root, Stream output, int maxDepth, CancellationToken cancellationToken)
    {
        var archive = new TreeArchive(new FileArchiver(output), maxDepth, cancellationToken);
        archive.Walk(root, cancellationToken);
        archive._archiver.Finish();
    }

    /// <summary>A tree in a folder of a tar that goes on after it.</summary>
    public static void WriteFolder(string folder, SafeFileHandle root, Stream output, int maxDepth, CancellationToken cancellationToken)
    {
        byte[] prefix = [.. Encoding.UTF8.GetBytes(folder), (byte)'/'];
        var archive = new TreeArchive(new FileArchiver(output, prefix), maxDepth, cancellationToken);
        archive._archiver.AddRoot(prefix, root);
        archive.Walk(root, cancellationToken);
        archive._archiver.EndFile();
    }

    /// <summary>The end of a tar of folders.</summary>
    public static void Finish(Stream output) => new FileArchiver(output).Finish();

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
}
