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
        Option<string?> checkpoint = new("--checkpoint") { Description = "Restore from this checkpoint" };
        Option<string?> checkpointDirectory = new("--checkpoint-dir") { Description = "Use a custom checkpoint storage directory" };
        Option<string?> detachKeys = new("--detach-keys") { Description = "Override the key sequence for detaching a container" };
        Argument<string[]> containers = new("CONTAINER") { Arity = ArgumentArity.OneOrMore, CompletionSources = { Completion.Containers } };
        Command command = new("start", "Start one or more stopped containers") { attach, checkpoint, checkpointDirectory, interactive, detachKeys, containers };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            string[] names = result.GetValue(containers)!;
            if (result.GetValue(checkpoint) is { } from)
            {
                if (names.Length > 1 || result.GetValue(attach) || result.GetValue(interactive))
                {
                    throw new CommandException("you cannot restore multiple containers at once, or attach to one that is restored", 1);
                }

                await client.StartFromCheckpointAsync(names[0], from, result.GetValue(checkpointDirectory), cancellationToken).ConfigureAwait(false);
                Console.WriteLine(names[0]);
                return 0;
            }

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
