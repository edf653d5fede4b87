using Slipway.BuildKit.Protocol;
using Slipway.Grpc;

namespace Slipway.Server.BuildKit;

/// <summary>Filters of cache records as BuildKit's clients write them: <c>type==regular,id~=abc,inuse</c>; any of several lists may match.</summary>
internal sealed class RecordFilter
{
    private static readonly string[] s_fields = ["id", "parent", "type", "description", "inuse", "mutable", "immutable", "shared", "private"];

    private readonly IReadOnlyList<IReadOnlyList<Condition>> _alternatives;

    private RecordFilter(IReadOnlyList<IReadOnlyList<Condition>> alternatives) => _alternatives = alternatives;

    /// <exception cref="GrpcException">InvalidArgument.</exception>
    public static RecordFilter Parse(IEnumerable<string> filters) => new([.. filters.Select(filter =>
        (IReadOnlyList<Condition>)[.. filter.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(ParseOne)])]);

    public bool Matches(CacheRecord record) => _alternatives.Count == 0 || _alternatives.Any(all => all.All(condition => condition.Matches(record)));

    private static Condition ParseOne(string text)
    {
        int field = text.AsSpan().IndexOfAny('=', '!', '~');
        string name = field < 0 ? text : text[..field];
        string sign = field < 0 ? "" : text[field..].Length >= 2 ? text[field..(field + 2)] : text[field..];
        return s_fields.Contains(name) && sign is ("" or "==" or "!=" or "~=")
            ? new Condition(name, sign, sign.Length == 0 ? "" : text[(field + 2)..].Trim('"'))
            : throw new GrpcException(GrpcStatusCode.InvalidArgument, $"invalid filter \"{text}\"");
    }

    /// <param name="Sign">None: it is there.</param>
    private sealed record Condition(string Field, string Sign, string Value)
    {
        public bool Matches(CacheRecord record) => Field switch
        {
            "id" => IsValue(record.Id),
            "parent" => Sign == "!=" ? record.Parents.All(IsValue) : record.Parents.Any(IsValue),
            "type" => IsValue(record.Type),
            "description" => IsValue(record.Description),
            "inuse" => IsFlag(record.IsInUse),
            "mutable" => IsFlag(record.IsMutable),
            "immutable" => IsFlag(!record.IsMutable),
            "shared" => IsFlag(record.IsShared),
            _ => IsFlag(!record.IsShared),
        };

        /// <summary>A pattern is searched for as text: a client's expression could take as long as it likes.</summary>
        private bool IsValue(string value) => Sign switch
        {
            "" => value.Length > 0,
            "==" => value == Value,
            "!=" => value != Value,
            _ => value.Contains(Value, StringComparison.Ordinal),
        };

        private bool IsFlag(bool value) => Sign is "" or "~=" ? value : (Sign == "==") == (value == (Value is "true" or "1"));
    }
}
