using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Slipway.Api.Containers;
using Slipway.Cli.Output;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway ps</c>.</summary>
internal static class PsCommand
{
    public static Command Create()
    {
        Option<bool> all = new("--all", "-a") { Description = "Show all containers (default shows just running)" };
        Option<string[]> filter = new("--filter", "-f") { Description = "Filter output based on conditions provided" };
        Option<string?> format = new("--format") { Description = "Format output: 'table', 'table TEMPLATE', 'json' or a Go template" };
        Option<int?> last = new("--last", "-n") { Description = "Show n last created containers (includes all states)" };
        Option<bool> latest = new("--latest", "-l") { Description = "Show the latest created container (includes all states)" };
        Option<bool> noTrunc = new("--no-trunc") { Description = "Don't truncate output" };
        Option<bool> quiet = new("--quiet", "-q") { Description = "Only display container IDs" };
        Option<bool> size = new("--size", "-s") { Description = "Display total file sizes" };
        Command command = new("ps", "List containers") { all, filter, format, last, latest, noTrunc, quiet, size };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            int? limit = result.GetValue(latest) ? 1 : result.GetValue(last);
            List<ContainerSummary> containers = await client.ListContainersAsync(result.GetValue(all), limit, result.GetValue(size),
                EngineCommand.Filters(result.GetValue(filter)), cancellationToken).ConfigureAwait(false);
            (string, string)[] columns =
            [
                ("CONTAINER ID", "ID"), ("IMAGE", "Image"), ("COMMAND", "Command"), ("CREATED", "RunningFor"), ("STATUS", "Status"), ("PORTS", "Ports"), ("NAMES", "Names"),
            ];
            Listing listing = new(result.GetValue(size) ? [.. columns, ("SIZE", "Size")] : columns);
            foreach (ContainerSummary container in containers)
            {
                listing.Add(Row(container, result.GetValue(noTrunc)));
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

    private static JsonObject Row(ContainerSummary container, bool whole)
    {
        string command = whole ? container.Command : HumanText.Ellipsis(container.Command, 20);
        DateTimeOffset created = DateTimeOffset.FromUnixTimeSeconds(container.Created);
        return new JsonObject
        {
            ["Command"] = $"\"{command}\"",
            ["CreatedAt"] = created.ToLocalTime().ToString("yyyy-MM-dd HH:mm:ss zzz", CultureInfo.InvariantCulture),
            ["ID"] = whole ? container.Id : HumanText.ShortId(container.Id),
            ["Image"] = container.Image.StartsWith("sha256:", StringComparison.Ordinal) && !whole ? HumanText.ShortId(container.Image) : container.Image,
            ["Labels"] = string.Join(',', container.Labels.Select(l => $"{l.Key}={l.Value}")),
            ["LocalVolumes"] = container.Mounts.Count(m => m.Driver == "local").ToString(CultureInfo.InvariantCulture),
            ["Mounts"] = string.Join(',', container.Mounts.Select(m => m.Name ?? m.Source)),
            ["Names"] = string.Join(',', container.Names.Select(n => n.TrimStart('/')).Where(n => !n.Contains('/', StringComparison.Ordinal))),
            ["Networks"] = string.Join(',', container.NetworkSettings.Networks.Keys),
            ["Ports"] = Ports(container.Ports),
            ["RunningFor"] = HumanText.Ago(container.Created, TimeProvider.System),
            ["Size"] = container.SizeRw is { } written ? $"{HumanText.Size(written)} (virtual {HumanText.Size(container.SizeRootFs ?? 0)})" : "0B",
            ["State"] = container.State,
            ["Status"] = container.Status,
        };
    }

    private static string Ports(IEnumerable<PortSummary> ports) => string.Join(", ", ports.OrderBy(p => p.PrivatePort).Select(port =>
        port.PublicPort == 0
            ? $"{port.PrivatePort}/{port.Type}"
            : $"{(port.IP is { } ip && ip.Contains(':', StringComparison.Ordinal) ? $"[{ip}]" : port.IP)}:{port.PublicPort}->{port.PrivatePort}/{port.Type}"));
}
