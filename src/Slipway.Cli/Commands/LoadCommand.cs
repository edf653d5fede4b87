using System.CommandLine;
using Slipway.Cli.Output;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway load</c>.</summary>
internal static class LoadCommand
{
    public static Command Create()
    {
        Option<string?> input = new("--input", "-i") { Description = "Read from tar archive file, instead of STDIN" };
        Option<bool> quiet = new("--quiet", "-q") { Description = "Suppress the load output" };
        Command command = new("load", "Load an image from a tar archive or STDIN") { input, quiet };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            if (result.GetValue(input) is null && !Console.IsInputRedirected)
            {
                throw new CommandException("requested load from stdin, but stdin is empty", 1);
            }

            await EngineStarter.EnsureRunningAsync(client, cancellationToken).ConfigureAwait(false);
            Stream archive = result.GetValue(input) is { } path ? File.OpenRead(path) : Console.OpenStandardInput();
            await using (archive.ConfigureAwait(false))
            {
                await ProgressDisplay.ShowAsync(client.LoadImageAsync(archive, result.GetValue(quiet), cancellationToken), Console.Out).ConfigureAwait(false);
            }

            return 0;
        });
        return command;
    }
}
