using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;
using Slipway.Storage.Layers;

namespace Slipway.Storage.Changes;

/// <summary>
/// A container's own layer as the tar of an image layer: overlay whiteouts become <c>.wh.</c> files, opaque directories get their
/// marker. Left out are directories that are there only because something was mounted inside, and files whose names mean a whiteout.
/// </summary>
internal sealed class LayerArchive : TreeWalk, IDisposable
{
    private readonly LowerView _lower;
    private readonly FileArchiver _archiver;
    private readonly CancellationToken _cancellationToken;
    private readonly PendingDirectories _pending;

    private LayerArchive(LowerView lower, Stream output, DateTimeOffset? newest, int maxDepth, CancellationToken cancellationToken)
        : base(maxDepth)
    {
        (_lower, _archiver, _cancellationToken) = (lower, new FileArchiver(output) { Newest = newest?.ToUnixTimeSeconds() ?? long.MaxValue }, cancellationToken);
        _pending = new PendingDirectories(_archiver);
    }

    /// <param name="newest">No file is told to be newer; null: times are what they are.</param>
    public static void Write(SafeFileHandle upper, LowerView lower, Stream output, DateTimeOffset? newest, int maxDepth, CancellationToken cancellationToken)
    {
        using var archive = new LayerArchive(lower, output, newest, maxDepth, cancellationToken);
        archive.Walk(upper, cancellationToken);
        archive._archiver.Finish();
    }

    public void Dispose() => _pending.Dispose();

    protected override void Visit(in WalkedFile file)
    {
        if (UpperTree.IsWhiteout(file.Status))
        {
            _pending.Write();
            var directory = file.Path[..^file.Name.Length];
            _archiver.AddMarker([.. directory, .. Whiteout.Prefix, .. file.Name], file.Status);
        }
        else if (!IsUnwritable(file.Name) && (!UpperTree.IsMountPoint(file.Path, file.Status) || _lower.Find(file.Path) is not null))
        {
            _pending.Write();
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
        _pending.Enter(directory);
        var opaque = below is { IsDirectory: true } && UpperTree.IsOpaque(directory);
        if (opaque || (below is { } other ? _lower.Differs(directory, other) : !UpperTree.IsMountPoint(directory.Path, directory.Status)))
        {
            _pending.Write();
        }

        if (opaque)
        {
            _archiver.AddMarker([.. directory.Path, (byte)'/', .. Whiteout.OpaqueMarker], directory.Status);
        }

        return true;
    }

    protected override void Leave(in WalkedFile directory) => _pending.Leave(directory);

    /// <summary>No image can hold a file of such a name: written down, it would take away another.</summary>
    internal static bool IsUnwritable(ReadOnlySpan<byte> name) => name.StartsWith(Whiteout.Prefix);
}
