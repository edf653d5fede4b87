using System.CommandLine;
using Slipway.Api.Containers;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway start</c>.</summary>
internal static class StartCommand
{
    public static Command Create()
    {
        Option<bool> attach = new("--attach", "-a") { Description = "Attach STDOUT/STDERR and forward signals" };
        Option<bool> interactive = new("--interactive", "-i") { Description = "Attach container's STDIN" };
        Option<string?> detachKeys = new("--detach-keys") { Description = "Override the key sequence for detaching a container" };
        Argument<string[]> containers = new("CONTAINER") { Arity = ArgumentArity.OneOrMore, CompletionSources = { Completion.Containers } };
        Command command = new("start", "Start one or more stopped containers") { attach, interactive, detachKeys, containers };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            string[] names = result.GetValue(containers)!;
            if (!result.GetValue(attach) && !result.GetValue(interactive))
            {
                return await EngineCommand.ForEachAsync(names, name => client.StartContainerAsync(name, cancellationToken)).ConfigureAwait(false);
            }

            if (names.Length > 1)
            {
                throw new CommandException("you cannot start and attach multiple containers at once", 1);
            }

            ContainerInspect inspect = await client.InspectContainerAsync(names[0], cancellationToken).ConfigureAwait(false);
            return await AttachCommand.RunAsync(client, inspect, result.GetValue(interactive) && inspect.Config.OpenStdin, result.GetValue(detachKeys),
                proxySignals: true, start: !inspect.State.Running, cancellationToken).ConfigureAwait(false);
        });
        return command;
    }
}
