using System.Globalization;
using System.Text.RegularExpressions;

namespace Slipway.Build.Syntax;

/// <summary>What stands in an instruction for a here-document: <c>&lt;&lt;EOF</c>, <c>&lt;&lt;-EOF</c>, <c>&lt;&lt;"EOF"</c>, <c>3&lt;&lt;EOF</c>.</summary>
/// <param name="Offset">In the line.</param>
internal sealed partial record HeredocMark(int Offset, string Name, bool StripsTabs, bool Expands, int FileDescriptor)
{
    /// <summary>Those of an instruction's line, in order; only RUN, COPY and ADD have such, also behind ONBUILD.</summary>
    public static IEnumerable<HeredocMark> In(string line, char escape)
    {
        int start = 0;
        string keyword = Keyword(line, ref start);
        if (keyword == "ONBUILD")
        {
            keyword = Keyword(line, ref start);
        }

        if (keyword is not ("RUN" or "COPY" or "ADD"))
        {
            yield break;
        }

        foreach (Word word in Word.Split(line, start, escape))
        {
            if (TryParse(word) is { } mark)
            {
                yield return mark;
            }
        }
    }

    /// <summary>The mark that a word is, or null.</summary>
    public static HeredocMark? TryParse(Word word)
    {
        if (Form().Match(word.Text) is not { Success: true } match)
        {
            return null;
        }

        string name = match.Groups["name"].Value;
        bool quoted = name[0] is '"' or '\'';
        if (quoted && (name.Length < 3 || name[^1] != name[0]))
        {
            return null;
        }

        Group number = match.Groups["number"];
        return new HeredocMark(
            word.Offset, quoted ? name[1..^1] : name, match.Groups["dash"].Length > 0, !quoted, number.Length > 0 ? int.Parse(number.ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture) : 0);
    }

    /// <param name="start">Of the keyword; then of what follows it.</param>
    private static string Keyword(string line, ref int start)
    {
        int length = line.AsSpan(start).IndexOfAny(' ', '\t');
        if (length < 0)
        {
            (string last, start) = (line[start..], line.Length);
            return last.ToUpperInvariant();
        }

        string keyword = line.Substring(start, length).ToUpperInvariant();
        start += length;
        start += line.AsSpan(start).IndexOfAnyExcept(' ', '\t') is >= 0 and var blank ? blank : line.Length - start;
        return keyword;
    }

    [GeneratedRegex("""^(?<number>\d{0,3})<<(?<dash>-?)(?<name>"[^"<]+"|'[^'<]+'|[^<"'\s]+)$""", RegexOptions.ExplicitCapture)]
    private static partial Regex Form();
}
