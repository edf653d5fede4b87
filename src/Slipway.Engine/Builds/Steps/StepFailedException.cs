using Slipway.Build.Solving;
using Slipway.Build.Syntax;

namespace Slipway.Engine.Builds.Steps;

/// <summary>The program of a RUN ended with a code that is not zero.</summary>
internal sealed class StepFailedException(string message, int exitCode) : Exception(message)
{
    public int ExitCode { get; } = exitCode;

    /// <summary>In BuildKit's words.</summary>
    public static string Describe(RunOperation operation, string reason) => $"process {GoQuote.Of(string.Join(' ', operation.Arguments))} did not complete successfully: {reason}";
}
