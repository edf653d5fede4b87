using System.CommandLine;
using System.Text.Json.Nodes;
using Slipway.Api.Disk;
using Slipway.Api.Volumes;
using Slipway.Cli.Options;
using Slipway.Cli.Output;
using Slipway.Client;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway volume</c>: docker's verbs, and clone, snapshot, rename and export.</summary>
internal static class VolumeCommands
{
    public static Command Create() => new("volume", "Manage volumes")
    {
        CreateClone(),
        CreateCreate(),
        CreateExport(),
        CreateInspect(),
        CreateList(),
        PruneCommands.CreateVolumes(),
        CreateRemove(),
        CreateRename(),
        CreateSnapshot(),
    };

    private static Command CreateCreate()
    {
        Option<string?> driver = new("--driver", "-d") { Description = "Specify volume driver name" };
        Option<string[]> label = new("--label") { Description = "Set metadata for a volume" };
        Option<string[]> option = new("--opt", "-o") { Description = "Set driver specific options" };
        Option<string?> size = new("--size") { Description = "How much the volume may hold, e.g. 1g; the same as --opt size=1g" };
        Argument<string?> volume = new("VOLUME") { Arity = ArgumentArity.ZeroOrOne };
        Command command = new("create", "Create a volume") { driver, label, option, size, volume };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            Dictionary<string, string> options = KeyValues.Pairs(result.GetValue(option) ?? []);
            if (result.GetValue(size) is { } bytes)
            {
                options["size"] = bytes;
            }

            VolumeCreateRequest request = new()
            {
                Name = result.GetValue(volume),
                Driver = result.GetValue(driver),
                DriverOpts = options.Count > 0 ? options : null,
                Labels = Labels(result.GetValue(label)),
            };
            Console.WriteLine((await client.CreateVolumeAsync(request, cancellationToken).ConfigureAwait(false)).Name);
            return 0;
        });
        return command;
    }

    private static Command CreateList()
    {
        Option<string[]> filter = new("--filter", "-f") { Description = "Provide filter values (e.g. \"dangling=true\")" };
        Option<string?> format = new("--format") { Description = "Format output: 'table', 'table TEMPLATE', 'json' or a Go template" };
        Option<bool> quiet = new("--quiet", "-q") { Description = "Only display volume names" };
        Command command = new("ls", "List volumes") { filter, format, quiet };
        command.Aliases.Add("list");
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            VolumeList list = await client.ListVolumesAsync(EngineCommand.Filters(result.GetValue(filter)), cancellationToken).ConfigureAwait(false);
            Listing listing = new(("DRIVER", "Driver"), ("VOLUME NAME", "Name"));
            foreach (Volume volume in list.Volumes)
            {
                listing.Add(new JsonObject
                {
                    ["Driver"] = volume.Driver,
                    ["Labels"] = string.Join(',', (volume.Labels ?? []).Select(pair => $"{pair.Key}={pair.Value}")),
                    ["Mountpoint"] = volume.Mountpoint,
                    ["Name"] = volume.Name,
                    ["Scope"] = volume.Scope,
                });
            }

            listing.WriteTo(Console.Out, result.GetValue(format), result.GetValue(quiet), "Name");
            return 0;
        });
        return command;
    }

    private static Command CreateInspect()
    {
        Option<string?> format = new("--format", "-f") { Description = "Format output: 'json' or a Go template" };
        Argument<string[]> volumes = Volumes();
        Command command = new("inspect", "Display detailed information on one or more volumes") { format, volumes };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            JsonArray found = [];
            int exitCode = await EngineCommand.ForEachAsync(
                result.GetValue(volumes)!,
                async name => found.Add(JsonNode.Parse(await client.InspectVolumeRawAsync(name, cancellationToken).ConfigureAwait(false))),
                print: false).ConfigureAwait(false);
            InspectCommand.Print(found, result.GetValue(format));
            return exitCode;
        });
        return command;
    }

    private static Command CreateRemove()
    {
        Option<bool> force = new("--force", "-f") { Description = "Force the removal of one or more volumes" };
        Argument<string[]> volumes = Volumes();
        Command command = new("rm", "Remove one or more volumes") { force, volumes };
        command.Aliases.Add("remove");
        command.SetEngineAction((result, client, cancellationToken) =>
            EngineCommand.ForEachAsync(result.GetValue(volumes)!, name => client.RemoveVolumeAsync(name, result.GetValue(force), cancellationToken)));
        return command;
    }

    private static Command CreateClone()
    {
        Argument<string> copy = new("NEW") { Description = "Name of the new volume" };
        return CreateCopy("clone", "Make a volume with the content of another", copy, (result, request) => request.Name = result.GetValue(copy));
    }

    private static Command CreateSnapshot()
    {
        Argument<string?> name = new("NAME") { Arity = ArgumentArity.ZeroOrOne, Description = "Name of the snapshot; made of the volume's name and the time where it is left out" };
        return CreateCopy("snapshot", "Keep a volume as it is now, in a volume that containers only read", name, (result, request) =>
        {
            request.Name = result.GetValue(name);
            request.Snapshot = true;
        });
    }

    private static Command CreateCopy(string verb, string description, Argument name, Action<ParseResult, VolumeCopyRequest> read)
    {
        Option<string[]> label = new("--label") { Description = "Set metadata for the new volume" };
        Option<bool> pause = new("--pause", "-p") { Description = "Pause containers that have the volume mounted meanwhile", DefaultValueFactory = _ => true };
        Option<string?> size = new("--size") { Description = "How much the new volume may hold (default: as the other)" };
        Argument<string> volume = new("VOLUME");
        Command command = new(verb, description) { label, pause, size, volume, name };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            VolumeCopyRequest request = new() { Labels = Labels(result.GetValue(label)), Size = result.GetValue(size), Pause = result.GetValue(pause) };
            read(result, request);
            Console.WriteLine((await client.CopyVolumeAsync(result.GetValue(volume)!, request, cancellationToken).ConfigureAwait(false)).Name);
            return 0;
        });
        return command;
    }

    private static Command CreateRename()
    {
        Argument<string> volume = new("VOLUME");
        Argument<string> name = new("NEW_NAME");
        Command command = new("rename", "Rename a volume that no container names") { volume, name };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            await client.RenameVolumeAsync(result.GetValue(volume)!, result.GetValue(name)!, cancellationToken).ConfigureAwait(false);
            return 0;
        });
        return command;
    }

    private static Command CreateExport()
    {
        Option<string?> output = new("--output", "-o") { Description = "Write to a file, instead of STDOUT" };
        Argument<string> volume = new("VOLUME");
        Command command = new("export", "Write a volume's content as a tar archive") { output, volume };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            string? path = result.GetValue(output);
            ArchiveOutput.RequireDestination(path);
            Stream archive = await client.ExportVolumeAsync(result.GetValue(volume)!, cancellationToken).ConfigureAwait(false);
            await using (archive.ConfigureAwait(false))
            {
                await ArchiveOutput.WriteAsync(archive, path, cancellationToken).ConfigureAwait(false);
            }

            return 0;
        });
        return command;
    }

    private static Argument<string[]> Volumes() => new("VOLUME") { Arity = ArgumentArity.OneOrMore };

    private static Dictionary<string, string>? Labels(string[]? labels) => labels is { Length: > 0 } ? KeyValues.Pairs(labels) : null;
}
