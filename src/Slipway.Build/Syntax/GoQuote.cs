using System.Globalization;
using System.Text;

namespace Slipway.Build.Syntax;

/// <summary>Go's <c>%q</c>, in which Docker writes histories and errors (pkg.go.dev/fmt).</summary>
public static class GoQuote
{
    public static string Of(string word)
    {
        StringBuilder text = new("\"");
        foreach (char c in word)
        {
            text.Append(c switch
            {
                '"' => "\\\"",
                '\\' => "\\\\",
                '\n' => "\\n",
                '\t' => "\\t",
                '\r' => "\\r",
                < ' ' => string.Create(CultureInfo.InvariantCulture, $"\\x{(int)c:x2}"),
                _ => c.ToString(),
            });
        }

        return text.Append('"').ToString();
    }

    /// <summary>A number as Go's <c>%q</c> writes it: the character it is the code of.</summary>
    public static string Of(int number) => number switch
    {
        7 => @"'\a'",
        8 => @"'\b'",
        9 => @"'\t'",
        10 => @"'\n'",
        11 => @"'\v'",
        12 => @"'\f'",
        13 => @"'\r'",
        '\'' => @"'\''",
        '\\' => @"'\\'",
        < ' ' or 0x7f => string.Create(CultureInfo.InvariantCulture, $"'\\x{number:x2}'"),
        < 0x7f => $"'{(char)number}'",
        _ => Rune.IsValid(number) ? $"'{new Rune(number)}'" : "'\uFFFD'",
    };
}
