namespace Slipway.Engine.Builds.Steps;

/// <summary>The program of a RUN ended with a code that is not zero.</summary>
internal sealed class StepFailedException(string message, int exitCode) : Exception(message)
{
    public int ExitCode { get; } = exitCode;
}
