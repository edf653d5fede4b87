using System.CommandLine;
using Slipway.Api.Containers;
using Slipway.Client;

namespace Slipway.Cli.Commands;

/// <summary>Verbs that change the state of one or more containers: stop, restart, kill, pause, unpause, rm, rename, wait.</summary>
internal static class LifecycleCommands
{
    public static Command CreateStop()
    {
        Option<int?> timeout = new("--timeout", "-t", "--time") { Description = "Seconds to wait before killing the container" };
        Option<string?> signal = new("--signal", "-s") { Description = "Signal to send to the container" };
        return Several("stop", "Stop one or more running containers", [timeout, signal], (result, client, name, cancellationToken) =>
            client.StopContainerAsync(name, result.GetValue(timeout), result.GetValue(signal), cancellationToken));
    }

    public static Command CreateRestart()
    {
        Option<int?> timeout = new("--timeout", "-t", "--time") { Description = "Seconds to wait before killing the container" };
        Option<string?> signal = new("--signal", "-s") { Description = "Signal to send to the container" };
        return Several("restart", "Restart one or more containers", [timeout, signal], (result, client, name, cancellationToken) =>
            client.RestartContainerAsync(name, result.GetValue(timeout), result.GetValue(signal), cancellationToken));
    }

    public static Command CreateKill()
    {
        Option<string?> signal = new("--signal", "-s") { Description = "Signal to send to the container" };
        return Several("kill", "Kill one or more running containers", [signal], (result, client, name, cancellationToken) =>
            client.KillContainerAsync(name, result.GetValue(signal), cancellationToken));
    }

    public static Command CreatePause() => Several("pause", "Pause all processes within one or more containers", [],
        (_, client, name, cancellationToken) => client.PauseContainerAsync(name, cancellationToken));

    public static Command CreateUnpause() => Several("unpause", "Unpause all processes within one or more containers", [],
        (_, client, name, cancellationToken) => client.UnpauseContainerAsync(name, cancellationToken));

    public static Command CreateRm()
    {
        Option<bool> force = new("--force", "-f") { Description = "Force the removal of a running container (uses SIGKILL)" };
        Option<bool> volumes = new("--volumes", "-v") { Description = "Remove anonymous volumes associated with the container" };
        Option<bool> link = new("--link", "-l") { Description = "Remove the specified link" };
        return Several("rm", "Remove one or more containers", [force, volumes, link], (result, client, name, cancellationToken) =>
            client.RemoveContainerAsync(name, result.GetValue(force), result.GetValue(volumes), result.GetValue(link), cancellationToken));
    }

    public static Command CreateRename()
    {
        Argument<string> container = new("CONTAINER") { CompletionSources = { Completion.Containers } };
        Argument<string> name = new("NEW_NAME");
        Command command = new("rename", "Rename a container") { container, name };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            await client.RenameContainerAsync(result.GetValue(container)!, result.GetValue(name)!, cancellationToken).ConfigureAwait(false);
            return 0;
        });
        return command;
    }

    public static Command CreateWait()
    {
        Argument<string[]> names = Names();
        Command command = new("wait", "Block until one or more containers stop, then print their exit codes") { names };
        command.SetEngineAction((result, client, cancellationToken) => EngineCommand.ForEachAsync(result.GetValue(names)!, async name =>
        {
            Task<ContainerWaitResponse> exit = await client.WaitContainerAsync(name, "not-running", cancellationToken).ConfigureAwait(false);
            Console.WriteLine((await exit.ConfigureAwait(false)).StatusCode);
        }, print: false));
        return command;
    }

    private static Argument<string[]> Names() =>
        new("CONTAINER") { Arity = ArgumentArity.OneOrMore, CompletionSources = { Completion.Containers } };

    private static Command Several(
        string name, string description, Option[] options, Func<ParseResult, EngineClient, string, CancellationToken, Task> action)
    {
        Argument<string[]> names = Names();
        Command command = new(name, description) { names };
        foreach (Option option in options)
        {
            command.Options.Add(option);
        }

        command.SetEngineAction((result, client, cancellationToken) =>
            EngineCommand.ForEachAsync(result.GetValue(names)!, container => action(result, client, container, cancellationToken)));
        return command;
    }
}
