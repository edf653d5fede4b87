using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;
using Slipway.Storage.Layers;

namespace Slipway.Storage.Changes;

/// <summary>
/// A container's own layer as the tar of an image layer: overlay whiteouts become <c>.wh.</c> files, opaque directories get their
/// marker. Left out are directories that are there only because something was mounted inside, and files whose names mean a whiteout.
/// </summary>
internal sealed class LayerArchive : TreeWalk
{
    private readonly LowerView _lower;
    private readonly FileArchiver _archiver;
    private readonly CancellationToken _cancellationToken;

    /// <summary>The directories on the way whose entries are not written yet, deepest last.</summary>
    private readonly List<PendingDirectory> _pending = [];

    private LayerArchive(LowerView lower, Stream output, DateTimeOffset? newest, int maxDepth, CancellationToken cancellationToken)
        : base(maxDepth) => (_lower, _archiver, _cancellationToken) = (lower, new FileArchiver(output) { Newest = newest?.ToUnixTimeSeconds() ?? long.MaxValue }, cancellationToken);

    /// <param name="newest">No file is told to be newer; null: times are what they are.</param>
    public static void Write(SafeFileHandle upper, LowerView lower, Stream output, DateTimeOffset? newest, int maxDepth, CancellationToken cancellationToken)
    {
        var archive = new LayerArchive(lower, output, newest, maxDepth, cancellationToken);
        try
        {
            archive.Walk(upper, cancellationToken);
        }
        finally
        {
            archive._pending.ForEach(directory => directory.Parent.Dispose());
        }

        archive._archiver.Finish();
    }

    protected override void Visit(in WalkedFile file)
    {
        if (UpperTree.IsWhiteout(file.Status))
        {
            WritePending();
            var directory = file.Path[..^file.Name.Length];
            _archiver.AddMarker([.. directory, .. Whiteout.Prefix, .. file.Name], file.Status);
        }
        else if (!IsUnwritable(file.Name) && (!UpperTree.IsMountPoint(file.Path, file.Status) || _lower.Find(file.Path) is not null))
        {
            WritePending();
            _archiver.AddFile(file, _cancellationToken);
        }
    }

    protected override bool Enter(in WalkedFile directory)
    {
        if (IsUnwritable(directory.Name))
        {
            return false;
        }

        var below = _lower.Find(directory.Path);
        _pending.Add(new PendingDirectory(Descriptors.Duplicate(directory.Directory), directory.Path.ToArray(), directory.Status));
        var opaque = below is { IsDirectory: true } && UpperTree.IsOpaque(directory);
        if (opaque || (below is { } other ? _lower.Differs(directory, other) : !UpperTree.IsMountPoint(directory.Path, directory.Status)))
        {
            WritePending();
        }

        if (opaque)
        {
            _archiver.AddMarker([.. directory.Path, (byte)'/', .. Whiteout.OpaqueMarker], directory.Status);
        }

        return true;
    }

    protected override void Leave(in WalkedFile directory)
    {
        if (_pending.Count > 0 && _pending[^1].Path.AsSpan().SequenceEqual(directory.Path))
        {
            _pending[^1].Parent.Dispose();
            _pending.RemoveAt(_pending.Count - 1);
        }
    }

    /// <summary>No image can hold a file of such a name: written down, it would take away another.</summary>
    private static bool IsUnwritable(ReadOnlySpan<byte> name) => name.StartsWith(Whiteout.Prefix);

    /// <summary>Something is to be written: the directories it is in come before it.</summary>
    private void WritePending()
    {
        foreach (var directory in _pending)
        {
            _archiver.AddDirectory(directory.Parent, directory.Path, directory.Status);
            directory.Parent.Dispose();
        }

        _pending.Clear();
    }

    private readonly record struct PendingDirectory(SafeFileHandle Parent, byte[] Path, FileStatus Status);
}
