using System.Diagnostics;
using System.Globalization;

namespace Slipway.Tests.Fuzz;

/// <summary>How long a fuzz test goes on: SLIPWAY_FUZZ_SECONDS, else what CI has time for. SLIPWAY_FUZZ_SEED repeats a run.</summary>
internal static class FuzzRun
{
    public static int Seed { get; } = Number("SLIPWAY_FUZZ_SEED") ?? Random.Shared.Next();

    /// <summary>Rounds with a generator of their own, which the seed that a failure tells brings back as the first.</summary>
    /// <param name="secondsInCi">Of the whole test.</param>
    public static IEnumerable<int> Rounds(int secondsInCi)
    {
        Stopwatch clock = Stopwatch.StartNew();
        TimeSpan duration = TimeSpan.FromSeconds(Number("SLIPWAY_FUZZ_SECONDS") ?? secondsInCi);
        for (int seed = Seed; seed == Seed || clock.Elapsed < duration; seed = unchecked(seed + 1))
        {
            yield return seed;
        }
    }

    private static int? Number(string variable) => int.TryParse(Environment.GetEnvironmentVariable(variable), CultureInfo.InvariantCulture, out int number) ? number : null;
}
