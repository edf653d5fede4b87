using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Slipway.Tests.Fuzz.Api;

using Slipway.Tests.Harness;

/// <summary>A request to the engine's API. The body is null, JSON, or bytes.</summary>
internal sealed record ApiRequest(HttpMethod Method, string Path, byte[]? Body, string ContentType)
{
    public override string ToString()
    {
        var body = Body is null ? "" : $" {ContentType} {System.Text.Encoding.UTF8.GetString(Body)}";
        return $"{Method} {Path}{body}"[..Math.Min(4000, Path.Length + Method.Method.Length + 1 + body.Length)];
    }
}

/// <summary>
/// Makes requests that are nearly right: routes of the route table (docs/api-coverage.md is generated from it), query parameters that the endpoints read,
/// documents that the engine itself gave, each with a few things wrong.
/// </summary>
/// <param name="documents">Complete bodies by the end of the path they are sent to.</param>
internal sealed partial class RequestMaker(Random random, IReadOnlyDictionary<string, JsonNode> documents, string[] ids)
{
    private static readonly (HttpMethod Method, string Path)[] s_routes =
        [.. Route().Matches(File.ReadAllText(Path.Combine(Repository.Root, "docs", "api-coverage.md")))
            .Select(match => (new HttpMethod(match.Groups["method"].Value), match.Groups["path"].Value))];

    /// <summary>Every word the endpoints have: parameters are among them.</summary>
    private static readonly string[] s_parameters =
        [.. Directory.EnumerateFiles(Path.Combine(Repository.Root, "src", "Slipway.Server"), "*.cs", SearchOption.AllDirectories)
            .SelectMany(file => Word().Matches(File.ReadAllText(file))).Select(match => match.Groups["word"].Value).Distinct().Order(StringComparer.Ordinal)];

    private static readonly string[] s_texts =
    [
        "", "0", "1", "-1", "true", "false", "null", "[]", "{}", "x", "..", "../../etc/passwd", "/", "/tmp", "9223372036854775807", "18446744073709551616", "1e308", "NaN", "1.5",
        "2024-01-01T00:00:00Z", "1700000000.999999999", "\u0000", "\u00e9\u4e2d", "a b", "%00", "a/b", "sha256:", "sha256:" + "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"[..64],
        "container:x", "host", "bridge", "{\"status\":[\"running\"]}", "{\"label\":{\"a\":true}}", "{\"until\":[\"1h\"]}", "{\"id\":[null]}", "{\"a\":", "ctrl-p,ctrl-q", "SIGKILL", "RTMAX+1",
        "localhost:1/x:1", "alpine", "alpine@sha256:0", new string('a', 300), new string('z', 20_000),
    ];

    private static readonly JsonSerializerOptions s_deep = new() { MaxDepth = 2000 };

    public static int Routes => s_routes.Length;

    public ApiRequest Next()
    {
        var (method, template) = s_routes[random.Next(s_routes.Length)];
        var path = Placeholder().Replace(template, _ => Id());
        if (random.Next(3) > 0)
        {
            path = $"/v1.{random.Next(24, 51)}{path}";
        }

        // What may take as long as it likes is told to end.
        string[] query = template.EndsWith("/events", StringComparison.Ordinal) ? ["until=1"]
            : template.EndsWith("stop", StringComparison.Ordinal) || template.EndsWith("restart", StringComparison.Ordinal) ? ["t=0"]
            : [];
        query = [.. query, .. Enumerable.Range(0, random.Next(4)).Select(_ => s_parameters[random.Next(s_parameters.Length)])
            .Where(name => query.Length == 0 || name is not ("t" or "until")).Select(name => $"{name}={Uri.EscapeDataString(Text())}")];

        path += query.Length > 0 ? "?" + string.Join('&', query) : "";
        return method == HttpMethod.Get || method == HttpMethod.Head || method == HttpMethod.Delete
            ? new ApiRequest(method, path, null, "")
            : new ApiRequest(method, path, Body(template), random.Next(20) == 0 ? "text/plain" : "application/json");
    }

    private string Id() => random.Next(4) > 0 ? ids[random.Next(ids.Length)] : Uri.EscapeDataString(s_texts[random.Next(s_texts.Length - 1)]).Replace("..", "%2E%2E", StringComparison.Ordinal);

    private string Text() => random.Next(5) > 0 ? s_texts[random.Next(s_texts.Length)] : ids[random.Next(ids.Length)];

    private byte[]? Body(string template)
    {
        switch (random.Next(12))
        {
            case 0: return null;
            case 1: return System.Text.Encoding.UTF8.GetBytes(Text());
            case 2:
                var bytes = new byte[random.Next(2000)];
                random.NextBytes(bytes);
                return bytes;
        }

        var document = documents.FirstOrDefault(pair => template.EndsWith(pair.Key, StringComparison.Ordinal)).Value?.DeepClone() ?? new JsonObject();
        for (var i = random.Next(4); i > 0; i--)
        {
            document = Change(document);
        }

        var json = System.Text.Encoding.UTF8.GetBytes(document.ToJsonString(s_deep));
        return random.Next(20) == 0 ? json[..random.Next(json.Length)] : json;
    }

    /// <summary>One member or element, wherever it is, replaced, taken out, doubled or added.</summary>
    private JsonNode Change(JsonNode root)
    {
        var containers = new List<JsonNode>();
        Collect(root);
        switch (containers[random.Next(containers.Count)])
        {
            case JsonObject { Count: > 0 } members when random.Next(8) > 0:
                var name = members.ElementAt(random.Next(members.Count)).Key;
                if (random.Next(6) == 0)
                {
                    members.Remove(name);
                }
                else
                {
                    members[name] = Value();
                }
                break;
            case JsonObject members:
                members[Text()] = Value();
                break;
            case JsonArray elements when elements.Count > 0 && random.Next(2) == 0:
                elements[random.Next(elements.Count)] = Value();
                break;
            case JsonArray elements:
                elements.Add(Value());
                break;
        }
        return root;

        void Collect(JsonNode node)
        {
            containers.Add(node);
            foreach (var child in node switch { JsonObject members => members.Select(member => member.Value), JsonArray elements => elements, _ => [] })
            {
                if (child is JsonObject or JsonArray)
                {
                    Collect(child);
                }
            }
        }
    }

    private JsonNode? Value() => random.Next(14) switch
    {
        0 => null,
        1 => JsonValue.Create(true),
        2 => JsonValue.Create(0),
        3 => JsonValue.Create(-1),
        4 => JsonValue.Create(long.MaxValue),
        5 => JsonValue.Create(long.MinValue),
        6 => JsonNode.Parse("1e400"),
        7 => new JsonArray(),
        8 => new JsonArray(null, Text()),
        9 => new JsonObject(),
        10 => new JsonObject { [Text()] = Text() },
        11 => Deep(),
        _ => JsonValue.Create(Text()),
    };

    private static JsonNode Deep()
    {
        JsonNode node = new JsonArray();
        for (var i = 0; i < 100; i++)
        {
            node = new JsonArray(node);
        }
        return node;
    }

    [GeneratedRegex(@"^\| (?<method>[A-Z]+) \| `(?<path>[^`]+)` \| built", RegexOptions.Multiline)]
    private static partial Regex Route();

    [GeneratedRegex("\"(?<word>[a-zA-Z-]{1,20})\"")]
    private static partial Regex Word();

    [GeneratedRegex(@"\{\w+\}")]
    private static partial Regex Placeholder();
}
