using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Slipway.Api.Containers;
using Slipway.Api.Disk;
using Slipway.Api.Images;
using Slipway.Cli.Output;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway system df</c>; with <c>--ledger</c> every object below the data root.</summary>
internal static class DiskUsageCommand
{
    public static Command Create()
    {
        Option<bool> verbose = new("--verbose", "-v") { Description = "Show detailed information on space usage" };
        Option<bool> ledger = new("--ledger") { Description = "Show every object below the data root, the largest first" };
        Option<string?> format = new("--format") { Description = "Format output: 'table', 'table TEMPLATE', 'json' or a Go template" };
        Command command = new("df", "Show disk usage") { verbose, ledger, format };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            if (result.GetValue(ledger))
            {
                WriteLedger(await client.DiskLedgerAsync(cancellationToken).ConfigureAwait(false), result.GetValue(format));
                return 0;
            }

            DiskUsage usage = await client.DiskUsageAsync(cancellationToken).ConfigureAwait(false);
            if (result.GetValue(verbose))
            {
                WriteDetails(usage);
            }
            else
            {
                Summary(usage).WriteTo(Console.Out, result.GetValue(format));
            }

            return 0;
        });
        return command;
    }

    private static Listing Summary(DiskUsage usage)
    {
        List<ImageSummary> images = usage.Images ?? [];
        List<ContainerSummary> containers = usage.Containers ?? [];
        List<Volume> volumes = usage.Volumes ?? [];
        long usedByContainers = images.Where(image => image.Containers > 0).Sum(image => image.Size - Math.Max(0, image.SharedSize));
        Listing listing = new(("TYPE", "Type"), ("TOTAL", "TotalCount"), ("ACTIVE", "Active"), ("SIZE", "Size"), ("RECLAIMABLE", "Reclaimable"));
        Add("Images", images.Count, images.Count(image => image.Containers > 0), usage.LayersSize, usage.LayersSize - usedByContainers);
        Add(
            "Containers",
            containers.Count,
            containers.Count(IsActive),
            containers.Sum(container => container.SizeRw ?? 0),
            containers.Where(container => !IsActive(container)).Sum(container => container.SizeRw ?? 0));
        Add(
            "Local Volumes",
            volumes.Count,
            volumes.Count(volume => volume.UsageData?.RefCount > 0),
            volumes.Sum(volume => volume.UsageData?.Size ?? 0),
            volumes.Where(volume => volume.UsageData?.RefCount == 0).Sum(volume => volume.UsageData?.Size ?? 0));
        Add("Build Cache", usage.BuildCache?.Count ?? 0, 0, usage.BuildCache?.Sum(item => item.Size) ?? 0, 0);
        return listing;

        void Add(string type, int total, int active, long size, long reclaimable) => listing.Add(new JsonObject
        {
            ["Active"] = active.ToString(CultureInfo.InvariantCulture),
            ["Reclaimable"] = size > 0 ? $"{HumanText.Size(reclaimable)} ({reclaimable * 100 / size}%)" : HumanText.Size(reclaimable),
            ["Size"] = HumanText.Size(size),
            ["TotalCount"] = total.ToString(CultureInfo.InvariantCulture),
            ["Type"] = type,
        });
    }

    private static bool IsActive(ContainerSummary container) => container.State is "running" or "paused" or "restarting";

    private static void WriteDetails(DiskUsage usage)
    {
        Console.WriteLine("Images space usage:\n");
        Table images = new("REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE", "SHARED SIZE", "UNIQUE SIZE", "CONTAINERS");
        foreach (ImageSummary image in usage.Images ?? [])
        {
            foreach (string name in image.RepoTags.Count > 0 ? image.RepoTags : ["<none>:<none>"])
            {
                int colon = name.LastIndexOf(':');
                images.Add(
                    name[..colon], name[(colon + 1)..], HumanText.ShortId(image.Id), HumanText.Ago(image.Created, TimeProvider.System), HumanText.Size(image.Size),
                    HumanText.Size(image.SharedSize), HumanText.Size(image.Size - image.SharedSize), image.Containers.ToString(CultureInfo.InvariantCulture));
            }
        }

        images.WriteTo(Console.Out);
        Console.WriteLine("\nContainers space usage:\n");
        Table containers = new("CONTAINER ID", "IMAGE", "COMMAND", "LOCAL VOLUMES", "SIZE", "CREATED", "STATUS", "NAMES");
        foreach (ContainerSummary container in usage.Containers ?? [])
        {
            containers.Add(
                HumanText.ShortId(container.Id), container.Image, $"\"{HumanText.Ellipsis(container.Command, 20)}\"",
                container.Mounts.Count(mount => mount.Driver == "local").ToString(CultureInfo.InvariantCulture), HumanText.Size(container.SizeRw ?? 0),
                HumanText.Ago(container.Created, TimeProvider.System), container.Status, string.Join(',', container.Names.Select(name => name.TrimStart('/'))));
        }

        containers.WriteTo(Console.Out);
        Console.WriteLine("\nLocal Volumes space usage:\n");
        Table volumes = new("VOLUME NAME", "LINKS", "SIZE");
        foreach (Volume volume in usage.Volumes ?? [])
        {
            volumes.Add(volume.Name, (volume.UsageData?.RefCount ?? 0).ToString(CultureInfo.InvariantCulture), HumanText.Size(volume.UsageData?.Size ?? 0));
        }

        volumes.WriteTo(Console.Out);
        Console.WriteLine($"\nBuild cache usage: {HumanText.Size(usage.BuildCache?.Sum(item => item.Size) ?? 0)}\n");
    }

    private static void WriteLedger(DiskLedger ledger, string? format)
    {
        Listing listing = new(("KIND", "Kind"), ("ID", "ID"), ("SIZE", "Size"), ("FILES", "Files"), ("LAST USED", "LastUsed"), ("USED BY", "UsedBy"));
        foreach (DiskObject item in ledger.Objects.OrderByDescending(item => item.Bytes))
        {
            listing.Add(new JsonObject
            {
                ["Bytes"] = item.Bytes,
                ["Files"] = item.Files.ToString(CultureInfo.InvariantCulture),
                ["ID"] = HumanText.Ellipsis(item.Id, 71),
                ["Kind"] = item.Kind,
                ["LastUsed"] = item.LastUsed is { } time && DateTimeOffset.TryParse(time, CultureInfo.InvariantCulture, out DateTimeOffset used) ? HumanText.Ago(used.ToUnixTimeSeconds(), TimeProvider.System) : "",
                ["Size"] = HumanText.Size(item.Bytes),
                ["UsedBy"] = string.Join(", ", item.UsedBy),
            });
        }

        listing.WriteTo(Console.Out, format);
        if (string.IsNullOrEmpty(format))
        {
            Console.WriteLine($"\nTotal: {HumanText.Size(ledger.Total)}{(ledger.Budget is { } budget ? $" of a budget of {HumanText.Size(budget)}" : "")}");
        }
    }
}
