using System.CommandLine;
using Slipway.Api.Exec;
using Slipway.Cli.Options;
using Slipway.Cli.Terminal;
using Slipway.Client;
using Slipway.Kernel.Terminal;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway exec</c>.</summary>
internal static class ExecCommand
{
    public static Command Create()
    {
        Option<bool> detach = new("--detach", "-d") { Description = "Detached mode: run command in the background" };
        Option<string?> detachKeys = new("--detach-keys") { Description = "Override the key sequence for detaching a container" };
        Option<string[]> environment = new("--env", "-e") { Description = "Set environment variables" };
        Option<string[]> environmentFiles = new("--env-file") { Description = "Read in a file of environment variables" };
        Option<bool> interactive = new("--interactive", "-i") { Description = "Keep STDIN open even if not attached" };
        Option<bool> privileged = new("--privileged") { Description = "Give extended privileges to the command" };
        Option<bool> tty = new("--tty", "-t") { Description = "Allocate a pseudo-TTY" };
        Option<string?> user = new("--user", "-u") { Description = "Username or UID (format: \"<name|uid>[:<group|gid>]\")" };
        Option<string?> workdir = new("--workdir", "-w") { Description = "Working directory inside the container" };
        Argument<string> container = new("CONTAINER") { CompletionSources = { Completion.Containers } };
        Argument<string[]> arguments = new("COMMAND") { Arity = ArgumentArity.OneOrMore, CaptureRemainingTokens = true };
        Command command = new("exec", "Execute a command in a running container")
        {
            detach, detachKeys, environment, environmentFiles, interactive, privileged, tty, user, workdir, container, arguments,
        };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            bool terminal = result.GetValue(tty);
            bool stdin = result.GetValue(interactive) && !result.GetValue(detach);
            if (terminal && stdin && !TerminalMode.IsTerminal(0))
            {
                throw new CommandException("the input device is not a TTY", 1);
            }

            ExecCreateRequest request = new()
            {
                User = result.GetValue(user) ?? "",
                Privileged = result.GetValue(privileged),
                Tty = terminal,
                AttachStdin = stdin,
                AttachStdout = !result.GetValue(detach),
                AttachStderr = !result.GetValue(detach),
                DetachKeys = result.GetValue(detachKeys) ?? "",
                Env = [.. KeyValues.Environment(KeyValues.Files(result.GetValue(environmentFiles) ?? [])), .. KeyValues.Environment(result.GetValue(environment) ?? [])],
                WorkingDir = result.GetValue(workdir) ?? "",
                Cmd = [.. result.GetValue(arguments)!],
                ConsoleSize = terminal && TerminalMode.Size(1) is { } size ? [(uint)size.Rows, (uint)size.Columns] : null,
            };
            string exec = await client.CreateExecAsync(result.GetValue(container)!, request, cancellationToken).ConfigureAwait(false);
            if (result.GetValue(detach))
            {
                await client.StartExecDetachedAsync(exec, cancellationToken).ConfigureAwait(false);
                return 0;
            }

            HijackedStream stream = await client.StartExecAsync(exec, terminal, cancellationToken).ConfigureAwait(false);
            await using (stream.ConfigureAwait(false))
            {
                AttachedSession session = new(stream, stdin, terminal, (rows, columns, token) => client.ResizeExecAsync(exec, rows, columns, token));
                await session.RunAsync(cancellationToken).ConfigureAwait(false);
            }

            return (await client.InspectExecAsync(exec, cancellationToken).ConfigureAwait(false)).ExitCode ?? 0;
        });
        return command;
    }
}
