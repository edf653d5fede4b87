namespace Slipway.BuildKit.Sessions;

/// <summary>Values of headers that clients take apart: as they are, or all of one name escaped where one cannot stand in a header.</summary>
public static class Metadata
{
    public static IEnumerable<KeyValuePair<string, string>> Encode(string name, IReadOnlyList<string> values)
    {
        bool isEscaped = values.Any(value => value.Any(c => c is < ' ' or > '~') || value.Trim(' ').Length != value.Length);
        foreach (string value in values)
        {
            yield return new(name, isEscaped ? Uri.EscapeDataString(value) : value);
        }

        if (isEscaped)
        {
            yield return new(name + "-encoded", "1");
        }
    }
}
