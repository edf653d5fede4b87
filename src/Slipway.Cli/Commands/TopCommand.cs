using System.CommandLine;
using Slipway.Api.Containers;
using Slipway.Cli.Output;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway top</c>.</summary>
internal static class TopCommand
{
    public static Command Create()
    {
        Argument<string> container = new("CONTAINER") { CompletionSources = { Completion.Containers } };
        Argument<string[]> arguments = new("PS_OPTIONS") { Arity = ArgumentArity.ZeroOrMore, CaptureRemainingTokens = true };
        Command command = new("top", "Display the running processes of a container") { container, arguments };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            string[] options = result.GetValue(arguments) ?? [];
            ContainerTop top = await client.TopAsync(result.GetValue(container)!, options.Length > 0 ? string.Join(' ', options) : null, cancellationToken).ConfigureAwait(false);
            Table table = new([.. top.Titles]);
            foreach (List<string> process in top.Processes)
            {
                table.Add([.. process]);
            }

            table.WriteTo(Console.Out);
            return 0;
        });
        return command;
    }
}
