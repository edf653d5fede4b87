using Slipway.Server.Http;

namespace Slipway.Server.Authorization;

/// <summary>
/// Names of operations, for policies and the audit log: the kind of object and what is done, derived from the route, so that no route is without one.
/// docs/api-coverage.md lists them.
/// </summary>
internal static class Verbs
{
    /// <summary>The group of operations that look at objects without seeing what is in them.</summary>
    public const string Read = "read";

    /// <summary>To list builds that were done, of whomever, which is to read their logs: no route of its own, as it is asked over <c>/grpc</c>.</summary>
    public const string BuildHistory = "build.history";

    private static readonly HashSet<string> s_reading = new(StringComparer.Ordinal)
    {
        "system.ping", "system.info", "system.version", "system.events", "system.df", "system.disk", "containers.top", "containers.stats", "containers.changes", "containers.checkpoint-list", "images.history",
        "images.search", "distribution.inspect",
    };

    private static readonly Lazy<HashSet<string>> s_all = new(() => [.. RouteTable.Routes.Select(route => route.Verb), BuildHistory]);

    /// <param name="path">With parameters in braces.</param>
    public static string Of(string method, string path)
    {
        string[] words = [.. path.Split('/', StringSplitOptions.RemoveEmptyEntries).Where(word => word is not "slipway" && word[0] != '{').Select(word => word.TrimStart('_'))];
        bool named = path.Contains('{', StringComparison.Ordinal);
        return words switch
        {
            ["commit"] => "containers.commit",
            ["session"] => "build.session",
            ["grpc"] => "build.grpc",
            ["build"] => "build.run",
            ["disk"] => "system.disk",
            ["ping" or "info" or "version" or "events" or "auth"] => $"system.{words[0]}",
            ["containers", "exec"] => "exec.create",
            ["containers", "checkpoints"] => method switch { "GET" => "containers.checkpoint-list", "POST" => "containers.checkpoint-create", _ => "containers.checkpoint-remove" },
            ["containers", "archive"] => method == "PUT" ? "containers.archive-write" : "containers.archive-read",
            ["images", "get"] => "images.save",
            [var noun] => $"{noun}.{Plain(method, named)}",
            [var noun, "json"] => $"{noun}.{Plain(method, named)}",
            [var noun, var action, ..] => $"{noun}.{action}",
            _ => throw new ArgumentException($"{method} {path} names no object", nameof(path)),
        };
    }

    /// <summary>What every client needs to find out how to speak to the engine.</summary>
    public static bool IsAlwaysAllowed(string verb) => verb is "system.ping" or "system.version";

    public static bool IsReading(string verb) => s_reading.Contains(verb) || verb.EndsWith(".list", StringComparison.Ordinal) || verb.EndsWith(".inspect", StringComparison.Ordinal);

    /// <param name="pattern">As in a policy.</param>
    public static bool Covers(string pattern, string verb) =>
        pattern == SocketPolicy.Everything
        || pattern == verb
        || (pattern == Read && IsReading(verb))
        || (pattern.EndsWith(".*", StringComparison.Ordinal) && verb.StartsWith(pattern.AsSpan(0, pattern.Length - 1), StringComparison.Ordinal));

    public static bool Exists(string pattern) => s_all.Value.Any(verb => Covers(pattern, verb));

    private static string Plain(string method, bool named) => method switch
    {
        "DELETE" => "remove",
        "PUT" or "POST" => "update",
        _ => named ? "inspect" : "list",
    };
}
