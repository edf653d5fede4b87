using System.CommandLine;
using System.Globalization;
using Slipway.Api.Containers;
using Slipway.Cli.Options;
using Slipway.Client;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway update</c>: docker's limits, and what docker cannot change: published ports, mounts, environment, labels.</summary>
internal sealed class UpdateCommand
{
    private readonly List<Action<ParseResult, ContainerUpdateRequest>> _bindings = [];
    private readonly Command _command = new("update", "Update configuration of one or more containers");

    private UpdateCommand()
    {
        Number("--blkio-weight", "Block IO (relative weight), between 10 and 1000, or 0 to disable", (request, value) => request.BlkioWeight = checked((ushort)value));
        Number("--cpu-period", "Limit CPU CFS (Completely Fair Scheduler) period", (request, value) => request.CpuPeriod = value);
        Number("--cpu-quota", "Limit CPU CFS (Completely Fair Scheduler) quota", (request, value) => request.CpuQuota = value);
        Number("--cpu-shares", "CPU shares (relative weight)", (request, value) => request.CpuShares = value, "-c");
        Text("--cpus", "Number of CPUs", (request, value) => request.NanoCpus = Quantities.NanoCpus(value));
        Text("--cpuset-cpus", "CPUs in which to allow execution (0-3, 0,1)", (request, value) => request.CpusetCpus = value);
        Text("--cpuset-mems", "MEMs in which to allow execution (0-3, 0,1)", (request, value) => request.CpusetMems = value);
        Text("--memory", "Memory limit", (request, value) => request.Memory = Quantities.Bytes(value), "-m");
        Text("--memory-reservation", "Memory soft limit", (request, value) => request.MemoryReservation = Quantities.Bytes(value));
        Text("--memory-swap", "Swap limit equal to memory plus swap: '-1' to enable unlimited swap", (request, value) => request.MemorySwap = Quantities.BytesOrUnlimited(value));
        Number("--pids-limit", "Tune container pids limit (set -1 for unlimited)", (request, value) => request.PidsLimit = value);
        Text("--restart", "Restart policy to apply when a container exits", (request, value) => request.RestartPolicy = ContainerOptions.Restart(value));
        Several("--env", "Set an environment variable of the next start (NAME=value), or take it away (NAME)", (request, values) => request.Env = values, "-e");
        Several("--label-add", "Set a label", (request, values) => request.Labels = KeyValues.Pairs(values));
        Several("--label-rm", "Take a label away", (request, values) => request.LabelsRemove = values);
        Several("--mount-add", "Attach a mount, also to a running container (as --mount of run)", (request, values) => request.MountsAdd = [.. values.Select(MountSpec.Parse)]);
        Several("--mount-rm", "Detach what is mounted on a path, also from a running container", (request, values) => request.MountsRemove = values);
        Several("--publish-add", "Publish a port, also of a running container (as -p of run)", (request, values) => request.PublishAdd = Ports(values));
        Several("--publish-rm", "Publish a port no more: 80/tcp, or 8080:80/tcp for that of one host port", (request, values) => request.PublishRemove = values);
    }

    public static Command Create()
    {
        UpdateCommand update = new();
        Argument<string[]> containers = new("CONTAINER") { Arity = ArgumentArity.OneOrMore, CompletionSources = { Completion.Containers } };
        update._command.Add(containers);
        update._command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            ContainerUpdateRequest request = new();
            update._bindings.ForEach(bind => bind(result, request));
            return await EngineCommand.ForEachAsync(result.GetValue(containers)!, async name =>
            {
                ContainerUpdateResponse answer = await client.UpdateContainerAsync(name, request, cancellationToken).ConfigureAwait(false);
                foreach (string warning in answer.Warnings ?? [])
                {
                    await Console.Error.WriteLineAsync(warning).ConfigureAwait(false);
                }
            }).ConfigureAwait(false);
        });
        return update._command;
    }

    private static Dictionary<string, List<PortBinding>?> Ports(List<string> values)
    {
        Dictionary<string, List<PortBinding>?> bindings = [];
        values.ForEach(value => PortSpec.Publish(value, [], bindings));
        return bindings;
    }

    private void Text(string name, string description, Action<ContainerUpdateRequest, string> set, params string[] aliases)
    {
        Option<string?> option = new(name, aliases) { Description = description };
        _command.Add(option);
        _bindings.Add((result, request) =>
        {
            if (result.GetValue(option) is { } value)
            {
                set(request, value);
            }
        });
    }

    private void Number(string name, string description, Action<ContainerUpdateRequest, long> set, params string[] aliases) => Text(
        name,
        description,
        (request, text) => set(request, long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long value)
            ? value
            : throw new CommandException($"invalid argument \"{text}\" for \"{name}\" flag: strconv.ParseInt: parsing \"{text}\": invalid syntax", 1)),
        aliases);

    private void Several(string name, string description, Action<ContainerUpdateRequest, List<string>> set, params string[] aliases)
    {
        Option<string[]> option = new(name, aliases) { Description = description };
        _command.Add(option);
        _bindings.Add((result, request) =>
        {
            if (result.GetValue(option) is { Length: > 0 } values)
            {
                set(request, [.. values]);
            }
        });
    }
}
