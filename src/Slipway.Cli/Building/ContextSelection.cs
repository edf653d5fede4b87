using Slipway.Build.Context;
using Slipway.BuildKit.Files;

namespace Slipway.Cli.Building;

/// <summary>Which files of a folder are sent: those asked for, without those that a .dockerignore leaves out.</summary>
internal sealed class ContextSelection : FileSelection
{
    private const int MaximumLinks = 40;

    private readonly IgnoreFile _ignored;
    private readonly HashSet<string> _wanted;

    /// <param name="folder">Of the context: links on the way to what is asked for are followed in it.</param>
    /// <param name="paths">None: everything.</param>
    /// <param name="ignored">Lines of a .dockerignore.</param>
    /// <exception cref="FormatException">A line cannot be meant.</exception>
    public ContextSelection(string folder, IReadOnlyList<string> paths, IReadOnlyList<string> ignored)
    {
        _ignored = IgnoreFile.Parse(string.Join('\n', ignored));

        // What wildcards match is everything, as far as this side knows.
        bool isPattern = paths.Any(path => path.AsSpan().IndexOfAny("*?[") >= 0);
        _wanted = new HashSet<string>(isPattern ? [] : paths.SelectMany(path => Led(folder, path)), StringComparer.Ordinal);
    }

    public override FileChoice Choose(string path, bool isDirectory)
    {
        if (_wanted.Count > 0 && !IsWanted(path))
        {
            return isDirectory && _wanted.Any(wanted => wanted.StartsWith(path + "/", StringComparison.Ordinal)) ? FileChoice.Look : FileChoice.Skip;
        }

        return !_ignored.Ignores(path) ? FileChoice.Take : isDirectory && _ignored.HasExceptions ? FileChoice.Look : FileChoice.Skip;
    }

    private bool IsWanted(string path)
    {
        for (string at = path; ; at = at[..at.LastIndexOf('/')])
        {
            if (_wanted.Contains(at))
            {
                return true;
            }

            if (!at.Contains('/', StringComparison.Ordinal))
            {
                return false;
            }
        }
    }

    /// <summary>The path, and those to which its links lead within the folder.</summary>
    private static IEnumerable<string> Led(string folder, string path)
    {
        string root = Path.GetFullPath(folder);
        string at = Path.GetFullPath(Path.Combine(root, path.TrimStart('/')));
        for (int links = 0; links < MaximumLinks && at.StartsWith(root.TrimEnd('/') + "/", StringComparison.Ordinal); links++)
        {
            yield return Path.GetRelativePath(root, at);
            if (new FileInfo(at).LinkTarget is not { } target)
            {
                yield break;
            }

            at = Path.GetFullPath(target.StartsWith('/') ? root + target : Path.Combine(Path.GetDirectoryName(at)!, target));
        }
    }
}
