namespace Slipway.Cli;

/// <summary>What a command tells the user before it ends.</summary>
/// <param name="exitCode">125 stands for an error of the tool or the engine rather than of the container, as with docker.</param>
internal sealed class CommandException(string message, int exitCode = 125) : Exception(message)
{
    public int ExitCode { get; } = exitCode;
}
