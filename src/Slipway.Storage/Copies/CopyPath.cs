using System.Text;

namespace Slipway.Storage.Copies;

/// <summary>
/// A path in a container as <c>docker cp</c> names it: absolute or taken from the root, cleaned as text, <c>..</c> included. A trailing slash or
/// <c>/.</c> is kept, because it asserts a directory and follows a link.
/// </summary>
internal sealed record CopyPath
{
    private CopyPath(string text, bool assertsDirectory, string name) => (Text, AssertsDirectory, Name) = (text, assertsDirectory, name);

    /// <summary>Absolute, with the trailing slash or <c>/.</c>.</summary>
    public string Text { get; }

    public bool AssertsDirectory { get; }

    /// <summary>What the entries of an archive are named after: the last component, <c>.</c> for a trailing <c>/.</c>, or <c>/</c> for the root.</summary>
    public string Name { get; }

    public bool IsRoot => Text is "/" or "/.";

    public byte[] Bytes => Encoding.UTF8.GetBytes(Text);

    public static CopyPath Parse(string path)
    {
        var components = new List<string>();
        foreach (var component in path.Split('/'))
        {
            if (component == "..")
            {
                components.RemoveRange(Math.Max(components.Count - 1, 0), Math.Min(components.Count, 1));
            }
            else if (component is not ("" or "."))
            {
                components.Add(component);
            }
        }

        var clean = "/" + string.Join('/', components);
        var dot = path == "." || path.EndsWith("/.", StringComparison.Ordinal);
        var slash = path.EndsWith('/');
        var separator = components.Count == 0 ? "" : "/";
        return new CopyPath(
            dot ? $"{clean}{separator}." : slash ? clean + separator : clean,
            dot || slash || components.Count == 0,
            dot ? "." : components.Count == 0 ? "/" : components[^1]);
    }

    public override string ToString() => Text;
}
