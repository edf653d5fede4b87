using System.CommandLine;
using Slipway.Api.Containers;
using Slipway.Cli.Output;
using Slipway.Client;

namespace Slipway.Cli.Commands;

/// <summary>What a container wrote: diff, export, commit.</summary>
internal static class LayerCommands
{
    private const string ChangeLetters = "CAD";

    public static Command CreateDiff()
    {
        Option<string?> format = new("--format") { Description = "Format output: 'json' or a Go template" };
        Argument<string> container = Container();
        Command command = new("diff", "Inspect changes to files or directories on a container's filesystem") { format, container };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            Listing listing = new(("CHANGE TYPE", "Type"), ("PATH", "Path"));
            foreach (FilesystemChange change in await client.ContainerChangesAsync(result.GetValue(container)!, cancellationToken).ConfigureAwait(false))
            {
                listing.Add(new() { ["Path"] = change.Path, ["Type"] = ChangeLetters[change.Kind].ToString() });
            }

            listing.WriteTo(Console.Out, result.GetValue(format) ?? "{{.Type}} {{.Path}}");
            return 0;
        });
        return command;
    }

    public static Command CreateExport()
    {
        Option<string?> output = new("--output", "-o") { Description = "Write to a file, instead of STDOUT" };
        Argument<string> container = Container();
        Command command = new("export", "Export a container's filesystem as a tar archive") { output, container };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            string? path = result.GetValue(output);
            ArchiveOutput.RequireDestination(path);
            Stream archive = await client.ExportContainerAsync(result.GetValue(container)!, cancellationToken).ConfigureAwait(false);
            await using (archive.ConfigureAwait(false))
            {
                await ArchiveOutput.WriteAsync(archive, path, cancellationToken).ConfigureAwait(false);
            }

            return 0;
        });
        return command;
    }

    public static Command CreateCommit()
    {
        Option<string?> author = new("--author", "-a") { Description = "Author (e.g., \"John Hannibal Smith <hannibal@a-team.com>\")" };
        Option<string[]> change = new("--change", "-c") { Description = "Apply Dockerfile instruction to the created image" };
        Option<string?> message = new("--message", "-m") { Description = "Commit message" };
        Option<bool> pause = new("--pause", "-p") { Description = "Pause container during commit", DefaultValueFactory = _ => true };
        Argument<string> container = Container();
        Argument<string?> image = new("REPOSITORY[:TAG]") { Arity = ArgumentArity.ZeroOrOne };
        Command command = new("commit", "Create a new image from a container's changes") { author, change, message, pause, container, image };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            ContainerCommitOptions options = new(
                result.GetValue(container)!, result.GetValue(image), Tag: null, result.GetValue(message), result.GetValue(author), result.GetValue(pause), result.GetValue(change) ?? []);
            Console.WriteLine(await client.CommitContainerAsync(options, cancellationToken).ConfigureAwait(false));
            return 0;
        });
        return command;
    }

    private static Argument<string> Container() => new("CONTAINER") { CompletionSources = { Completion.Containers } };
}
