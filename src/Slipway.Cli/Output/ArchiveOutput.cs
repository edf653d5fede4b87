namespace Slipway.Cli.Output;

/// <summary>Writes an archive that the engine sends to a file or to standard output.</summary>
internal static class ArchiveOutput
{
    /// <exception cref="CommandException">The archive would go to a terminal.</exception>
    public static void RequireDestination(string? path)
    {
        if (path is null && !Console.IsOutputRedirected)
        {
            throw new CommandException("cowardly refusing to save to a terminal. Use the -o flag or redirect", 1);
        }
    }

    /// <param name="path">Null for standard output. The file appears under its name only when it is whole.</param>
    public static async Task WriteAsync(Stream archive, string? path, CancellationToken cancellationToken)
    {
        if (path is null)
        {
            Stream stdout = Console.OpenStandardOutput();
            await using (stdout.ConfigureAwait(false))
            {
                await archive.CopyToAsync(stdout, cancellationToken).ConfigureAwait(false);
            }

            return;
        }

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
}
