using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;

namespace Slipway.BuildKit.Files;

/// <summary>How much of what clients sent is kept for their next builds.</summary>
/// <param name="Bytes">Of all trees that no build uses.</param>
/// <param name="Days">The greatest number: for ever.</param>
public sealed record ContextLimits(int Trees = 24, long Bytes = 20L << 30, int Days = 14);

/// <summary>A tree that is kept.</summary>
public sealed record KeptContext(string Id, long Size, DateTimeOffset LastUsed, bool InUse);

/// <summary>
/// Directories that clients sent, kept so that the next build gets only what changed. A tree is named after the directory (which client, which of its
/// directories), the selection of files, and a number: builds at the same time have trees of their own. All calls block.
/// </summary>
public sealed class ContextStore(string path, TimeProvider time, ContextLimits limits)
{
    private const uint DirectoryMode = 0x1c0;

    private readonly HostPath _root = new(path);
    private readonly HashSet<string> _inUse = new(StringComparer.Ordinal);

    /// <summary>Takes the tree for a directory and a selection of its files, or an empty one.</summary>
    /// <param name="directory">The same for the same directory of the same client.</param>
    /// <param name="selection">The same for the same selection of files.</param>
    public ContextTree Take(string directory, string selection)
    {
        string prefix = $"{Hash(directory)}.{Hash(selection)}.";
        lock (_inUse)
        {
            _root.CreateDirectories(DirectoryMode);
            using SafeFileHandle root = _root.Open(OpenFlags.Path | OpenFlags.Directory);
            int number = 0;
            while (_inUse.Contains(prefix + number.ToString(CultureInfo.InvariantCulture)))
            {
                number++;
            }

            string name = prefix + number.ToString(CultureInfo.InvariantCulture);
            if (DirectoryEntry.TryCreateDirectory(root, name, DirectoryMode) == 0)
            {
                using SafeFileHandle made = DirectoryEntry.Open(root, name, OpenFlags.Path | OpenFlags.Directory);
                DirectoryEntry.CreateDirectory(made, ContextTree.FilesName, 0x1ed);
            }

            ContextTree tree = Open(root, name);
            _inUse.Add(name);
            return tree;
        }
    }

    /// <summary>The finished trees of the same directory, other than <paramref name="tree"/>; the caller disposes them.</summary>
    public IReadOnlyList<ContextTree> Siblings(ContextTree tree)
    {
        string family = tree.Name[..(tree.Name.IndexOf('.', StringComparison.Ordinal) + 1)];
        using SafeFileHandle root = _root.Open(OpenFlags.Path | OpenFlags.Directory);
        List<ContextTree> siblings = [];
        foreach (string name in Names().Where(name => name != tree.Name && name.StartsWith(family, StringComparison.Ordinal)))
        {
            siblings.Add(Open(root, name));
        }

        return siblings;
    }

    /// <summary>Gives a tree back. It stays for the next build, unless it is not finished, or others are to be kept rather.</summary>
    public void Return(ContextTree tree)
    {
        Descriptors.SetTimes(tree.Files, FileTime.Now, FileTime.Unchanged);
        tree.Dispose();
        lock (_inUse)
        {
            _inUse.Remove(tree.Name);
        }

        Trim(limits);
    }

    /// <summary>What is kept, the last used first.</summary>
    public IReadOnlyList<KeptContext> List()
    {
        lock (_inUse)
        {
            if (_root.TryOpen(OpenFlags.Path | OpenFlags.Directory) is not { } root)
            {
                return [];
            }

            using (root)
            {
                List<KeptContext> kept = [];
                foreach (string name in Names())
                {
                    using ContextTree tree = Open(root, name);
                    FileTime used = FileStatus.Of(tree.Files).AccessTime;
                    kept.Add(new KeptContext(name, TreeIndex.TryReadSize(tree.Descriptor) ?? -1, DateTimeOffset.FromUnixTimeSeconds(used.Seconds), _inUse.Contains(name)));
                }

                return [.. kept.OrderByDescending(tree => tree.LastUsed)];
            }
        }
    }

    /// <summary>Removes what is beyond the limits and not in use.</summary>
    /// <param name="where">Which trees are meant; null: all.</param>
    /// <returns>What was removed.</returns>
    public IReadOnlyList<KeptContext> Trim(ContextLimits bounds, Func<KeptContext, bool>? where = null)
    {
        DateTimeOffset oldest = bounds.Days == int.MaxValue ? DateTimeOffset.MinValue : time.GetUtcNow() - TimeSpan.FromDays(bounds.Days);
        List<KeptContext> removed = [];
        int trees = 0;
        long bytes = 0;
        foreach (KeptContext tree in List().Where(tree => !tree.InUse && where?.Invoke(tree) != false))
        {
            trees++;
            bytes += Math.Max(tree.Size, 0);
            if (tree.Size < 0 || trees > bounds.Trees || bytes > bounds.Bytes || tree.LastUsed < oldest)
            {
                Remove(tree, removed);
            }
        }

        return removed;
    }

    private void Remove(KeptContext tree, List<KeptContext> removed)
    {
        lock (_inUse)
        {
            // A build may have taken it meanwhile.
            if (!_inUse.Contains(tree.Id))
            {
                using SafeFileHandle root = _root.Open(OpenFlags.ReadOnly | OpenFlags.Directory);
                TreeRemoval.Remove(root, tree.Id);
                removed.Add(tree);
            }
        }
    }

    private List<string> Names()
    {
        using SafeFileHandle root = _root.Open(OpenFlags.ReadOnly | OpenFlags.Directory);
        return [.. new DirectoryListing(root).Select(entry => Encoding.UTF8.GetString(entry.Name))];
    }

    private ContextTree Open(SafeFileHandle root, string name)
    {
        SafeFileHandle tree = DirectoryEntry.Open(root, name, OpenFlags.Path | OpenFlags.Directory);
        try
        {
            return new ContextTree(name, (_root / name / ContextTree.FilesName).Value, tree, DirectoryEntry.Open(tree, ContextTree.FilesName, OpenFlags.ReadOnly | OpenFlags.Directory));
        }
        catch
        {
            tree.Dispose();
            throw;
        }
    }

    private static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)).AsSpan(0, 12));
}
