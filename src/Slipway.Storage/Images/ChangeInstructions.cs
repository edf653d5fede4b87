using System.Globalization;
using System.Text;
using System.Text.Json;
using Slipway.Oci;

namespace Slipway.Storage.Images;

/// <summary>The Dockerfile instructions that <c>docker import</c> and <c>commit --change</c> take: those that only change the configuration.</summary>
public static class ChangeInstructions
{
    /// <summary>Applies instructions one after another.</summary>
    /// <exception cref="StorageException">InvalidParameter: an unknown or malformed instruction.</exception>
    public static ImageRunConfig Apply(ImageRunConfig config, IReadOnlyList<string> changes)
    {
        var commandGiven = false;
        foreach (var line in changes.SelectMany(change => change.Split('\n')).Select(line => line.Trim()).Where(line => line.Length > 0 && line[0] != '#'))
        {
            var (typed, text) = Split(line);
            var keyword = typed.ToUpperInvariant();
            if (!IsChange(keyword))
            {
                throw Invalid($"{typed} is not a valid change command");
            }

            config = Apply(config, keyword, text);
            commandGiven |= keyword == "CMD";
            if (keyword == "ENTRYPOINT" && !commandGiven)
            {
                // The command was written for another program (Dockerfile reference, "Understand how CMD and ENTRYPOINT interact").
                config = config with { Cmd = null };
            }
        }

        return config;
    }

    private static (string Keyword, string Text) Split(string line)
    {
        var space = line.AsSpan().IndexOfAny(' ', '\t');
        return space < 0 ? (line, "") : (line[..space], line[space..].Trim());
    }

    private static ImageRunConfig Apply(ImageRunConfig config, string keyword, string text)
    {
        if (text.Length == 0 && keyword is not ("CMD" or "ENTRYPOINT"))
        {
            throw Invalid($"{keyword} requires at least one argument");
        }

        if (keyword is "ENV" or "LABEL" or "EXPOSE" or "VOLUME" or "STOPSIGNAL" or "USER" or "WORKDIR")
        {
            text = VariableExpansion.Expand(text, config.Env ?? []);
        }

        return keyword switch
        {
            "CMD" => config with { Cmd = Command(text) },
            "ENTRYPOINT" => config with { Entrypoint = Command(text) },
            "ENV" => config with { Env = MergeEnv(config.Env, Pairs(keyword, text)) },
            "LABEL" => config with { Labels = MergeLabels(config.Labels, Pairs(keyword, text)) },
            "EXPOSE" => config with { ExposedPorts = MergeKeys(config.ExposedPorts, Words(text).SelectMany(Ports)) },
            "VOLUME" => config with { Volumes = MergeKeys(config.Volumes, ListOrWords(text)) },
            "ONBUILD" => config with { OnBuild = [.. config.OnBuild ?? [], OnBuild(text)] },
            "STOPSIGNAL" => config with { StopSignal = Words(text) is [var signal] ? signal : throw Invalid("STOPSIGNAL requires exactly one argument") },
            "USER" => config with { User = Words(text) is [var user] ? user : throw Invalid("USER requires exactly one argument") },
            "WORKDIR" => config with { WorkingDir = WorkingDirectory(config.WorkingDir, Unquote(text)) },
            "HEALTHCHECK" => config with { Healthcheck = HealthcheckInstruction.Parse(text) },
            _ => throw new ArgumentOutOfRangeException(nameof(keyword)),
        };
    }

    /// <summary>A JSON list is the exact command, anything else is for the shell.</summary>
    internal static IReadOnlyList<string> Command(string text) => text.Length == 0 ? [] : JsonList(text) ?? ["/bin/sh", "-c", text];

    internal static StorageException Invalid(string message) => new(StorageErrorKind.InvalidParameter, message);

    /// <summary>Words as a shell would split them: quotes group, a backslash takes the next character as it is.</summary>
    internal static List<string> Words(string text)
    {
        var words = new List<string>();
        var word = new StringBuilder();
        var quote = '\0';
        var started = false;
        for (var i = 0; i < text.Length; i++)
        {
            var c = text[i];
            if (c == '\\' && quote != '\'' && i + 1 < text.Length)
            {
                word.Append(text[++i]);
                started = true;
            }
            else if (quote != '\0' ? c == quote : c is '"' or '\'')
            {
                quote = quote == '\0' ? c : '\0';
                started = true;
            }
            else if (quote == '\0' && char.IsWhiteSpace(c))
            {
                if (started)
                {
                    words.Add(word.ToString());
                }

                word.Clear();
                started = false;
            }
            else
            {
                word.Append(c);
                started = true;
            }
        }

        if (quote != '\0')
        {
            throw Invalid("unexpected end of statement while looking for matching quote");
        }

        if (started)
        {
            words.Add(word.ToString());
        }

        return words;
    }

    private static bool IsChange(string keyword) =>
        keyword is "CMD" or "ENTRYPOINT" or "ENV" or "EXPOSE" or "HEALTHCHECK" or "LABEL" or "ONBUILD" or "STOPSIGNAL" or "USER" or "VOLUME" or "WORKDIR";

    private static List<string>? JsonList(string text)
    {
        if (!text.StartsWith('['))
        {
            return null;
        }

        try
        {
            using var document = JsonDocument.Parse(text);
            var list = new List<string>();
            foreach (var item in document.RootElement.EnumerateArray())
            {
                if (item.ValueKind != JsonValueKind.String)
                {
                    return null;
                }

                list.Add(item.GetString()!);
            }

            return list;
        }
        catch (JsonException)
        {
            // What looks like a list and is none is a command line, as in a Dockerfile.
            return null;
        }
    }

    private static List<string> ListOrWords(string text) => JsonList(text) ?? Words(text);

    private static string Unquote(string text) => Words(text) is [var word] ? word : text;

    /// <summary><c>NAME=value NAME=value</c>, or the old <c>NAME value</c>.</summary>
    private static List<KeyValuePair<string, string>> Pairs(string keyword, string text)
    {
        var words = Words(text);
        if (!words[0].Contains('=', StringComparison.Ordinal))
        {
            var space = text.AsSpan().IndexOfAny(' ', '\t');
            return space < 0 ? throw Invalid($"{keyword} must have two arguments") : [new(text[..space], Unquote(text[space..].Trim()))];
        }

        return [.. words.Select(word => word.Split('=', 2) is [{ Length: > 0 } name, var value]
            ? KeyValuePair.Create(name, value)
            : throw Invalid($"Syntax error - can't find = in \"{word}\". Must be of the form: name=value"))];
    }

    private static List<string> MergeEnv(IReadOnlyList<string>? env, List<KeyValuePair<string, string>> pairs)
    {
        var merged = (env ?? []).ToList();
        foreach (var (name, value) in pairs)
        {
            var at = merged.FindIndex(entry => entry.StartsWith(name + "=", StringComparison.Ordinal));
            if (at < 0)
            {
                merged.Add($"{name}={value}");
            }
            else
            {
                merged[at] = $"{name}={value}";
            }
        }

        return merged;
    }

    private static Dictionary<string, string> MergeLabels(IReadOnlyDictionary<string, string>? labels, List<KeyValuePair<string, string>> pairs)
    {
        var merged = new Dictionary<string, string>(labels ?? new Dictionary<string, string>());
        pairs.ForEach(pair => merged[pair.Key] = pair.Value);
        return merged;
    }

    private static Dictionary<string, EmptyObject> MergeKeys(IReadOnlyDictionary<string, EmptyObject>? set, IEnumerable<string> keys)
    {
        var merged = new Dictionary<string, EmptyObject>(set ?? new Dictionary<string, EmptyObject>());
        foreach (var key in keys)
        {
            merged[key] = EmptyObject.Value;
        }

        return merged;
    }

    /// <summary><c>80</c>, <c>53/udp</c>, <c>8000-8010/tcp</c>: a range stands for each of its ports.</summary>
    private static IEnumerable<string> Ports(string text)
    {
        var parts = text.Split('/');
        var protocol = parts.Length == 2 ? parts[1].ToLowerInvariant() : "tcp";
        var range = parts[0].Split('-');
        var valid = parts.Length <= 2 && protocol is "tcp" or "udp" or "sctp" && range.Length is 1 or 2;
        if (!valid || Number(range[0]) is not { } first || Number(range[^1]) is not { } last || last < first)
        {
            throw Invalid($"invalid containerPort: {text}");
        }

        return Enumerable.Range(first, last - first + 1).Select(port => string.Create(CultureInfo.InvariantCulture, $"{port}/{protocol}"));

        static int? Number(string port) => ushort.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0 ? number : null;
    }

    private static string OnBuild(string text) => text.Split(' ', '\t')[0].ToUpperInvariant() switch
    {
        "ONBUILD" => throw Invalid("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        "MAINTAINER" or "FROM" => throw Invalid($"{text.Split(' ', '\t')[0].ToUpperInvariant()} isn't allowed as an ONBUILD trigger"),
        _ => text,
    };

    /// <summary>Relative to the one before; <c>.</c> and <c>..</c> are taken out.</summary>
    private static string WorkingDirectory(string? current, string path)
    {
        var parts = new List<string>();
        foreach (var part in (path.StartsWith('/') ? path : $"{current}/{path}").Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            if (part == ".." && parts.Count > 0)
            {
                parts.RemoveAt(parts.Count - 1);
            }
            else if (part is not ("." or ".."))
            {
                parts.Add(part);
            }
        }

        return "/" + string.Join('/', parts);
    }
}
