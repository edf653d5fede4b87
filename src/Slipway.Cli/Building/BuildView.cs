using System.Globalization;
using System.Text.Json.Nodes;
using Google.Protobuf.WellKnownTypes;
using Slipway.BuildKit.Protocol;
using Slipway.Cli.Output;

namespace Slipway.Cli.Building;

/// <summary>A remembered build, for those who read.</summary>
internal sealed class BuildView(HistoryRecord record, TimeProvider clock)
{
    private const int Canceled = 1;
    private const int ShortId = 12;
    private const int ShortName = 40;

    public string Id => record.Ref;

    public string Target => record.FrontendAttributes.TryGetValue("target", out string? target) ? target : "";

    /// <summary>That of the result, or else what it is built from.</summary>
    public string Name => new([.. FullName.Where(c => !char.IsControl(c))]);

    /// <summary>In BuildKit's words.</summary>
    public string Status => record.CompletedAt is null ? "running" : record.Error is null ? "completed" : record.Error.Code == Canceled ? "canceled" : "error";

    private string FullName => Names is [var first, ..] ? first
        : (record.FrontendAttributes.TryGetValue("context", out string? context) ? $"{context} " : "") + Dockerfile + (Target.Length > 0 ? $" ({Target})" : "");

    private string Dockerfile => record.FrontendAttributes.TryGetValue("filename", out string? file) ? file : "Dockerfile";

    private string[] Names => [.. record.Exporters.Where(exporter => exporter.Attributes.ContainsKey("name")).SelectMany(exporter => exporter.Attributes["name"].Split(','))];

    private TimeSpan Duration => (record.CompletedAt?.ToDateTimeOffset() ?? clock.GetUtcNow()) - record.CreatedAt.ToDateTimeOffset();

    /// <summary>Of <c>slipway build ls</c>.</summary>
    public JsonObject Row(bool isFull) => new()
    {
        ["ID"] = isFull || Id.Length <= ShortId ? Id : Id[..ShortId],
        [nameof(Name)] = isFull ? Name : HumanText.Ellipsis(Name, ShortName),
        [nameof(Status)] = Status,
        ["Steps"] = string.Create(CultureInfo.InvariantCulture, $"{record.CompletedSteps}/{record.TotalSteps}{(record.CachedSteps > 0 ? $" ({record.CachedSteps} cached)" : "")}"),
        ["Created"] = HumanText.Ago(record.CreatedAt.Seconds, clock),
        ["CreatedAt"] = Time(record.CreatedAt),
        ["CompletedAt"] = Time(record.CompletedAt),
        [nameof(Duration)] = string.Create(CultureInfo.InvariantCulture, $"{Duration.TotalSeconds:0.0}s"),
        [nameof(Target)] = Target,
        ["TotalSteps"] = record.TotalSteps,
        ["CompletedSteps"] = record.CompletedSteps,
        ["CachedSteps"] = record.CachedSteps,
    };

    /// <summary>Of <c>slipway build inspect</c>.</summary>
    public JsonObject Document()
    {
        record.ExporterResponse.TryGetValue("containerimage.config.digest", out string? image);
        return new JsonObject
        {
            ["Ref"] = Id,
            [nameof(Name)] = Name,
            [nameof(Names)] = new JsonArray([.. Names.Select(name => JsonValue.Create(name))]),
            [nameof(Dockerfile)] = Dockerfile,
            [nameof(Target)] = Target,
            ["Platform"] = record.FrontendAttributes.TryGetValue("platform", out string? platform) ? platform : "",
            [nameof(Status)] = Status,
            ["Error"] = record.Error?.Message ?? "",
            ["StartedAt"] = Time(record.CreatedAt),
            ["CompletedAt"] = Time(record.CompletedAt),
            [nameof(Duration)] = Duration.Ticks * 100,
            ["TotalSteps"] = record.TotalSteps,
            ["CompletedSteps"] = record.CompletedSteps,
            ["CachedSteps"] = record.CachedSteps,
            ["Warnings"] = record.Warnings,
            ["Image"] = image ?? "",
            ["Attributes"] = Object(record.FrontendAttributes),
            ["Result"] = Object(record.ExporterResponse),
        };
    }

    private static JsonObject Object(IEnumerable<KeyValuePair<string, string>> values) =>
        new(values.OrderBy(value => value.Key, StringComparer.Ordinal).Select(value => KeyValuePair.Create(value.Key, (JsonNode?)JsonValue.Create(value.Value))));

    private static string Time(Timestamp? time) => time is null ? "" : time.ToDateTimeOffset().ToString("yyyy-MM-ddTHH:mm:ss.fffffffZ", CultureInfo.InvariantCulture);
}
