namespace Slipway.Tests.Harness;

/// <summary>What a finished program left: its exit code and both streams, decoded as UTF-8.</summary>
public sealed record CliResult(string Command, int ExitCode, string Output, string Error)
{
    /// <summary>Standard output without the last newline.</summary>
    public string Line => Output.TrimEnd('\n');

    public string[] Lines => Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>This result, when the program succeeded; otherwise the test fails with all it said.</summary>
    public CliResult Ok() => Exited(0);

    public CliResult Exited(int code)
    {
        Assert.True(ExitCode == code, $"expected exit code {code}: {this}");
        return this;
    }

    /// <summary>Both streams contain, together, the given text.</summary>
    public CliResult Says(string text, bool ignoreCase = false)
    {
        Assert.True((Output + Error).Contains(text, ignoreCase ? StringComparison.OrdinalIgnoreCase : StringComparison.Ordinal), $"expected \"{text}\" in: {this}");
        return this;
    }

    public override string ToString() => $"{Command}\n  exit {ExitCode}\n  out: {Output}\n  err: {Error}";
}
