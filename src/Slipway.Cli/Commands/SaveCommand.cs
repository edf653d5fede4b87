using System.CommandLine;
using Slipway.Cli.Output;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway save</c>.</summary>
internal static class SaveCommand
{
    public static Command Create()
    {
        Option<string?> output = new("--output", "-o") { Description = "Write to a file, instead of STDOUT" };
        Argument<string[]> images = new("IMAGE") { Arity = ArgumentArity.OneOrMore, CompletionSources = { Completion.Images } };
        Command command = new("save", "Save one or more images to a tar archive (streamed to STDOUT by default)") { output, images };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            string? path = result.GetValue(output);
            ArchiveOutput.RequireDestination(path);
            Stream archive = await client.SaveImagesAsync(result.GetValue(images)!, cancellationToken).ConfigureAwait(false);
            await using (archive.ConfigureAwait(false))
            {
                await ArchiveOutput.WriteAsync(archive, path, cancellationToken).ConfigureAwait(false);
            }

            return 0;
        });
        return command;
    }
}
