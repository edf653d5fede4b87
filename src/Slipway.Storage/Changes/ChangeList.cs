using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;

namespace Slipway.Storage.Changes;

/// <summary>What became of a path, with the numbers of the API.</summary>
public enum ChangeKind
{
    Modified = 0,
    Added = 1,
    Deleted = 2,
}

/// <summary>A line of <c>docker diff</c>.</summary>
/// <param name="Path">Absolute.</param>
public sealed record FileChange(ChangeKind Kind, string Path);

/// <summary>
/// What a container has changed of its image. A directory comes before what changed in it, and is listed for that even where it is
/// the same itself; what is gone comes after what is there.
/// </summary>
internal sealed class ChangeList(LowerView lower, int maxDepth) : TreeWalk(maxDepth)
{
    private readonly List<FileChange> _changes = [];
    private readonly Stack<Level> _levels = new([new Level(0, true, [])]);

    public static IReadOnlyList<FileChange> Of(SafeFileHandle upper, LowerView lower, int maxDepth, CancellationToken cancellationToken)
    {
        var list = new ChangeList(lower, maxDepth);
        list.Walk(upper, cancellationToken);
        list.AddDeleted(list._levels.Pop());
        return list._changes;
    }

    protected override void Visit(in WalkedFile file)
    {
        if (UpperTree.IsWhiteout(file.Status))
        {
            if (lower.Find(file.Path) is not null)
            {
                _levels.Peek().Deleted.Add(file.Path.ToArray());
            }
        }
        else
        {
            Compare(file);
        }
    }

    protected override bool Enter(in WalkedFile directory)
    {
        var start = _changes.Count;
        var below = Compare(directory);
        _levels.Push(new Level(start, _changes.Count > start, below is { IsDirectory: true } && UpperTree.IsOpaque(directory) ? lower.Names(directory.Path) : []));
        return true;
    }

    protected override void Leave(in WalkedFile directory)
    {
        var level = _levels.Pop();
        foreach (var name in level.Hidden)
        {
            level.Deleted.Add([.. directory.Path, (byte)'/', .. name]);
        }

        AddDeleted(level);
        if (!level.Listed && _changes.Count > level.Start)
        {
            _changes.Insert(level.Start, new FileChange(ChangeKind.Modified, Text(directory.Path)));
        }
    }

    /// <summary>Lists a file where it changed; returns what the image has at its path.</summary>
    private FileStatus? Compare(in WalkedFile file)
    {
        _levels.Peek().Hidden.Remove(file.Name.ToArray());
        if (lower.Find(file.Path) is not { } below)
        {
            if (!UpperTree.IsMountPoint(file.Path, file.Status))
            {
                _changes.Add(new FileChange(ChangeKind.Added, Text(file.Path)));
            }

            return null;
        }

        if (lower.Differs(file, below))
        {
            _changes.Add(new FileChange(ChangeKind.Modified, Text(file.Path)));
        }

        return below;
    }

    private void AddDeleted(Level level) => _changes.AddRange(level.Deleted.Select(path => new FileChange(ChangeKind.Deleted, Text(path))));

    private static string Text(ReadOnlySpan<byte> path) => "/" + Encoding.UTF8.GetString(path);

    /// <param name="Start">Where the directory's lines begin.</param>
    /// <param name="Listed">It has one of its own.</param>
    /// <param name="Hidden">Names of the image's that an opaque directory does not show, until the walk meets one of the same name.</param>
    private sealed record Level(int Start, bool Listed, SortedSet<byte[]> Hidden)
    {
        public List<byte[]> Deleted { get; } = [];
    }
}
