using System.CommandLine;
using System.Net;
using System.Text.Json.Nodes;
using Slipway.Api.Containers;
using Slipway.Cli.Output;
using Slipway.Client;
using Slipway.Kernel.Terminal;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway stats</c>: what containers use, once or until it is interrupted.</summary>
internal static class StatsCommand
{
    // ECMA-48: CUP to the first cell, then ED to the end of the display.
    private const string Clear = "\e[H\e[J";

    public static Command Create()
    {
        Option<bool> all = new("--all", "-a") { Description = "Show all containers (default shows just running)" };
        Option<string?> format = new("--format") { Description = "Format output: 'table', 'table TEMPLATE', 'json' or a Go template" };
        Option<bool> once = new("--no-stream") { Description = "Disable streaming stats and only pull the first result" };
        Option<bool> whole = new("--no-trunc") { Description = "Do not truncate output" };
        Argument<string[]> containers = new("CONTAINER") { Arity = ArgumentArity.ZeroOrMore, CompletionSources = { Completion.Containers } };
        Command command = new("stats", "Display a live stream of container(s) resource usage statistics") { all, format, once, whole, containers };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            string[] names = result.GetValue(containers) ?? [];
            foreach (string name in names)
            {
                // A name that is wrong from the start is an error, one that goes later is not.
                await client.InspectContainerAsync(name, cancellationToken).ConfigureAwait(false);
            }

            bool single = result.GetValue(once);
            do
            {
                Listing listing = await ReadAsync(client, names, result.GetValue(all), result.GetValue(whole), cancellationToken).ConfigureAwait(false);
                if (!single && TerminalMode.IsTerminal(1))
                {
                    Console.Write(Clear);
                }

                listing.WriteTo(Console.Out, result.GetValue(format));
            }
            while (!single);
            return 0;
        });
        return command;
    }

    /// <summary>One sample of each. The engine measures over a second, of all at once: that paces the stream.</summary>
    private static async Task<Listing> ReadAsync(EngineClient client, string[] names, bool all, bool whole, CancellationToken cancellationToken)
    {
        Task second = Task.Delay(TimeSpan.FromSeconds(1), cancellationToken);
        if (names.Length == 0)
        {
            names = [.. (await client.ListContainersAsync(all, null, size: false, null, cancellationToken).ConfigureAwait(false)).Select(container => HumanText.ShortId(container.Id))];
        }

        Listing listing = new(
            ("CONTAINER ID", "ID"), ("NAME", "Name"), ("CPU %", "CPUPerc"), ("MEM USAGE / LIMIT", "MemUsage"), ("MEM %", "MemPerc"), ("NET I/O", "NetIO"), ("BLOCK I/O", "BlockIO"), ("PIDS", "PIDs"));
        foreach (JsonObject row in await Task.WhenAll(names.Select(name => RowAsync(client, name, whole, cancellationToken))).ConfigureAwait(false))
        {
            listing.Add(row);
        }

        if (names.Length == 0)
        {
            await second.ConfigureAwait(false);
        }

        return listing;
    }

    private static async Task<JsonObject> RowAsync(EngineClient client, string name, bool whole, CancellationToken cancellationToken)
    {
        try
        {
            ContainerStats stats = await client.StatsAsync(name, cancellationToken).ConfigureAwait(false);
            return StatsRow.Of(name, stats, whole);
        }
        catch (EngineApiException exception) when (exception.Status == HttpStatusCode.NotFound)
        {
            return StatsRow.Gone(name);
        }
    }
}
