using System.CommandLine;
using System.Text.Json.Nodes;
using Slipway.Api.Secrets;
using Slipway.Cli.Options;
using Slipway.Cli.Output;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway secret</c>: as docker's, for plain containers.</summary>
internal static class SecretCommands
{
    public static Command Create() => new("secret", "Manage secrets") { CreateCreate(), CreateLs(), CreateInspect(), CreateRm() };

    private static Command CreateCreate()
    {
        Option<string[]> labels = new("--label", "-l") { Description = "Secret labels" };
        Argument<string> name = new("SECRET");
        Argument<string?> file = new("FILE") { Arity = ArgumentArity.ZeroOrOne, Description = "File with the value; - or nothing for standard input" };
        Command command = new("create", "Create a secret from a file or STDIN as content") { labels, name, file };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            using MemoryStream value = new();
            Stream source = result.GetValue(file) is { } path and not "-" ? File.OpenRead(path) : Console.OpenStandardInput();
            await using (source.ConfigureAwait(false))
            {
                await source.CopyToAsync(value, cancellationToken).ConfigureAwait(false);
            }

            SecretSpec spec = new() { Name = result.GetValue(name)!, Labels = KeyValues.Labels(null, result.GetValue(labels) ?? []), Data = Convert.ToBase64String(value.ToArray()) };
            Console.WriteLine(await client.CreateSecretAsync(spec, cancellationToken).ConfigureAwait(false));
            return 0;
        });
        return command;
    }

    private static Command CreateLs()
    {
        Option<string[]> filter = new("--filter", "-f") { Description = "Filter output based on conditions provided" };
        Option<string?> format = new("--format") { Description = "Format output: 'table', 'table TEMPLATE', 'json' or a Go template" };
        Option<bool> quiet = new("--quiet", "-q") { Description = "Only display IDs" };
        Command command = new("ls", "List secrets") { filter, format, quiet };
        command.Aliases.Add("list");
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            Listing listing = new(("ID", "ID"), ("NAME", "Name"), ("CREATED", "CreatedAt"), ("UPDATED", "UpdatedAt"));
            foreach (Secret secret in await client.ListSecretsAsync(EngineCommand.Filters(result.GetValue(filter)), cancellationToken).ConfigureAwait(false))
            {
                listing.Add(new JsonObject
                {
                    ["ID"] = secret.ID,
                    ["Name"] = secret.Spec.Name,
                    ["CreatedAt"] = secret.CreatedAt,
                    ["UpdatedAt"] = secret.UpdatedAt,
                    ["Labels"] = string.Join(',', (secret.Spec.Labels ?? []).Select(label => $"{label.Key}={label.Value}")),
                });
            }

            listing.WriteTo(Console.Out, result.GetValue(format), result.GetValue(quiet), "ID");
            return 0;
        });
        return command;
    }

    private static Command CreateInspect()
    {
        Argument<string[]> names = new("SECRET") { Arity = ArgumentArity.OneOrMore };
        Command command = new("inspect", "Display detailed information on one or more secrets") { names };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            JsonArray secrets = [];
            foreach (string name in result.GetValue(names)!)
            {
                secrets.Add(JsonNode.Parse(await client.InspectSecretAsync(name, cancellationToken).ConfigureAwait(false)));
            }

            Console.WriteLine(secrets.ToJsonString(JsonOutput.Indented));
            return 0;
        });
        return command;
    }

    private static Command CreateRm()
    {
        Argument<string[]> names = new("SECRET") { Arity = ArgumentArity.OneOrMore };
        Command command = new("rm", "Remove one or more secrets") { names };
        command.Aliases.Add("remove");
        command.SetEngineAction((result, client, cancellationToken) =>
            EngineCommand.ForEachAsync(result.GetValue(names)!, name => client.RemoveSecretAsync(name, cancellationToken)));
        return command;
    }
}
