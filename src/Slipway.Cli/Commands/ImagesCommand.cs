using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Slipway.Api.Images;
using Slipway.Cli.Output;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway images</c>.</summary>
internal static class ImagesCommand
{
    public static Command Create()
    {
        Option<bool> all = new("--all", "-a") { Description = "Show all images (default hides intermediate images)" };
        Option<bool> digests = new("--digests") { Description = "Show digests" };
        Option<string[]> filter = new("--filter", "-f") { Description = "Filter output based on conditions provided" };
        Option<string?> format = new("--format") { Description = "Format output: 'table', 'table TEMPLATE', 'json' or a Go template" };
        Option<bool> noTrunc = new("--no-trunc") { Description = "Don't truncate output" };
        Option<bool> quiet = new("--quiet", "-q") { Description = "Only show image IDs" };
        Argument<string?> repository = new("REPOSITORY") { Arity = ArgumentArity.ZeroOrOne };
        Command command = new("images", "List images") { all, digests, filter, format, noTrunc, quiet, repository };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            Dictionary<string, List<string>> filters = EngineCommand.Filters(result.GetValue(filter));
            if (result.GetValue(repository) is { } reference)
            {
                (filters.TryGetValue("reference", out List<string>? list) ? list : filters["reference"] = []).Add(reference);
            }

            List<ImageSummary> images = await client.ListImagesAsync(result.GetValue(all), filters, cancellationToken).ConfigureAwait(false);
            (string, string)[] columns = [("REPOSITORY", "Repository"), ("TAG", "Tag"), ("IMAGE ID", "ID"), ("CREATED", "CreatedSince"), ("SIZE", "Size")];
            Listing listing = new(result.GetValue(digests) ? [.. columns[..2], ("DIGEST", "Digest"), .. columns[2..]] : columns);
            foreach (ImageSummary image in images)
            {
                foreach (JsonObject row in Rows(image, result.GetValue(noTrunc)))
                {
                    listing.Add(row);
                }
            }

            if (result.GetValue(quiet) && result.GetValue(format) is null)
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

    /// <summary>A row for each name; an image without a name has one of its own.</summary>
    private static IEnumerable<JsonObject> Rows(ImageSummary image, bool whole)
    {
        List<string> tags = image.RepoTags.Count > 0 ? image.RepoTags : ["<none>:<none>"];
        foreach (string name in tags)
        {
            int colon = name.LastIndexOf(':');
            string repository = name[..colon];
            string? digest = image.RepoDigests.Find(d => d.StartsWith(repository + "@", StringComparison.Ordinal));
            yield return new JsonObject
            {
                ["Containers"] = image.Containers < 0 ? "N/A" : image.Containers.ToString(CultureInfo.InvariantCulture),
                ["CreatedAt"] = DateTimeOffset.FromUnixTimeSeconds(image.Created).ToLocalTime().ToString("yyyy-MM-dd HH:mm:ss zzz", CultureInfo.InvariantCulture),
                ["CreatedSince"] = HumanText.Ago(image.Created, TimeProvider.System),
                ["Digest"] = digest is null ? "<none>" : digest[(repository.Length + 1)..],
                ["ID"] = whole ? image.Id : HumanText.ShortId(image.Id),
                ["Repository"] = repository,
                ["Size"] = HumanText.Size(image.Size),
                ["Tag"] = name[(colon + 1)..],
            };
        }
    }
}
