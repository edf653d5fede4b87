namespace Slipway.Build.Graph;

/// <summary>
/// How much the variables of one build may be replaced by: thirty lines that each name the one before ten times would otherwise be more than any memory.
/// </summary>
internal sealed class SubstitutionBudget
{
    /// <summary>Characters of all replacements together.</summary>
    private const long Characters = 32L << 20;

    /// <summary>What a replacement counts for at least: its value may be put through a modifier.</summary>
    private const int Each = 2048;

    private long _spent;

    /// <exception cref="FormatException">It is used up.</exception>
    public string? Spend(string? value) => Interlocked.Add(ref _spent, Each + (value?.Length ?? 0)) <= Characters
        ? value
        : throw new FormatException("variables are replaced by too much text: they name each other too often");
}
