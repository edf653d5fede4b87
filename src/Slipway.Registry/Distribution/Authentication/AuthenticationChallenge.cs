using System.Net.Http.Headers;

namespace Slipway.Registry.Distribution.Authentication;

/// <summary>One challenge of a WWW-Authenticate header (RFC 9110 11.6.1, RFC 6750 3).</summary>
/// <param name="Scheme">Lower case.</param>
/// <param name="Parameters">Names in lower case; of a parameter given twice, the first.</param>
internal sealed record AuthenticationChallenge(string Scheme, IReadOnlyDictionary<string, string> Parameters)
{
    private const int LongestHeader = 8 << 10;

    public string? this[string parameter] => Parameters.GetValueOrDefault(parameter);

    /// <summary>The challenges of an answer. What cannot be read is left out.</summary>
    public static IReadOnlyList<AuthenticationChallenge> Of(HttpResponseHeaders headers) =>
        headers.NonValidated.TryGetValues("WWW-Authenticate", out var values) ? [.. values.SelectMany(Parse)] : [];

    /// <summary>The challenge that is answered: a bearer token before a password, because it says less.</summary>
    public static AuthenticationChallenge? Choose(IReadOnlyList<AuthenticationChallenge> challenges) =>
        challenges.FirstOrDefault(challenge => challenge.Scheme == "bearer") ?? challenges.FirstOrDefault(challenge => challenge.Scheme == "basic");

    /// <summary>Reads a header's value: schemes, each with <c>name=value</c> pairs whose values may be quoted.</summary>
    internal static IEnumerable<AuthenticationChallenge> Parse(string header)
    {
        if (header.Length > LongestHeader)
        {
            yield break;
        }

        var position = 0;
        string? scheme = null;
        Dictionary<string, string> parameters = [];
        while (true)
        {
            SkipSeparators(header, ref position);
            var word = Token(header, ref position);
            if (word.Length == 0)
            {
                break;
            }

            var afterWord = position;
            SkipSpaces(header, ref position);
            if (scheme is not null && position < header.Length && header[position] == '=')
            {
                position++;
                SkipSpaces(header, ref position);
                parameters.TryAdd(word.ToLowerInvariant(), Value(header, ref position));
                continue;
            }

            if (scheme is not null)
            {
                yield return new AuthenticationChallenge(scheme, parameters);
            }

            (scheme, parameters, position) = (word.ToLowerInvariant(), [], afterWord);
        }

        if (scheme is not null)
        {
            yield return new AuthenticationChallenge(scheme, parameters);
        }
    }

    private static string Value(string text, ref int position)
    {
        if (position >= text.Length || text[position] != '"')
        {
            return Token(text, ref position);
        }

        var value = new System.Text.StringBuilder();
        for (position++; position < text.Length && text[position] != '"'; position++)
        {
            if (text[position] == '\\' && position + 1 < text.Length)
            {
                position++;
            }

            value.Append(text[position]);
        }

        position = Math.Min(position + 1, text.Length);
        return value.ToString();
    }

    private static string Token(string text, ref int position)
    {
        var start = position;
        while (position < text.Length && text[position] is not (' ' or '\t' or ',' or '=' or '"'))
        {
            position++;
        }

        return text[start..position];
    }

    private static void SkipSpaces(string text, ref int position)
    {
        while (position < text.Length && text[position] is ' ' or '\t')
        {
            position++;
        }
    }

    private static void SkipSeparators(string text, ref int position)
    {
        while (position < text.Length && text[position] is ' ' or '\t' or ',')
        {
            position++;
        }
    }
}
