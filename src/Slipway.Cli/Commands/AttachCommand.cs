using System.CommandLine;
using Slipway.Api.Containers;
using Slipway.Cli.Terminal;
using Slipway.Client;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway attach</c>.</summary>
internal static class AttachCommand
{
    public static Command Create()
    {
        Option<string?> detachKeys = new("--detach-keys") { Description = "Override the key sequence for detaching a container" };
        Option<bool> noStdin = new("--no-stdin") { Description = "Do not attach STDIN" };
        Option<bool> signalProxy = new("--sig-proxy") { Description = "Proxy all received signals to the process", DefaultValueFactory = _ => true };
        Argument<string> container = new("CONTAINER") { CompletionSources = { Completion.Containers } };
        Command command = new("attach", "Attach local standard input, output, and error streams to a running container") { detachKeys, noStdin, signalProxy, container };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            string name = result.GetValue(container)!;
            ContainerInspect inspect = await client.InspectContainerAsync(name, cancellationToken).ConfigureAwait(false);
            if (!inspect.State.Running)
            {
                throw new CommandException("cannot attach to a stopped container, start it first", 1);
            }

            if (inspect.State.Paused)
            {
                throw new CommandException("cannot attach to a paused container, unpause it first", 1);
            }

            return await RunAsync(client, inspect, inspect.Config.OpenStdin && !result.GetValue(noStdin), result.GetValue(detachKeys),
                result.GetValue(signalProxy), start: false, cancellationToken).ConfigureAwait(false);
        });
        return command;
    }

    /// <summary>Attaches, starts the container where asked to, and returns its exit code.</summary>
    internal static async Task<int> RunAsync(
        EngineClient client, ContainerInspect inspect, bool stdin, string? detachKeys, bool proxySignals, bool start, CancellationToken cancellationToken)
    {
        HijackedStream stream = await client.AttachContainerAsync(inspect.Id, stdin, stdout: true, stderr: true, logs: false, detachKeys, cancellationToken).ConfigureAwait(false);
        await using (stream.ConfigureAwait(false))
        {
            string condition = inspect.HostConfig.AutoRemove ? "removed" : start ? "next-exit" : "not-running";
            Task<ContainerWaitResponse> exit = await client.WaitContainerAsync(inspect.Id, condition, cancellationToken).ConfigureAwait(false);
            using SignalProxy? proxy = proxySignals && !inspect.Config.Tty ? new SignalProxy(client, inspect.Id) : null;
            if (start)
            {
                await client.StartContainerAsync(inspect.Id, cancellationToken).ConfigureAwait(false);
            }

            AttachedSession session = new(stream, stdin, inspect.Config.Tty, (rows, columns, token) => client.ResizeContainerAsync(inspect.Id, rows, columns, token));
            if (inspect.Config.Tty)
            {
                await session.SendSizeAsync(cancellationToken).ConfigureAwait(false);
            }

            await session.RunAsync(cancellationToken).ConfigureAwait(false);
            return await RunCommand.ExitCodeAsync(client, inspect.Id, exit, inspect.Config.Tty, cancellationToken).ConfigureAwait(false);
        }
    }
}
