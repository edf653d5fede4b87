using System.Globalization;
using Slipway.Build.Syntax;
using Slipway.Engine.Builds.History;
using Slipway.Grpc;

namespace Slipway.Server.BuildKit;

/// <summary>
/// Filters of the history as BuildKit's clients write them: <c>status==error,startedAt&gt;=24h</c>; any of several lists may match. Times are ages (<c>24h</c>) or points in
/// time (RFC 3339).
/// </summary>
internal sealed class HistoryFilter
{
    private static readonly string[] s_fields = ["ref", "status", "repository"];
    private static readonly string[] s_times = ["startedAt", "completedAt", "duration"];
    private static readonly string[] s_signs = ["==", "!=", "~=", ">=", "<=", ">", "<"];

    private readonly IReadOnlyList<IReadOnlyList<Func<BuildRecord, bool>>> _alternatives;

    private HistoryFilter(IReadOnlyList<IReadOnlyList<Func<BuildRecord, bool>>> alternatives) => _alternatives = alternatives;

    /// <exception cref="GrpcException">InvalidArgument.</exception>
    public static HistoryFilter Parse(IEnumerable<string> filters, DateTimeOffset now) => new([.. filters.Select(filter =>
        (IReadOnlyList<Func<BuildRecord, bool>>)[.. filter.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(text => ParseOne(text.Trim(), now))])]);

    public bool Matches(BuildRecord record) => _alternatives.Count == 0 || _alternatives.Any(all => all.All(condition => condition(record)));

    private static Func<BuildRecord, bool> ParseOne(string text, DateTimeOffset now)
    {
        int at = text.AsSpan().IndexOfAny("=!~<>");
        string field = at < 0 ? text : text[..at];
        string sign = at < 0 ? "" : s_signs.FirstOrDefault(known => text.AsSpan(at).StartsWith(known)) ?? throw Invalid(text);
        string value = text[(field.Length + sign.Length)..].Trim('"');
        if (s_times.Contains(field) && sign is (">=" or "<=" or ">" or "<"))
        {
            return ParseTime(text, field, sign, value, now);
        }

        return s_fields.Contains(field) && sign is ("" or "==" or "!=" or "~=") ? record => IsValue(Of(record, field), sign, value) : throw Invalid(text);
    }

    private static Func<BuildRecord, bool> ParseTime(string text, string field, string sign, string value, DateTimeOffset now)
    {
        TimeSpan? span = SpanOf(value);
        if (field == "duration")
        {
            return span is { } length ? record => Compare(record.Completed - record.Started ?? TimeSpan.Zero, length, sign) : throw Invalid(text);
        }

        DateTimeOffset bound = span is { } age && age.Ticks <= now.UtcTicks ? now - age
            : span is null && DateTimeOffset.TryParse(value, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out DateTimeOffset given) ? given
            : throw Invalid(text);
        return record => Compare(field == "startedAt" ? record.Started : record.Completed ?? DateTimeOffset.UnixEpoch, bound, sign);
    }

    private static TimeSpan? SpanOf(string text)
    {
        try
        {
            return GoDuration.Parse(text);
        }
        catch (FormatException)
        {
            return null;
        }
    }

    private static bool Compare<T>(T value, T bound, string sign) where T : IComparable<T> => sign switch
    {
        ">=" => value.CompareTo(bound) >= 0,
        "<=" => value.CompareTo(bound) <= 0,
        ">" => value.CompareTo(bound) > 0,
        _ => value.CompareTo(bound) < 0,
    };

    private static string Of(BuildRecord record, string field) => field switch
    {
        "ref" => record.Reference,
        "status" => record.State switch { BuildState.Running => "running", BuildState.Completed => "completed", BuildState.Cancelled => "canceled", _ => "error" },
        _ => record.Attributes.GetValueOrDefault("context", "").Split('#')[0],
    };

    /// <summary>A pattern is searched for as text: a client's expression could take as long as it likes.</summary>
    private static bool IsValue(string value, string sign, string wanted) => sign switch
    {
        "" => value.Length > 0,
        "==" => value == wanted,
        "!=" => value != wanted,
        _ => value.Contains(wanted, StringComparison.Ordinal),
    };

    private static GrpcException Invalid(string text) => new(GrpcStatusCode.InvalidArgument, $"invalid filter \"{text}\"");
}
