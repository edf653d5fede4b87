namespace Slipway.Engine.Containers.Create;

/// <summary>The paths that mounts name, and the words of their options.</summary>
internal static class MountPaths
{
    private static readonly HashSet<string> s_propagations = new(StringComparer.Ordinal) { "private", "rprivate", "slave", "rslave", "shared", "rshared" };

    public static bool IsPropagation(string word) => s_propagations.Contains(word);

    /// <summary>The target, normalized: <c>..</c> is taken out here, links inside the container are the launch's matter.</summary>
    /// <param name="where">What the error begins with.</param>
    public static string Destination(string text, string where)
    {
        if (!text.StartsWith('/'))
        {
            throw ContainerErrors.Invalid($"invalid mount path: '{text}' mount path must be absolute");
        }

        if (text.Contains('\0', StringComparison.Ordinal))
        {
            throw ContainerErrors.Invalid("invalid mount path: it contains a NUL character");
        }

        string path = Normalize(text);
        return path != "/" ? path : throw ContainerErrors.Invalid($"{where}: invalid specification: destination can't be '/'");
    }

    public static string Normalize(string path)
    {
        List<string> parts = [];
        foreach (string part in path.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            if (part == "..")
            {
                if (parts.Count > 0)
                {
                    parts.RemoveAt(parts.Count - 1);
                }
            }
            else if (part != ".")
            {
                parts.Add(part);
            }
        }

        return "/" + string.Join('/', parts);
    }

    /// <summary>Whether a path is relative and names nothing above where it starts. Links on its way are the launch's matter.</summary>
    public static bool IsLocal(string path)
    {
        if (path.StartsWith('/') || path.Contains('\0', StringComparison.Ordinal))
        {
            return false;
        }

        int depth = 0;
        foreach (string part in path.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            depth += part switch { ".." => -1, "." => 0, _ => 1 };
            if (depth < 0)
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>The options of a bind.</summary>
    /// <param name="readOnlyBelow">Mounts below the source are read-only too.</param>
    public static IReadOnlyList<string> BindOptions(bool recursive, bool readOnly, bool readOnlyBelow, string propagation) =>
        [recursive ? "rbind" : "bind", propagation, readOnly ? readOnlyBelow ? "rro" : "ro" : "rw"];
}
