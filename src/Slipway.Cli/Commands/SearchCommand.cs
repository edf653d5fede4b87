using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Slipway.Api.Registries;
using Slipway.Cli.Output;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway search</c>.</summary>
internal static class SearchCommand
{
    private const int DescriptionWidth = 45;

    public static Command Create()
    {
        Option<string[]> filter = new("--filter", "-f") { Description = "Filter output based on conditions provided" };
        Option<string?> format = new("--format") { Description = "Pretty-print search using a Go template" };
        Option<int?> limit = new("--limit") { Description = "Max number of search results" };
        Option<bool> noTrunc = new("--no-trunc") { Description = "Don't truncate output" };
        Argument<string> term = new("TERM");
        Command command = new("search", "Search Docker Hub for images") { filter, format, limit, noTrunc, term };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            List<SearchResult> found = await client.SearchAsync(
                result.GetValue(term)!, result.GetValue(limit), EngineCommand.Filters(result.GetValue(filter)), cancellationToken).ConfigureAwait(false);
            Listing listing = new(("NAME", "Name"), ("DESCRIPTION", "Description"), ("STARS", "StarCount"), ("OFFICIAL", "IsOfficial"));
            foreach (SearchResult item in found.OrderByDescending(item => item.StarCount))
            {
                string description = (item.Description ?? "").ReplaceLineEndings(" ");
                listing.Add(new JsonObject
                {
                    ["Description"] = result.GetValue(noTrunc) ? description : HumanText.Ellipsis(description, DescriptionWidth),
                    ["IsAutomated"] = item.IsAutomated ? "true" : "false",
                    ["IsOfficial"] = item.IsOfficial ? "[OK]" : "",
                    ["Name"] = item.Name,
                    ["StarCount"] = item.StarCount.ToString(CultureInfo.InvariantCulture),
                });
            }

            listing.WriteTo(Console.Out, result.GetValue(format));
            return 0;
        });
        return command;
    }
}
