namespace Slipway.Build.Syntax;

/// <summary>Something a RUN instruction sees besides its root file system (<c>--mount</c>). Values may have variables.</summary>
public sealed record RunMount
{
    public required RunMountType Type { get; init; }

    /// <summary>Where it is; of a secret or an agent null stands for the usual place.</summary>
    public string? Target { get; init; }

    /// <summary>What is shown: a path within <see cref="From"/>.</summary>
    public string? Source { get; init; }

    /// <summary>A stage, a named context or an image; null: the context, of a cache an empty directory.</summary>
    public string? From { get; init; }

    /// <summary>Null: binds are read-only, caches are not.</summary>
    public bool? ReadOnly { get; init; }

    /// <summary>Of a cache, a secret or an agent.</summary>
    public string? Id { get; init; }

    public CacheSharing Sharing { get; init; }

    /// <summary>Of a secret or an agent: the instruction fails where there is none.</summary>
    public bool Required { get; init; }

    /// <summary>Of a secret: the variable that holds it, in place of or beside a file.</summary>
    public string? Variable { get; init; }

    public string? Mode { get; init; }

    public string? UserId { get; init; }

    public string? GroupId { get; init; }

    /// <summary>Of a tmpfs: as written.</summary>
    public string? Size { get; init; }

    /// <param name="text">The flag's value: fields as in a line of CSV (RFC 4180).</param>
    internal static RunMount Parse(LogicalLine line, int offset, string text)
    {
        List<(string Key, string? Value)> fields = [.. Fields(line, offset, text).Select(field => field.Split('=', 2) is [var key, var value] ? (key.ToLowerInvariant(), value) : (field.ToLowerInvariant(), (string?)null))];
        string type = fields.LastOrDefault(field => field.Key == "type").Value ?? "bind";
        RunMount mount = new()
        {
            Type = type switch
            {
                "bind" => RunMountType.Bind,
                "cache" => RunMountType.Cache,
                "tmpfs" => RunMountType.Tmpfs,
                "secret" => RunMountType.Secret,
                "ssh" => RunMountType.Ssh,
                _ => throw Error(line, offset, Suggestion.Add($"unsupported mount type \"{type}\"", type, ["bind", "cache", "tmpfs", "secret", "ssh"])),
            },
        };
        foreach ((string key, string? value) in fields)
        {
            mount = mount.With(line, offset, key, value);
        }

        return mount switch
        {
            { Type: RunMountType.Bind or RunMountType.Cache or RunMountType.Tmpfs } when (mount.Target ?? "").Trim('/').Length == 0 => throw Error(line, offset, "invalid mount target \"/\""),
            { Type: RunMountType.Secret, Id: null, Source: null, Target: null } => throw Error(line, offset, "invalid secret mount. one of source, target required"),
            _ => mount,
        };
    }

    private RunMount With(LogicalLine line, int offset, string key, string? value)
    {
        if (value is null)
        {
            return key switch
            {
                "readonly" or "ro" when Type != RunMountType.Tmpfs => this with { ReadOnly = true },
                "readwrite" or "rw" when Type is RunMountType.Bind or RunMountType.Cache => this with { ReadOnly = false },
                "required" when Type is RunMountType.Secret or RunMountType.Ssh => this with { Required = true },
                "readonly" or "ro" or "readwrite" or "rw" or "required" => throw Error(line, offset, $"unexpected key '{key}' for mount type '{TypeName}'"),
                _ => throw Error(line, offset, IsKey(key) ? $"invalid field '{key}' must be a key=value pair" : Suggestion.Add($"unexpected key '{key}' in '{key}'", key, Keys)),
            };
        }

        return (key, Type) switch
        {
            ("type", _) => this,
            ("target" or "dst" or "destination", _) => this with { Target = value },
            ("source" or "src", RunMountType.Bind or RunMountType.Cache) => this with { Source = value },
            ("source" or "src", RunMountType.Secret) => this with { Source = value },
            ("from", RunMountType.Bind or RunMountType.Cache) => this with { From = value },
            ("readonly" or "ro", not RunMountType.Tmpfs) => this with { ReadOnly = Flag(key, value) },
            ("readwrite" or "rw", RunMountType.Bind or RunMountType.Cache) => this with { ReadOnly = !Flag(key, value) },
            ("required", RunMountType.Secret or RunMountType.Ssh) => this with { Required = Flag(key, value) },
            ("id", RunMountType.Cache or RunMountType.Secret or RunMountType.Ssh) => this with { Id = value },
            ("env", RunMountType.Secret) => this with { Variable = value },
            ("sharing", RunMountType.Cache) => this with
            {
                Sharing = value switch
                {
                    "shared" => CacheSharing.Shared,
                    "private" => CacheSharing.Private,
                    "locked" => CacheSharing.Locked,
                    _ => throw Error(line, offset, Suggestion.Add($"unsupported sharing value \"{value}\"", value, ["shared", "private", "locked"])),
                },
            },
            ("sharing", RunMountType.Secret) => throw Error(line, offset, "secret mount should not define sharing"),
            ("mode" or "uid" or "gid", RunMountType.Bind or RunMountType.Tmpfs) => throw Error(line, offset, $"{key} not allowed for \"{TypeName}\" type mounts"),
            ("mode", _) => this with { Mode = IsNumber(value, "01234567") ? value : throw Error(line, offset, $"invalid value {value} for mode") },
            ("uid", _) => this with { UserId = Id(value) },
            ("gid", _) => this with { GroupId = Id(value) },
            ("size", RunMountType.Tmpfs) => this with { Size = value },
            _ => throw Error(line, offset, IsKey(key) ? $"unexpected key '{key}' for mount type '{TypeName}'" : Suggestion.Add($"unexpected key '{key}' in '{key}={value}'", key, Keys)),
        };

        bool Flag(string name, string text) => text.ToLowerInvariant() switch
        {
            "true" or "1" => true,
            "false" or "0" => false,
            _ => throw Error(line, offset, $"invalid value for {name}: {text}"),
        };

        string Id(string text) => IsNumber(text, "0123456789") ? text : throw Error(line, offset, $"invalid value {text} for {key}");
    }

    private string TypeName => Type.ToString().ToLowerInvariant();

    /// <summary>BuildKit reads mounts when it comes to the instruction: an error is none of the parser.</summary>
    private static DockerfileException Error(LogicalLine line, int offset, string problem) => line.Error(offset, problem, DockerfileErrorKind.Meaning);

    private static bool IsNumber(string text, string digits) => text.Length is > 0 and <= 10 && text.AsSpan().IndexOfAnyExcept(digits) < 0;

    private static readonly string[] Keys =
        ["type", "target", "dst", "destination", "source", "src", "from", "readonly", "ro", "readwrite", "rw", "required", "id", "env", "sharing", "mode", "uid", "gid", "size"];

    private static bool IsKey(string key) => Keys.Contains(key);

    /// <summary>Separated by commas; one within quotes may have commas, and two quotes for one.</summary>
    private static IEnumerable<string> Fields(LogicalLine line, int offset, string text)
    {
        string unquoted = text.Length > 1 && text[0] is '"' or '\'' && text[^1] == text[0] ? text[1..^1] : text;
        int start = 0;
        while (start <= unquoted.Length)
        {
            if (start < unquoted.Length && unquoted[start] == '"')
            {
                int end = start + 1;
                while (end < unquoted.Length && (unquoted[end] != '"' || (end + 1 < unquoted.Length && unquoted[end + 1] == '"')))
                {
                    end += unquoted[end] == '"' ? 2 : 1;
                }

                if (end >= unquoted.Length || (end + 1 < unquoted.Length && unquoted[end + 1] != ','))
                {
                    throw Error(line, offset, "failed to parse csv mounts: a quote is not closed at the end of its field");
                }

                yield return unquoted[(start + 1)..end].Replace("\"\"", "\"", StringComparison.Ordinal);
                start = end + 2;
                continue;
            }

            int comma = unquoted.IndexOf(',', start);
            yield return comma < 0 ? unquoted[start..] : unquoted[start..comma];
            start = comma < 0 ? unquoted.Length + 1 : comma + 1;
        }
    }
}

public enum RunMountType
{
    Bind,
    Cache,
    Tmpfs,
    Secret,
    Ssh,
}

/// <summary>What several builds do that have the same cache mounted at the same time.</summary>
public enum CacheSharing
{
    /// <summary>All write to it.</summary>
    Shared,

    /// <summary>Each gets one of its own.</summary>
    Private,

    /// <summary>One waits for the other.</summary>
    Locked,
}
