using System.CommandLine;

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
            if (path is null && !Console.IsOutputRedirected)
            {
                throw new CommandException("cowardly refusing to save to a terminal. Use the -o flag or redirect", 1);
            }

            Stream archive = await client.SaveImagesAsync(result.GetValue(images)!, cancellationToken).ConfigureAwait(false);
            await using (archive.ConfigureAwait(false))
            {
                if (path is null)
                {
                    Stream stdout = Console.OpenStandardOutput();
                    await using (stdout.ConfigureAwait(false))
                    {
                        await archive.CopyToAsync(stdout, cancellationToken).ConfigureAwait(false);
                    }

                    return 0;
                }

                // The file appears under its name only when it is whole.
                string partial = path + ".partial";
                try
                {
                    FileStream file = File.Create(partial);
                    await using (file.ConfigureAwait(false))
                    {
                        await archive.CopyToAsync(file, cancellationToken).ConfigureAwait(false);
                    }

                    File.Move(partial, path, overwrite: true);
                }
                finally
                {
                    File.Delete(partial);
                }
            }

            return 0;
        });
        return command;
    }
}
