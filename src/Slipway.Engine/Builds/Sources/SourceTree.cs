using System.Text;
using Slipway.Build.Context;
using Slipway.Oci.Tar;

namespace Slipway.Engine.Builds.Sources;

/// <summary>
/// A tree that a build reads. Links are followed here, by name and within the tree: the kernel is never given a path of which a part could be a link, so no
/// context leads anywhere (CVE-2024-1753 and kin).
/// </summary>
internal sealed class SourceTree(SourceNode root, IDisposable? owned = null) : IDisposable
{
    /// <summary>As the kernel (path_resolution(7)) has 40; more is a loop.</summary>
    private const int MaximumLinks = 40;

    public SourceNode Root { get; } = root;

    /// <summary>A path of a Dockerfile as names have it.</summary>
    public static string Text(string path) => Encoding.Latin1.GetString(Encoding.UTF8.GetBytes(path));

    /// <summary>A name for people.</summary>
    public static string Display(string name) => Encoding.UTF8.GetString(Encoding.Latin1.GetBytes(name));

    /// <summary>The file that a path leads to, links followed, also the last; null where there is none.</summary>
    public SourceNode? Find(string path) => Find(Root, path, followLast: true);

    /// <summary>Where a path leads, with what is missing of it as it stands there.</summary>
    /// <returns>The canonical path, without slashes at either end, and what is there.</returns>
    public (string Path, SourceNode? Node) Resolve(string path)
    {
        int links = 0;
        return Resolve(path, ref links);
    }

    /// <summary>
    /// The files that a path or a pattern (Go's filepath.Match, component by component) means, in byte order of their names; links are followed.
    /// </summary>
    /// <returns>Each with the name that was meant, which of a link is the link's own.</returns>
    public IReadOnlyList<(SourceNode Node, string Name)> Match(string pattern)
    {
        List<(SourceNode Node, string Name)> found = [(Root, Root.Name)];
        foreach (string part in Parts(pattern))
        {
            found = part.AsSpan().IndexOfAny("*?[\\") < 0
                ? [.. found.SelectMany(from => Led(from.Node, part))]
                : [.. found.SelectMany(from => Matching(from.Node, part).SelectMany(child => Led(from.Node, child.Name)))];
        }

        return found;
    }

    public void Dispose() => owned?.Dispose();

    /// <summary>Where a name leads; nothing where it leads nowhere.</summary>
    private IEnumerable<(SourceNode Node, string Name)> Led(SourceNode directory, string name) =>
        Find(directory, name, followLast: true) is { } node ? [(node, name == ".." ? node.Name : name)] : [];

    private static IEnumerable<SourceNode> Matching(SourceNode directory, string part)
    {
        IgnorePattern pattern = new(part);
        return directory.Children.Values.Where(child => pattern.MatchesOrContains(child.Name));
    }

    private SourceNode? Find(SourceNode from, string path, bool followLast)
    {
        int links = 0;
        return Find(from, Parts(path), followLast, ref links);
    }

    private SourceNode? Find(SourceNode from, ReadOnlySpan<string> parts, bool followLast, ref int links)
    {
        SourceNode node = from;
        for (int i = 0; i < parts.Length; i++)
        {
            string part = parts[i];
            if (part == "..")
            {
                node = node.Parent ?? node;
                continue;
            }

            if (!node.Children.TryGetValue(part, out SourceNode? child))
            {
                return null;
            }

            if (child.Entry.Type == TarEntryType.SymbolicLink && (followLast || i < parts.Length - 1))
            {
                string target = Encoding.Latin1.GetString(child.Entry.LinkName);
                if (++links > MaximumLinks)
                {
                    throw new EngineException(ErrorKind.InvalidParameter, $"too many links in path {Display(child.Path)}");
                }

                child = Find(target.StartsWith('/') ? Root : node, Parts(target), followLast: true, ref links);
                if (child is null)
                {
                    return null;
                }
            }

            node = child;
        }

        return node;
    }

    private (string Path, SourceNode? Node) Resolve(string path, ref int links)
    {
        List<string> missing = [];
        SourceNode node = Root;
        foreach (string part in Parts(path))
        {
            if (part == "..")
            {
                if (missing.Count > 0)
                {
                    missing.RemoveAt(missing.Count - 1);
                }
                else
                {
                    node = node.Parent ?? node;
                }

                continue;
            }

            if (missing.Count > 0 || !node.Children.TryGetValue(part, out SourceNode? child))
            {
                missing.Add(part);
                continue;
            }

            if (child.Entry.Type == TarEntryType.SymbolicLink)
            {
                if (++links > MaximumLinks)
                {
                    throw new EngineException(ErrorKind.InvalidParameter, $"too many links in path {Display(child.Path)}");
                }

                string target = Encoding.Latin1.GetString(child.Entry.LinkName);
                (string led, SourceNode? at) = Resolve(target.StartsWith('/') ? target : $"{node.Path}/{target}", ref links);
                if (at is null)
                {
                    (node, missing) = (Root, [.. led.Split('/')]);
                    continue;
                }

                child = at;
            }

            node = child;
        }

        return missing.Count == 0 ? (node.Path, node) : (node.Path.Length == 0 ? string.Join('/', missing) : $"{node.Path}/{string.Join('/', missing)}", null);
    }

    private static string[] Parts(string path) => [.. path.Split('/', StringSplitOptions.RemoveEmptyEntries).Where(part => part != ".")];
}
