namespace Slipway.Build.Scaffolding;

/// <summary>The files of a project as a template looks at them: names and small texts, nothing is executed.</summary>
public sealed class ProjectFolder
{
    /// <summary>Of a file that is looked into; project files are small.</summary>
    private const int MaxText = 1 << 20;

    /// <summary>Levels of folders that are searched.</summary>
    private const int Depth = 3;

    private static readonly EnumerationOptions s_search = new()
    {
        RecurseSubdirectories = true, MaxRecursionDepth = Depth, IgnoreInaccessible = true, AttributesToSkip = FileAttributes.Hidden | FileAttributes.ReparsePoint,
    };

    /// <param name="path">An existing directory.</param>
    public ProjectFolder(string path) => Path = System.IO.Path.GetFullPath(path);

    public string Path { get; }

    /// <summary>A name for what is built here.</summary>
    public string Name => System.IO.Path.GetFileName(System.IO.Path.TrimEndingDirectorySeparator(Path));

    public bool Has(string name) => File.Exists(System.IO.Path.Combine(Path, name));

    public bool HasDirectory(string name) => Directory.Exists(System.IO.Path.Combine(Path, name));

    /// <summary>The first of these names that is there.</summary>
    public string? First(params ReadOnlySpan<string> names)
    {
        foreach (string name in names)
        {
            if (Has(name))
            {
                return name;
            }
        }

        return null;
    }

    /// <summary>A file's text; empty where it is missing or too large to be a project's description.</summary>
    public string Text(string name)
    {
        FileInfo file = new(System.IO.Path.Combine(Path, name));
        return file.Exists && file.Length <= MaxText ? File.ReadAllText(file.FullName) : "";
    }

    /// <summary>Paths relative to the folder, the shallowest first. Passed over are hidden folders, links, what others wrote or a build left, and names that would break a line.</summary>
    public IReadOnlyList<string> Find(string pattern) =>
    [
        .. Directory.EnumerateFiles(Path, pattern, s_search)
            .Select(path => System.IO.Path.GetRelativePath(Path, path))
            .Where(path => !path.Any(char.IsControl) && !path.Split('/').Any(part => part is "node_modules" or "vendor" or "bin" or "obj" or "target"))
            .OrderBy(path => path.Count(c => c == '/')).ThenBy(path => path, StringComparer.Ordinal),
    ];
}
