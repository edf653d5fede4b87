using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Slipway.Api;
using Slipway.Engine;

namespace Slipway.Server.Http;

/// <summary>
/// The query of a request, read as Docker reads it: names in their own spelling alone. (ASP.NET's collection passes over case; who looks at a request
/// before it is executed would see another one.)
/// </summary>
internal readonly struct QueryParameters(QueryString query)
{
    /// <summary>Empty where it is missing; the first where it comes more than once.</summary>
    public string this[string name]
    {
        get
        {
            foreach (QueryStringEnumerable.EncodedNameValuePair parameter in new QueryStringEnumerable(query.Value))
            {
                if (parameter.DecodeName().Span.SequenceEqual(name))
                {
                    return parameter.DecodeValue().ToString();
                }
            }

            return "";
        }
    }

    public string? Text(string name) => this[name] is { Length: > 0 } value ? value : null;

    public IReadOnlyList<string> All(string name) => [.. Pairs().Where(parameter => parameter.Key == name).Select(parameter => parameter.Value)];

    /// <summary>All parameters in order.</summary>
    public List<KeyValuePair<string, string>> Pairs()
    {
        List<KeyValuePair<string, string>> pairs = [];
        foreach (QueryStringEnumerable.EncodedNameValuePair parameter in new QueryStringEnumerable(query.Value))
        {
            pairs.Add(new(parameter.DecodeName().ToString(), parameter.DecodeValue().ToString()));
        }

        return pairs;
    }

    /// <summary>Everything is true but a handful of words.</summary>
    public bool Flag(string name) => this[name].Trim().ToLowerInvariant() is not ("" or "0" or "no" or "false" or "none");

    /// <exception cref="EngineException">InvalidParameter, in the words of Go.</exception>
    public int? Number(string name)
    {
        string text = this[name];
        return text.Length == 0 ? null : ParseNumber(text);
    }

    /// <summary>A side of a terminal.</summary>
    /// <exception cref="EngineException">InvalidParameter: missing, or no number.</exception>
    public ushort Size(string name) => (ushort)Math.Clamp(ParseNumber(this[name]), 0, ushort.MaxValue);

    /// <summary>Seconds since 1970 with up to nine decimals, or RFC 3339; null where it is missing, empty or zero.</summary>
    /// <exception cref="EngineException">InvalidParameter.</exception>
    public DateTimeOffset? Time(string name)
    {
        string text = this[name];
        return text is "" or "0" ? null : ParseTime(text);
    }

    /// <summary><c>{"key":["value"]}</c>, or the older <c>{"key":{"value":true}}</c>.</summary>
    /// <exception cref="EngineException">InvalidParameter.</exception>
    public Filters Filters(string name = "filters")
    {
        string text = this[name];
        if (text.Length == 0)
        {
            return Slipway.Engine.Filters.None;
        }

        try
        {
            using JsonDocument document = JsonDocument.Parse(text);
            Dictionary<string, IReadOnlyList<string>> values = new(StringComparer.Ordinal);
            foreach (JsonProperty property in document.RootElement.EnumerateObject())
            {
                values[property.Name] = Values(property.Value);
            }

            return new Filters(values);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new EngineException(ErrorKind.InvalidParameter, "invalid filter", e);
        }
    }

    private static List<string> Values(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Array => [.. element.EnumerateArray().Select(value => value.GetString() ?? throw new JsonException("a filter's value must be a string"))],
        JsonValueKind.Object => [.. element.EnumerateObject().Where(value => value.Value.GetBoolean()).Select(value => value.Name)],
        _ => throw new JsonException("a filter's values must be a list"),
    };

    private static int ParseNumber(string text) =>
        int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int number) ? number
            : throw new EngineException(ErrorKind.InvalidParameter, $"strconv.Atoi: parsing {Quote(text)}: invalid syntax");

    private static DateTimeOffset ParseTime(string text)
    {
        if (text.Contains('T', StringComparison.Ordinal)
            && DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out DateTimeOffset time))
        {
            return time;
        }

        int dot = text.IndexOf('.', StringComparison.Ordinal);
        string whole = dot < 0 ? text : text[..dot];
        string decimals = dot < 0 ? "" : text[(dot + 1)..];
        if (!long.TryParse(whole, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long seconds)
            || decimals.Length > 9
            || decimals.AsSpan().ContainsAnyExceptInRange('0', '9')
            || seconds < DateTimeOffset.MinValue.ToUnixTimeSeconds()
            || seconds > DateTimeOffset.MaxValue.ToUnixTimeSeconds() - 1)
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"strconv.ParseInt: parsing {Quote(text)}: invalid syntax");
        }

        long nanoseconds = long.Parse(decimals.PadRight(9, '0'), CultureInfo.InvariantCulture);
        return DateTimeOffset.FromUnixTimeSeconds(seconds).AddTicks(nanoseconds / 100);
    }

    private static string Quote(string text) => "\"" + text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal) + "\"";
}
