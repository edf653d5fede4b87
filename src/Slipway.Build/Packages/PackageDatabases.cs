using System.Text.Json;

namespace Slipway.Build.Packages;

/// <summary>Reads the databases of package managers. They are an image's, so that nothing in them is relied on: what cannot be meant is passed over.</summary>
public static class PackageDatabases
{
    private static readonly JsonDocumentOptions s_json = new() { MaxDepth = 32, CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };

    /// <summary>dpkg's <c>status</c> (dpkg(1), deb-control(5)): paragraphs of fields; only what is installed counts.</summary>
    /// <param name="distribution">ID of os-release(5).</param>
    public static IEnumerable<Package> Dpkg(TextReader status, string distribution)
    {
        foreach (Dictionary<string, string> fields in Paragraphs(status, ": "))
        {
            // A file of status.d, as images without a package manager have them, says nothing of a state.
            if (fields.GetValueOrDefault("Package") is { Length: > 0 } name && (fields.GetValueOrDefault("Status")?.EndsWith(" installed", StringComparison.Ordinal) ?? true))
            {
                yield return new Package("deb", distribution, name, fields.GetValueOrDefault("Version", ""), fields.GetValueOrDefault("Architecture"));
            }
        }
    }

    /// <summary>apk's <c>installed</c> (apk v2, "Installed Database"): paragraphs of fields of one letter.</summary>
    public static IEnumerable<Package> Apk(TextReader installed, string distribution)
    {
        foreach (Dictionary<string, string> fields in Paragraphs(installed, ":"))
        {
            if (fields.GetValueOrDefault("P") is { Length: > 0 } name)
            {
                yield return new Package("apk", distribution, name, fields.GetValueOrDefault("V", ""), fields.GetValueOrDefault("A"), fields.GetValueOrDefault("L"));
            }
        }
    }

    /// <summary>.NET's <c>*.deps.json</c>: the libraries that are packages.</summary>
    public static IReadOnlyList<Package> Dotnet(ReadOnlyMemory<byte> dependencies) => Read<IReadOnlyList<Package>>(dependencies, [], root =>
    {
        List<Package> packages = [];
        foreach (JsonProperty library in Member(root, "libraries") is { ValueKind: JsonValueKind.Object } libraries ? libraries.EnumerateObject() : default)
        {
            if (Text(library.Value, "type") == "package" && library.Name.Split('/') is [{ Length: > 0 } name, var version])
            {
                packages.Add(new Package("nuget", "", name, version));
            }
        }

        return packages;
    });

    /// <summary>A <c>package.json</c> below <c>node_modules</c>; null: it names no package.</summary>
    public static Package? Node(ReadOnlyMemory<byte> manifest) => Read(manifest, null, root =>
    {
        if (Text(root, "name") is not { Length: > 0 } name || Text(root, "version") is not { Length: > 0 } version)
        {
            return null;
        }

        int slash = name.StartsWith('@') ? name.IndexOf('/', StringComparison.Ordinal) : -1;
        return new Package("npm", slash < 0 ? "" : name[..slash], name[(slash + 1)..], version, License: Text(root, "license"));
    });

    /// <summary>ID of <c>os-release</c> (os-release(5)); null: it says none.</summary>
    public static string? Distribution(TextReader release)
    {
        while (release.ReadLine() is { } line)
        {
            if (line.StartsWith("ID=", StringComparison.Ordinal))
            {
                return line[3..].Trim('"', '\'');
            }
        }

        return null;
    }

    private static IEnumerable<Dictionary<string, string>> Paragraphs(TextReader text, string mark)
    {
        Dictionary<string, string> fields = new(StringComparer.Ordinal);
        while (text.ReadLine() is { } line)
        {
            if (line.Length == 0)
            {
                yield return fields;
                fields = new Dictionary<string, string>(StringComparer.Ordinal);
            }
            else if (!char.IsWhiteSpace(line[0]) && line.IndexOf(mark, StringComparison.Ordinal) is > 0 and var at)
            {
                fields.TryAdd(line[..at], line[(at + mark.Length)..].Trim());
            }
        }

        yield return fields;
    }

    private static T Read<T>(ReadOnlyMemory<byte> json, T otherwise, Func<JsonElement, T> read)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(json, s_json);
            return read(document.RootElement);
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            // The latter: text of half characters.
            return otherwise;
        }
    }

    private static JsonElement? Member(JsonElement element, string name) => element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out JsonElement value) ? value : null;

    private static string? Text(JsonElement element, string name) => Member(element, name) is { ValueKind: JsonValueKind.String } value ? value.GetString() : null;
}
