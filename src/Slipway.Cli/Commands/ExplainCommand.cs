using System.CommandLine;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway explain</c>: the system calls that start a container.</summary>
internal static class ExplainCommand
{
    public static Command Create()
    {
        Argument<string> container = new("CONTAINER") { CompletionSources = { Completion.Containers } };
        Command command = new("explain", "Show the exact system calls that start a container") { container };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            Console.Write(await client.ExplainContainerAsync(result.GetValue(container)!, cancellationToken).ConfigureAwait(false));
            return 0;
        });
        return command;
    }
}
