using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;

namespace Slipway.Registry.Server.Pages;

/// <summary>Builds a page. Markup is written with <see cref="Raw"/>, which takes literals; every value goes through <see cref="Text"/>, which escapes.</summary>
internal sealed class Html
{
    private readonly StringBuilder _text = new();

    public Html Raw(string markup)
    {
        _text.Append(markup);
        return this;
    }

    /// <summary>For content and for attributes in double quotes.</summary>
    public Html Text(string? value)
    {
        _text.Append(HtmlEncoder.Default.Encode(value ?? ""));
        return this;
    }

    /// <summary>Markup with values: <c>Format($"&lt;b&gt;{name}&lt;/b&gt;")</c> escapes every hole.</summary>
    public Html Format(FormattableString markup)
    {
        _text.AppendFormat(CultureInfo.InvariantCulture, markup.Format, [.. markup.GetArguments().Select(value => HtmlEncoder.Default.Encode(Convert.ToString(value, CultureInfo.InvariantCulture) ?? ""))]);
        return this;
    }

    public override string ToString() => _text.ToString();
}

/// <summary>Values as people read them.</summary>
internal static class Readable
{
    private static readonly string[] s_units = ["B", "kB", "MB", "GB", "TB"];

    /// <summary>Decimal units, as docker prints them.</summary>
    public static string Bytes(long bytes)
    {
        double value = bytes;
        int unit = 0;
        while (value >= 1000 && unit < s_units.Length - 1)
        {
            value /= 1000;
            unit++;
        }

        return string.Create(CultureInfo.InvariantCulture, $"{value:0.##} {s_units[unit]}");
    }

    /// <summary>The day of a time in RFC 3339; empty for what is none.</summary>
    public static string Day(string? time) =>
        DateTimeOffset.TryParse(time, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out DateTimeOffset parsed)
            ? parsed.UtcDateTime.ToString("d MMMM yyyy, HH:mm 'UTC'", CultureInfo.InvariantCulture) : "";

    public static string Count(int count, string one, string many) => string.Create(CultureInfo.InvariantCulture, $"{count} {(count == 1 ? one : many)}");
}
