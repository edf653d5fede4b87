using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;
using Slipway.Storage.Layers;

namespace Slipway.Storage.Changes;

/// <summary>What one tree has otherwise than another, as the tar of a layer that makes the first of the second. Both are mounts of layers that nobody writes to.</summary>
internal sealed class TreeDifference : TreeWalk, IDisposable
{
    private readonly LowerView _lower;
    private readonly FileArchiver _archiver;
    private readonly PendingDirectories _pending;
    private readonly CancellationToken _cancellationToken;

    /// <summary>For each directory that the walk is in: the names that the other tree has there, and this one has not shown yet.</summary>
    private readonly Stack<SortedSet<byte[]>> _missing = [];

    private TreeDifference(LowerView lower, Stream output, DateTimeOffset? newest, int maxDepth, CancellationToken cancellationToken)
        : base(maxDepth)
    {
        (_lower, _archiver, _cancellationToken) = (lower, new FileArchiver(output) { Newest = newest?.ToUnixTimeSeconds() ?? long.MaxValue }, cancellationToken);
        _pending = new PendingDirectories(_archiver);
    }

    /// <param name="newest">No file is told to be newer; null: times are what they are.</param>
    public static void Write(SafeFileHandle root, LowerView lower, Stream output, DateTimeOffset? newest, int maxDepth, CancellationToken cancellationToken)
    {
        using var difference = new TreeDifference(lower, output, newest, maxDepth, cancellationToken);
        difference._missing.Push(lower.Names([]));
        difference.Walk(root, cancellationToken);
        difference.WriteMissing([], FileStatus.Of(root));
        difference._archiver.Finish();
    }

    public void Dispose() => _pending.Dispose();

    protected override void Visit(in WalkedFile file)
    {
        _missing.Peek().Remove(file.Name.ToArray());
        if (!LayerArchive.IsUnwritable(file.Name) && (_lower.Find(file.Path) is not { } below || IsOther(file, below)))
        {
            _pending.Write();
            _archiver.AddFile(file, _cancellationToken);
        }
    }

    protected override bool Enter(in WalkedFile directory)
    {
        _missing.Peek().Remove(directory.Name.ToArray());
        if (LayerArchive.IsUnwritable(directory.Name))
        {
            return false;
        }

        var below = _lower.Find(directory.Path);
        _pending.Enter(directory);
        if (below is not { } other || _lower.Differs(directory, other))
        {
            _pending.Write();
        }

        _missing.Push(below is { IsDirectory: true } ? _lower.Names(directory.Path) : []);
        return true;
    }

    protected override void Leave(in WalkedFile directory)
    {
        WriteMissing(directory.Path, directory.Status);
        _pending.Leave(directory);
    }

    /// <summary>
    /// A file that a higher layer has made anew is another one, whatever its size and time tell: two versions of the same size have the same time where a build sets it. An overlay
    /// shows the inode numbers of the layers, which are on one file system (overlayfs.rst, "Inode properties").
    /// </summary>
    private bool IsOther(in WalkedFile file, in FileStatus below) => file.Status.Inode != below.Inode || _lower.Differs(file, below);

    private void WriteMissing(ReadOnlySpan<byte> directory, in FileStatus status)
    {
        var missing = _missing.Pop();
        if (missing.Count == 0)
        {
            return;
        }

        _pending.Write();
        byte[] prefix = directory.Length == 0 ? [] : [.. directory, (byte)'/'];
        foreach (var name in missing)
        {
            _archiver.AddMarker([.. prefix, .. Whiteout.Prefix, .. name], status);
        }
    }
}
