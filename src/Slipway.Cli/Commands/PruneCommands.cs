using System.CommandLine;
using Slipway.Api.Disk;
using Slipway.Api.Images;
using Slipway.Cli.Output;
using Slipway.Client;

namespace Slipway.Cli.Commands;

/// <summary><c>prune</c> of containers, images, volumes and all of them. Each asks first.</summary>
internal static class PruneCommands
{
    public static Command CreateContainers() => Create(
        "Remove all stopped containers", "container prune", all: null, _ => "WARNING! This will remove all stopped containers.", (client, _, filters, end) => ContainersAsync(client, filters, end));

    public static Command CreateImages() => Create(
        "Remove unused images",
        "image prune",
        "Remove all unused images, not just dangling ones",
        all => all ? "WARNING! This will remove all images without at least one container associated to them." : "WARNING! This will remove all dangling images.",
        ImagesAsync);

    public static Command CreateVolumes() => Create(
        "Remove unused local volumes",
        "volume prune",
        "Remove all unused volumes, not just anonymous ones",
        all => $"WARNING! This will remove {(all ? "all" : "anonymous")} local volumes not used by at least one container.",
        VolumesAsync);

    /// <summary>Networks take no room: nothing is said of it.</summary>
    public static Command CreateNetworks()
    {
        Option<bool> force = new("--force", "-f") { Description = "Do not prompt for confirmation" };
        Option<string[]> filter = new("--filter") { Description = "Provide filter values (e.g. \"until=<timestamp>\")" };
        Command command = new("prune", "Remove all unused networks") { force, filter };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            if (!result.GetValue(force) && !Confirm("WARNING! This will remove all custom networks not used by at least one container."))
            {
                throw new CommandException("network prune has been cancelled", 1);
            }

            List("Deleted Networks:", (await client.PruneNetworksAsync(EngineCommand.Filters(result.GetValue(filter)), cancellationToken).ConfigureAwait(false)).NetworksDeleted);
            return 0;
        });
        return command;
    }

    public static Command CreateSystem()
    {
        Option<bool> volumes = new("--volumes") { Description = "Prune anonymous volumes" };
        bool WithVolumes(ParseResult result) => result.GetValue(volumes);
        Command command = Create(
            "Remove unused data",
            "system prune",
            "Remove all unused images not just dangling ones",
            (result, all) => SystemWarning(all, WithVolumes(result)),
            async (result, client, all, filters, end) =>
            {
                long reclaimed = await ContainersAsync(client, filters, end).ConfigureAwait(false);
                List("Deleted Networks:", (await client.PruneNetworksAsync(filters, end).ConfigureAwait(false)).NetworksDeleted);
                reclaimed += WithVolumes(result) ? await VolumesAsync(client, all: false, filters, end).ConfigureAwait(false) : 0;
                reclaimed += await ImagesAsync(client, all, filters, end).ConfigureAwait(false);
                BuildCachePruneReport cache = await client.PruneBuildCacheAsync(filters, end).ConfigureAwait(false);
                List("Deleted build cache objects:", cache.CachesDeleted);
                return reclaimed + cache.SpaceReclaimed;
            });
        command.Add(volumes);
        return command;
    }

    private static Command Create(
        string description, string name, string? all, Func<bool, string> warning, Func<EngineClient, bool, Dictionary<string, List<string>>, CancellationToken, Task<long>> prune) =>
        Create(description, name, all, (_, everything) => warning(everything), (_, client, everything, filters, end) => prune(client, everything, filters, end));

    private static Command Create(
        string description,
        string name,
        string? allDescription,
        Func<ParseResult, bool, string> warning,
        Func<ParseResult, EngineClient, bool, Dictionary<string, List<string>>, CancellationToken, Task<long>> prune)
    {
        Option<bool> all = new("--all", "-a") { Description = allDescription };
        Option<bool> force = new("--force", "-f") { Description = "Do not prompt for confirmation" };
        Option<string[]> filter = new("--filter") { Description = "Provide filter values (e.g. \"until=<timestamp>\")" };
        Command command = new("prune", description) { force, filter };
        if (allDescription is not null)
        {
            command.Add(all);
        }

        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            bool everything = allDescription is not null && result.GetValue(all);
            if (!result.GetValue(force) && !Confirm(warning(result, everything)))
            {
                throw new CommandException($"{name} has been cancelled", 1);
            }

            long reclaimed = await prune(result, client, everything, EngineCommand.Filters(result.GetValue(filter)), cancellationToken).ConfigureAwait(false);
            Console.WriteLine($"Total reclaimed space: {HumanText.Size(reclaimed)}");
            return 0;
        });
        return command;
    }

    private static string SystemWarning(bool all, bool volumes) => string.Join(
        '\n',
        [
            "WARNING! This will remove:", "  - all stopped containers", "  - all networks not used by at least one container",
            .. (ReadOnlySpan<string>)(volumes ? ["  - all anonymous volumes not used by at least one container"] : []),
            all ? "  - all images without at least one container associated to them" : "  - all dangling images", all ? "  - all build cache" : "  - unused build cache", "",
        ]);

    private static bool Confirm(string warning)
    {
        Console.Write($"{warning}\nAre you sure you want to continue? [y/N] ");
        return Console.ReadLine()?.Trim() is "y" or "Y";
    }

    private static async Task<long> ContainersAsync(EngineClient client, Dictionary<string, List<string>> filters, CancellationToken cancellationToken)
    {
        ContainersPruneReport report = await client.PruneContainersAsync(filters, cancellationToken).ConfigureAwait(false);
        List("Deleted Containers:", report.ContainersDeleted);
        return report.SpaceReclaimed;
    }

    private static async Task<long> ImagesAsync(EngineClient client, bool all, Dictionary<string, List<string>> filters, CancellationToken cancellationToken)
    {
        ImagesPruneReport report = await client.PruneImagesAsync(new Dictionary<string, List<string>>(filters) { ["dangling"] = [all ? "false" : "true"] }, cancellationToken).ConfigureAwait(false);
        List("Deleted Images:", report.ImagesDeleted?.ConvertAll(item => item.Untagged is { } name ? $"untagged: {name}" : $"deleted: {item.Deleted}"));
        return report.SpaceReclaimed;
    }

    private static async Task<long> VolumesAsync(EngineClient client, bool all, Dictionary<string, List<string>> filters, CancellationToken cancellationToken)
    {
        Dictionary<string, List<string>> asked = filters.Where(filter => filter.Key != "until").ToDictionary();
        if (all)
        {
            asked["all"] = ["true"];
        }

        VolumesPruneReport report = await client.PruneVolumesAsync(asked, cancellationToken).ConfigureAwait(false);
        List("Deleted Volumes:", report.VolumesDeleted);
        return report.SpaceReclaimed;
    }

    private static void List(string heading, List<string>? items)
    {
        if (items is { Count: > 0 })
        {
            Console.WriteLine($"{heading}\n{string.Join('\n', items)}\n");
        }
    }
}
