using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Slipway.BuildKit.Clients;
using Slipway.BuildKit.Protocol;
using Slipway.Cli.Building;
using Slipway.Cli.Output;
using Slipway.Client;
using Slipway.Grpc;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway build ls|log|inspect|rm</c>: the builds that the engine remembers, whoever asked for them.</summary>
internal static class BuildHistoryCommands
{
    private const string LatestHint = "REF is a build's id or the beginning of it; the latest where it is missing";

    public static IEnumerable<Command> Create() => [CreateList(), CreateLog(), CreateInspect(), CreateRemove()];

    private static Command CreateList()
    {
        Option<string[]> filter = new("--filter", "-f") { Description = "Filter output: ref=, name=, target=, status=running|completed|error|canceled" };
        Option<string?> format = new("--format") { Description = "Format output: 'table', 'table TEMPLATE', 'json' or a Go template" };
        Option<bool> full = new("--no-trunc") { Description = "Don't truncate output" };
        Option<bool> quiet = new("--quiet", "-q") { Description = "Only display build IDs" };
        Command command = new("ls", "List builds") { filter, format, full, quiet };
        command.Aliases.Add("list");
        command.SetHistoryAction(async (result, history, cancellationToken) =>
        {
            Dictionary<string, List<string>> filters = EngineCommand.Filters(result.GetValue(filter));
            if (filters.Keys.FirstOrDefault(key => key is not ("ref" or "name" or "target" or "status")) is { } unknown)
            {
                throw new CommandException($"invalid filter '{unknown}'", 1);
            }

            Listing listing = new(("BUILD ID", "ID"), ("NAME", "Name"), ("STATUS", "Status"), ("STEPS", "Steps"), ("CREATED", "Created"), ("DURATION", "Duration"));
            foreach (HistoryRecord record in await history.ListAsync(cancellationToken).ConfigureAwait(false))
            {
                BuildView build = new(record, TimeProvider.System);
                if (Any("ref", build.Id.StartsWith) && Any("name", name => build.Name.Contains(name, StringComparison.Ordinal)) && Any("target", target => target == build.Target)
                    && Any("status", status => status == build.Status))
                {
                    listing.Add(build.Row(result.GetValue(full)));
                }

                bool Any(string key, Func<string, bool> matches) => !filters.TryGetValue(key, out List<string>? values) || values.Any(matches);
            }

            listing.WriteTo(Console.Out, result.GetValue(format), result.GetValue(quiet), "ID");
            return 0;
        });
        return command;
    }

    private static Command CreateLog()
    {
        Argument<string?> reference = Reference();
        Option<string> progress = new("--progress") { Description = "How the log is shown: plain, rawjson", DefaultValueFactory = _ => "plain" };
        Command command = new("log", "Show what a build told; of one that runs, until it ends") { reference, progress };
        command.Aliases.Add("logs");
        command.SetHistoryAction(async (result, history, cancellationToken) =>
        {
            BuildProgress shown = BuildProgress.Of(result.GetValue(progress)!, Console.Out);
            HistoryRecord record = await FindAsync(history, result.GetValue(reference), cancellationToken).ConfigureAwait(false);
            await history.ReplayAsync(record.Ref, shown.ShowAsync, cancellationToken).ConfigureAwait(false);
            await shown.EndAsync().ConfigureAwait(false);
            return 0;
        });
        return command;
    }

    private static Command CreateInspect()
    {
        Argument<string?> reference = Reference();
        Option<string?> format = new("--format", "-f") { Description = "Format output: 'json' or a Go template" };
        Command command = new("inspect", "Show what is known of a build") { reference, format };
        command.SetHistoryAction(async (result, history, cancellationToken) =>
        {
            HistoryRecord record = await FindAsync(history, result.GetValue(reference), cancellationToken).ConfigureAwait(false);
            InspectCommand.Print(new JsonArray(new BuildView(record, TimeProvider.System).Document()), result.GetValue(format));
            return 0;
        });
        return command;
    }

    private static Command CreateRemove()
    {
        Argument<string[]> references = new("REF") { Arity = ArgumentArity.ZeroOrMore };
        Option<bool> all = new("--all", "-a") { Description = "Remove all builds that have ended" };
        Command command = new("rm", "Remove builds from the history") { references, all };
        command.Aliases.Add("remove");
        command.SetHistoryAction(async (result, history, cancellationToken) =>
        {
            string[] given = result.GetValue(references) ?? [];
            if (result.GetValue(all) == given.Length > 0)
            {
                throw new CommandException(given.Length > 0 ? "cannot specify both --all and a build" : "\"slipway build rm\" requires at least 1 argument, or --all", 1);
            }

            IReadOnlyList<HistoryRecord> records = await history.ListAsync(cancellationToken).ConfigureAwait(false);
            int exitCode = 0;
            foreach (string reference in given.Length > 0 ? given : records.Where(record => record.CompletedAt is not null).Select(record => record.Ref))
            {
                try
                {
                    await history.RemoveAsync(Find(records, reference).Ref, cancellationToken).ConfigureAwait(false);
                    Console.WriteLine(reference);
                }
                catch (Exception error) when (error is GrpcException or CommandException)
                {
                    await Console.Error.WriteLineAsync($"ERROR: {error.Message.Replace("ERROR: ", "", StringComparison.Ordinal)}").ConfigureAwait(false);
                    exitCode = 1;
                }
            }

            return exitCode;
        });
        return command;
    }

    private static Argument<string?> Reference() => new("REF") { Arity = ArgumentArity.ZeroOrOne, Description = LatestHint };

    private static async Task<HistoryRecord> FindAsync(HistoryClient history, string? reference, CancellationToken cancellationToken) =>
        Find(await history.ListAsync(cancellationToken).ConfigureAwait(false), reference);

    /// <param name="reference">Null: the latest.</param>
    private static HistoryRecord Find(IReadOnlyList<HistoryRecord> records, string? reference)
    {
        if (string.IsNullOrEmpty(reference))
        {
            return records.Count > 0 ? records[0] : throw new CommandException("ERROR: no builds found", 1);
        }

        HistoryRecord[] found = [.. records.Where(record => record.Ref == reference)];
        found = found.Length > 0 ? found : [.. records.Where(record => record.Ref.StartsWith(reference, StringComparison.Ordinal))];
        return found.Length switch
        {
            1 => found[0],
            0 => throw new CommandException($"ERROR: no record found for ref \"{reference}\"", 1),
            _ => throw new CommandException($"ERROR: ref \"{reference}\" is ambiguous: {found.Length} builds begin with it", 1),
        };
    }

    private static void SetHistoryAction(this Command command, Func<ParseResult, HistoryClient, CancellationToken, Task<int>> action) =>
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            try
            {
                GrpcChannel channel = new(await client.UpgradeAsync("/grpc", [], cancellationToken).ConfigureAwait(false));
                await using (channel.ConfigureAwait(false))
                {
                    await channel.StartAsync(cancellationToken).ConfigureAwait(false);
                    return await action(result, new HistoryClient(channel), cancellationToken).ConfigureAwait(false);
                }
            }
            catch (GrpcException error)
            {
                throw new CommandException($"ERROR: {error.Message}", 1);
            }
        });
}
