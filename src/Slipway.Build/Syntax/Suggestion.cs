namespace Slipway.Build.Syntax;

/// <summary>Finds what somebody may have meant.</summary>
internal static class Suggestion
{
    /// <summary>Letters that may differ, as in BuildKit.</summary>
    private const int MaximumDistance = 3;

    /// <summary>A word longer than that is nothing somebody mistyped.</summary>
    private const int LongestWord = 40;

    /// <returns>The message, followed by <c>(did you mean X?)</c> where a candidate is near.</returns>
    public static string Add(string message, string typed, IEnumerable<string> candidates) =>
        candidates.Where(_ => typed.Length <= LongestWord).Select(candidate => (Candidate: candidate, Distance: Distance(typed.ToUpperInvariant(), candidate.ToUpperInvariant())))
            .Where(pair => pair.Distance < Math.Min(MaximumDistance, pair.Candidate.Length) && pair.Distance > 0)
            .OrderBy(pair => pair.Distance)
            .Select(pair => $"{message} (did you mean {pair.Candidate}?)")
            .FirstOrDefault(message);

    /// <summary>How many letters must be put in, taken out, replaced or exchanged with the next (optimal string alignment).</summary>
    private static int Distance(string a, string b)
    {
        int[,] distance = new int[a.Length + 1, b.Length + 1];
        for (int i = 0; i <= a.Length; i++)
        {
            for (int j = 0; j <= b.Length; j++)
            {
                distance[i, j] = i == 0 || j == 0 ? i + j : Math.Min(
                    Math.Min(distance[i - 1, j], distance[i, j - 1]) + 1,
                    distance[i - 1, j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1));
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                {
                    distance[i, j] = Math.Min(distance[i, j], distance[i - 2, j - 2] + 1);
                }
            }
        }

        return distance[a.Length, b.Length];
    }
}
