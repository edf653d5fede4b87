using System.Globalization;

namespace Slipway.Tests.Harness;

/// <summary>How often a fault is made: SLIPWAY_FAULT_ROUNDS, else what CI has time for. SLIPWAY_FAULT_SEED repeats a run.</summary>
public static class Rounds
{
    public static int Seed { get; } = Number("SLIPWAY_FAULT_SEED") ?? Random.Shared.Next();

    public static int Of(int inCi) => Number("SLIPWAY_FAULT_ROUNDS") ?? inCi;

    private static int? Number(string variable) =>
        Environment.GetEnvironmentVariable(variable) is { Length: > 0 } text ? int.Parse(text, CultureInfo.InvariantCulture) : null;
}
