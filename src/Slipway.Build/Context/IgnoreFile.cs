namespace Slipway.Build.Context;

/// <summary>
/// A .dockerignore file (docs.docker.com/build/concepts/context/#dockerignore-files): which paths of a context are no part of it. The last line that matches a path
/// decides; one that matches a directory decides for all below it, unless a later one takes that back.
/// </summary>
public sealed class IgnoreFile
{
    private readonly List<(IgnorePattern Pattern, bool Includes)> _rules;

    private IgnoreFile(List<(IgnorePattern, bool)> rules) => _rules = rules;

    public static IgnoreFile Empty { get; } = new([]);

    /// <summary>Whether a directory that is left out may still have files below it that are not.</summary>
    public bool HasExceptions => _rules.Exists(rule => rule.Includes);

    /// <exception cref="FormatException">A pattern cannot be meant.</exception>
    public static IgnoreFile Parse(string text)
    {
        List<(IgnorePattern, bool)> rules = [];
        string[] lines = (text.StartsWith('\uFEFF') ? text[1..] : text).Split('\n');
        foreach (string line in lines)
        {
            if (line.StartsWith('#'))
            {
                continue;
            }

            string pattern = line.Trim();
            bool includes = pattern.StartsWith('!');
            if (includes)
            {
                pattern = pattern[1..].Trim();
                if (pattern.Length == 0)
                {
                    throw new FormatException("illegal exclusion pattern: \"!\"");
                }
            }

            string clean = Clean(pattern);

            // "For historical reasons, the pattern . is ignored."
            if (pattern.Length > 0 && clean != ".")
            {
                rules.Add((new IgnorePattern(clean), includes));
            }
        }

        return new IgnoreFile(rules);
    }

    /// <param name="path">Within the context, with slashes and without one at its beginning.</param>
    public bool Ignores(string path)
    {
        bool ignored = false;
        foreach ((IgnorePattern pattern, bool includes) in _rules)
        {
            // A rule that says what is the case already need not be looked at.
            if (includes == ignored && pattern.MatchesOrContains(path))
            {
                ignored = !includes;
            }
        }

        return ignored;
    }

    /// <summary>Without empty parts, <c>.</c> and what <c>..</c> takes back (Go's filepath.Clean), and without a slash at either end.</summary>
    private static string Clean(string pattern)
    {
        List<string> parts = [];
        foreach (string part in pattern.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            if (part == ".." && parts.Count > 0 && parts[^1] != "..")
            {
                parts.RemoveAt(parts.Count - 1);
            }
            else if (part != "." && (part != ".." || !pattern.StartsWith('/')))
            {
                parts.Add(part);
            }
        }

        return parts.Count == 0 ? "." : string.Join('/', parts);
    }
}
