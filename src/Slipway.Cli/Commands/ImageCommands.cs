using System.CommandLine;
using System.Text.Json.Nodes;
using Slipway.Api.Images;
using Slipway.Cli.Output;

namespace Slipway.Cli.Commands;

/// <summary>Short verbs about images: tag, rmi, history.</summary>
internal static class ImageCommands
{
    public static Command CreateTag()
    {
        Argument<string> source = new("SOURCE_IMAGE") { CompletionSources = { Completion.Images } };
        Argument<string> target = new("TARGET_IMAGE");
        Command command = new("tag", "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE") { source, target };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            (string repository, string? tag) = Split(result.GetValue(target)!);
            await client.TagImageAsync(result.GetValue(source)!, repository, tag, cancellationToken).ConfigureAwait(false);
            return 0;
        });
        return command;
    }

    public static Command CreateRmi()
    {
        Option<bool> force = new("--force", "-f") { Description = "Force removal of the image" };
        Option<bool> noPrune = new("--no-prune") { Description = "Do not delete untagged parents" };
        Argument<string[]> images = new("IMAGE") { Arity = ArgumentArity.OneOrMore, CompletionSources = { Completion.Images } };
        Command command = new("rmi", "Remove one or more images") { force, noPrune, images };
        command.SetEngineAction((result, client, cancellationToken) => EngineCommand.ForEachAsync(result.GetValue(images)!, async image =>
        {
            foreach (ImageDeleteItem item in await client.RemoveImageAsync(image, result.GetValue(force), !result.GetValue(noPrune), cancellationToken).ConfigureAwait(false))
            {
                Console.WriteLine(item.Deleted is { } deleted ? $"Deleted: {deleted}" : $"Untagged: {item.Untagged}");
            }
        }, print: false));
        return command;
    }

    public static Command CreateHistory()
    {
        Option<string?> format = new("--format") { Description = "Format output: 'table', 'table TEMPLATE', 'json' or a Go template" };
        Option<bool> noTrunc = new("--no-trunc") { Description = "Don't truncate output" };
        Option<bool> quiet = new("--quiet", "-q") { Description = "Only show image IDs" };
        Argument<string> image = new("IMAGE") { CompletionSources = { Completion.Images } };
        Command command = new("history", "Show the history of an image") { format, noTrunc, quiet, image };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            Listing listing = new(("IMAGE", "ID"), ("CREATED", "CreatedSince"), ("CREATED BY", "CreatedBy"), ("SIZE", "Size"), ("COMMENT", "Comment"));
            bool whole = result.GetValue(noTrunc);
            foreach (ImageHistoryItem item in await client.ImageHistoryAsync(result.GetValue(image)!, cancellationToken).ConfigureAwait(false))
            {
                listing.Add(new JsonObject
                {
                    ["Comment"] = item.Comment,
                    ["CreatedBy"] = whole ? item.CreatedBy : HumanText.Ellipsis(item.CreatedBy.Replace('\t', ' '), 45),
                    ["CreatedSince"] = HumanText.Ago(item.Created, TimeProvider.System),
                    ["ID"] = whole ? item.Id : HumanText.ShortId(item.Id),
                    ["Size"] = HumanText.Size(item.Size),
                });
            }

            if (result.GetValue(quiet))
            {
                listing.WriteIds(Console.Out, "ID");
            }
            else
            {
                listing.WriteTo(Console.Out, result.GetValue(format));
            }

            return 0;
        });
        return command;
    }

    /// <summary>Name and tag of a target; the engine checks both.</summary>
    private static (string Repository, string? Tag) Split(string name)
    {
        int colon = name.LastIndexOf(':');
        return colon > name.LastIndexOf('/') ? (name[..colon], name[(colon + 1)..]) : (name, null);
    }
}
