namespace Slipway.Tests.Differential;

/// <summary>
/// The accepted differences, <c>differences.txt</c>: a line <c>== TOPIC: CASE</c>, the reason in lines that begin with <c>#</c>, then the lines
/// that differ, <c>-</c> dockerd's and <c>+</c> Slipway's.
/// </summary>
internal static class Differences
{
    public static IReadOnlyDictionary<string, Accepted> Read()
    {
        var accepted = new Dictionary<string, Accepted>(StringComparer.Ordinal);
        Accepted? current = null;
        foreach (var line in File.ReadLines(Path.Combine(Script.Folder, "differences.txt")).Where(line => line.Length > 0))
        {
            if (line.StartsWith("== ", StringComparison.Ordinal))
            {
                current = new Accepted();
                accepted.Add(line[3..], current);
            }
            else if (current is not null)
            {
                (line[0] == '#' ? current.Reason : current.Lines).Add(line);
            }
        }
        return accepted;
    }

    /// <summary>The lines of a shortest edit from one transcript to the other, in order, without what both have.</summary>
    public static IReadOnlyList<string> Between(IReadOnlyList<string> dockerd, IReadOnlyList<string> slipway)
    {
        // Longest common subsequence, from the end: lengths[i, j] is that of what follows i and j.
        var lengths = new int[dockerd.Count + 1, slipway.Count + 1];
        for (var i = dockerd.Count - 1; i >= 0; i--)
        {
            for (var j = slipway.Count - 1; j >= 0; j--)
            {
                lengths[i, j] = dockerd[i] == slipway[j] ? lengths[i + 1, j + 1] + 1 : Math.Max(lengths[i + 1, j], lengths[i, j + 1]);
            }
        }

        var edit = new List<string>();
        for (int i = 0, j = 0; i < dockerd.Count || j < slipway.Count;)
        {
            if (i < dockerd.Count && j < slipway.Count && dockerd[i] == slipway[j])
            {
                i++;
                j++;
            }
            else if (j == slipway.Count || (i < dockerd.Count && lengths[i + 1, j] >= lengths[i, j + 1]))
            {
                edit.Add($"- {dockerd[i++]}".TrimEnd());
            }
            else
            {
                edit.Add($"+ {slipway[j++]}".TrimEnd());
            }
        }
        return edit;
    }
}

internal sealed class Accepted
{
    public List<string> Reason { get; } = [];

    public List<string> Lines { get; } = [];
}
