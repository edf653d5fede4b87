using System.CommandLine;
using Slipway.Cli.Output;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway import</c>.</summary>
internal static class ImportCommand
{
    public static Command Create()
    {
        Option<string[]> change = new("--change", "-c") { Description = "Apply Dockerfile instruction to the created image" };
        Option<string?> message = new("--message", "-m") { Description = "Set commit message for imported image" };
        Option<string?> platform = new("--platform") { Description = "Set platform if server is multi-platform capable" };
        Argument<string> source = new("FILE|-");
        Argument<string?> repository = new("REPOSITORY[:TAG]") { Arity = ArgumentArity.ZeroOrOne };
        Command command = new("import", "Import the contents from a tarball to create a filesystem image") { change, message, platform, source, repository };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            await EngineStarter.EnsureRunningAsync(client, cancellationToken).ConfigureAwait(false);
            string path = result.GetValue(source)!;
            Stream archive = path == "-" ? Console.OpenStandardInput() : File.OpenRead(path);
            await using (archive.ConfigureAwait(false))
            {
                await ProgressDisplay.ShowAsync(
                    client.ImportImageAsync(archive, result.GetValue(repository), result.GetValue(message), result.GetValue(change) ?? [], result.GetValue(platform), cancellationToken),
                    Console.Out).ConfigureAwait(false);
            }

            return 0;
        });
        return command;
    }
}
