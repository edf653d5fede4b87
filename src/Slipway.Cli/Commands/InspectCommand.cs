using System.CommandLine;
using System.Net;
using System.Text.Json.Nodes;
using Slipway.Cli.Output;
using Slipway.Client;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway inspect</c>.</summary>
internal static class InspectCommand
{
    public static Command Create()
    {
        Option<string?> format = new("--format", "-f") { Description = "Format output: 'json' or a Go template" };
        Option<bool> size = new("--size", "-s") { Description = "Display total file sizes if the type is container" };
        Option<string?> type = new("--type") { Description = "Only inspect objects of the given type (container or image)" };
        Argument<string[]> names = new("NAME|ID") { Arity = ArgumentArity.OneOrMore, CompletionSources = { Completion.Containers, Completion.Images } };
        Command command = new("inspect", "Return low-level information on engine objects") { format, size, type, names };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            if (result.GetValue(type) is { } wanted and not ("container" or "image" or ""))
            {
                throw new CommandException($"\"{wanted}\" is not a valid value for --type", 1);
            }

            JsonArray found = [];
            int exitCode = 0;
            foreach (string name in result.GetValue(names)!)
            {
                byte[]? json = await FindAsync(client, name, result.GetValue(type), result.GetValue(size), cancellationToken).ConfigureAwait(false);
                if (json is null)
                {
                    await Console.Error.WriteLineAsync($"Error: No such object: {name}").ConfigureAwait(false);
                    exitCode = 1;
                }
                else
                {
                    found.Add(JsonNode.Parse(json));
                }
            }

            Print(found, result.GetValue(format));
            return exitCode;
        });
        return command;
    }

    private static async Task<byte[]?> FindAsync(EngineClient client, string name, string? type, bool size, CancellationToken cancellationToken)
    {
        foreach (string kind in type is { Length: > 0 } ? [type] : (string[])["container", "image"])
        {
            try
            {
                return kind == "container"
                    ? await client.InspectContainerRawAsync(name, size, cancellationToken).ConfigureAwait(false)
                    : await client.InspectImageRawAsync(name, cancellationToken).ConfigureAwait(false);
            }
            catch (EngineApiException exception) when (exception.Status == HttpStatusCode.NotFound || (kind == "image" && exception.Status == HttpStatusCode.BadRequest))
            {
                // The next kind may have it.
            }
        }

        return null;
    }

    public static void Print(JsonArray found, string? format)
    {
        if (format is null or "" or "json")
        {
            Console.WriteLine(found.ToJsonString(format == "json" ? JsonOutput.Compact : JsonOutput.Indented));
            return;
        }

        GoTemplate template = GoTemplate.Parse(format);
        foreach (JsonNode? item in found)
        {
            Console.WriteLine(template.Execute(item));
        }
    }
}
