using System.Globalization;
using System.Text.RegularExpressions;

namespace Slipway.Tests.Differential;

/// <summary>
/// Takes out of an output what differs from run to run (ids, times, folders) and nothing else. Ids are numbered in the order of their first
/// appearance in a case, so that the same id stays recognisable.
/// </summary>
internal sealed partial class Normalisation(string folder, string dataRoot)
{
    private readonly List<string> _ids = [];

    public IReadOnlyList<string> Apply(string output)
    {
        var text = output.Replace("\r", "", StringComparison.Ordinal)
            .Replace(folder, "<folder>", StringComparison.Ordinal)
            .Replace(dataRoot, "<root>", StringComparison.Ordinal);
        text = Time().Replace(text, "<time>");
        text = Id().Replace(text, match => Number(match.Value));
        text = Ago().Replace(text, "<a while>");
        text = ThroughWhom().Replace(text, "");
        text = Torn().Replace(text, "");
        text = Deprecated().Replace(text, "");
        text = Place().Replace(text, "");
        text = text.Replace("\e[0m\e[91m", "", StringComparison.Ordinal);
        text = Blanks().Replace(text, "  ");
        return [.. text.Split('\n').Select(line => line.TrimEnd()).SkipLast(1)];
    }

    private string Number(string id)
    {
        var at = _ids.FindIndex(known => known.StartsWith(id, StringComparison.Ordinal) || id.StartsWith(known, StringComparison.Ordinal));
        if (at < 0)
        {
            at = _ids.Count;
            _ids.Add(id);
        }
        else if (id.Length > _ids[at].Length)
        {
            _ids[at] = id;
        }
        return $"<{(id.Length == 12 ? "short " : "")}id {(at + 1).ToString(CultureInfo.InvariantCulture)}>";
    }

    [GeneratedRegex(@"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?(Z|[+-]\d\d:?\d\d))?( UTC)?")]
    private static partial Regex Time();

    [GeneratedRegex(@"(?<![0-9a-f])([0-9a-f]{64}|[0-9a-f]{12})(?![0-9a-f])")]
    private static partial Regex Id();

    [GeneratedRegex(@"Less than a second|About a(n hour| minute)|\b\d+ (second|minute|hour)s?\b")]
    private static partial Regex Ago();

    /// <summary>Through whose hands an error of a start came: dockerd names its shim and its runtime, and Slipway executes neither.</summary>
    [GeneratedRegex("failed to create task for container: |failed to create shim task: |OCI runtime (create|exec) failed: |runc create failed: |unable to start container process: |(?<=daemon: |^)exec failed: (?=exec|chdir)|: unknown(?=\\.?$|:)", RegexOptions.Multiline)]
    private static partial Regex ThroughWhom();

    /// <summary>What the client says when a refusal comes while it still sends, which is a race.</summary>
    [GeneratedRegex("^time=\"<time>\" level=error msg=\"Can't (add file|close tar writer).*\n", RegexOptions.Multiline)]
    private static partial Regex Torn();

    /// <summary>What the client says of the classic builder each time.</summary>
    [GeneratedRegex("^DEPRECATED: The legacy builder.*\n( {12}.*\n)+\n?", RegexOptions.Multiline)]
    private static partial Regex Deprecated();

    /// <summary>The lines of the Dockerfile around what cannot be read, which Slipway shows after Docker's words.</summary>
    [GeneratedRegex("\n[^\n]+:[0-9]+\n-{20}\n([^\n]+\n)+?-{20}(?=\n)")]
    private static partial Regex Place();

    /// <summary>Columns are as wide as what was taken out.</summary>
    [GeneratedRegex(@"(?<=\S) {2,}(?=\S)")]
    private static partial Regex Blanks();
}
