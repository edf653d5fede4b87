using System.CommandLine;
using System.Net;
using Slipway.Api.Containers;
using Slipway.Cli.Options;
using Slipway.Cli.Output;
using Slipway.Cli.Terminal;
using Slipway.Client;
using Slipway.Kernel.Terminal;
using Slipway.Oci;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway run</c> and <c>slipway create</c>.</summary>
internal static class RunCommand
{
    private const string PullMissing = "missing";

    public static Command CreateRun()
    {
        Command command = new("run", "Create and run a new container from an image");
        ContainerOptions container = new(command);
        Option<bool> detach = new("--detach", "-d") { Description = "Run container in background and print container ID" };
        Option<string[]> attach = new("--attach", "-a") { Description = "Attach to STDIN, STDOUT or STDERR" };
        Option<string?> detachKeys = new("--detach-keys") { Description = "Override the key sequence for detaching a container" };
        Option<bool> signalProxy = new("--sig-proxy") { Description = "Proxy received signals to the process", DefaultValueFactory = _ => true };
        command.Add(detach);
        command.Add(attach);
        command.Add(detachKeys);
        command.Add(signalProxy);
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            await EngineStarter.EnsureRunningAsync(client, cancellationToken).ConfigureAwait(false);
            ContainerCreateRequest request = container.Build(result);
            Streams streams = Streams.Choose(result.GetValue(attach), result.GetValue(detach), request.OpenStdin);
            if (request.Tty && streams.Stdin && !TerminalMode.IsTerminal(0))
            {
                throw new CommandException("the input device is not a TTY");
            }

            streams.ApplyTo(request);
            if (request.Tty && TerminalMode.Size(1) is { } size)
            {
                request.HostConfig!.ConsoleSize = [(uint)size.Rows, (uint)size.Columns];
            }

            string id = await CreateAsync(client, container, result, request, cancellationToken).ConfigureAwait(false);
            if (result.GetValue(detach))
            {
                await client.StartContainerAsync(id, cancellationToken).ConfigureAwait(false);
                Console.WriteLine(id);
                return 0;
            }

            return await RunAttachedAsync(client, id, request, streams, result.GetValue(detachKeys), result.GetValue(signalProxy) && !request.Tty, cancellationToken).ConfigureAwait(false);
        }, EngineCommand.EngineFailed);
        return command;
    }

    public static Command CreateCreate()
    {
        Command command = new("create", "Create a new container");
        ContainerOptions container = new(command);
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            ContainerCreateRequest request = container.Build(result);
            Streams.Choose(null, detach: false, request.OpenStdin).ApplyTo(request);
            Console.WriteLine(await CreateAsync(client, container, result, request, cancellationToken).ConfigureAwait(false));
            return 0;
        }, EngineCommand.EngineFailed);
        return command;
    }

    /// <summary>Creates the container; an image that is not here is pulled first.</summary>
    private static async Task<string> CreateAsync(
        EngineClient client, ContainerOptions options, ParseResult result, ContainerCreateRequest request, CancellationToken cancellationToken)
    {
        string? cidFile = result.GetValue(options.CidFile);
        if (cidFile is not null && File.Exists(cidFile))
        {
            throw new CommandException($"container ID file found, make sure the other container isn't running or delete {cidFile}");
        }

        ContainerCreateResponse created = await CreatePullingAsync(client, options, result, request, cancellationToken).ConfigureAwait(false);
        foreach (string warning in created.Warnings)
        {
            await Console.Error.WriteLineAsync($"WARNING: {warning}").ConfigureAwait(false);
        }

        if (cidFile is not null)
        {
            await File.WriteAllTextAsync(cidFile, created.Id, cancellationToken).ConfigureAwait(false);
        }

        return created.Id;
    }

    private static async Task<ContainerCreateResponse> CreatePullingAsync(
        EngineClient client, ContainerOptions options, ParseResult result, ContainerCreateRequest request, CancellationToken cancellationToken)
    {
        string? platform = result.GetValue(options.Platform);
        string policy = result.GetValue(options.Pull) ?? PullMissing;
        if (policy is not (PullMissing or "always" or "never"))
        {
            throw new CommandException($"invalid pull option: '{policy}': must be one of \"always\", \"missing\" or \"never\"");
        }

        if (policy == "always")
        {
            await PullAsync().ConfigureAwait(false);
        }

        try
        {
            return await client.CreateContainerAsync(result.GetValue(options.Name), platform, request, cancellationToken).ConfigureAwait(false);
        }
        catch (EngineApiException exception) when (exception.Status == HttpStatusCode.NotFound && policy == PullMissing && Reference.TryParse(request.Image, out Reference? name))
        {
            // Of the things a create names only an image is not found: an engine answers 400 for all others.
            await Console.Error.WriteLineAsync($"Unable to find image '{name!.WithDefaultTag().Familiar}' locally").ConfigureAwait(false);
            await PullAsync().ConfigureAwait(false);
            return await client.CreateContainerAsync(result.GetValue(options.Name), platform, request, cancellationToken).ConfigureAwait(false);
        }

        Task PullAsync() => PullCommand.PullAsync(
            client, ImageName.Parse(request.Image).WithDefaultTag(), platform, result.GetValue(options.Quiet) ? TextWriter.Null : Console.Error, cancellationToken);
    }

    private static async Task<int> RunAttachedAsync(
        EngineClient client, string id, ContainerCreateRequest request, Streams streams, string? detachKeys, bool proxySignals, CancellationToken cancellationToken)
    {
        HijackedStream stream = await client.AttachContainerAsync(id, streams.Stdin, streams.Stdout, streams.Stderr, logs: false, detachKeys, cancellationToken).ConfigureAwait(false);
        await using (stream.ConfigureAwait(false))
        {
            // The wait stands before the start: a container that is gone at once is not missed.
            Task<ContainerWaitResponse> exit = await client.WaitContainerAsync(id, request.HostConfig!.AutoRemove ? "removed" : "next-exit", cancellationToken).ConfigureAwait(false);
            using SignalProxy? proxy = proxySignals ? new SignalProxy(client, id) : null;
            try
            {
                await client.StartContainerAsync(id, cancellationToken).ConfigureAwait(false);
            }
            catch (EngineApiException exception)
            {
                await Console.Error.WriteLineAsync($"slipway: {EngineCommand.Text(exception)}").ConfigureAwait(false);
                return StartFailure(exception.Message);
            }

            AttachedSession session = new(stream, streams.Stdin, request.Tty, (rows, columns, token) => client.ResizeContainerAsync(id, rows, columns, token));
            if (request.Tty)
            {
                await session.SendSizeAsync(cancellationToken).ConfigureAwait(false);
            }

            await session.RunAsync(cancellationToken).ConfigureAwait(false);
            return await ExitCodeAsync(client, id, exit, request.Tty, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>The container's exit code, or 0 where the user detached and it goes on.</summary>
    internal static async Task<int> ExitCodeAsync(EngineClient client, string id, Task<ContainerWaitResponse> exit, bool terminal, CancellationToken cancellationToken)
    {
        if (terminal && !exit.IsCompleted)
        {
            try
            {
                if ((await client.InspectContainerAsync(id, cancellationToken).ConfigureAwait(false)).State.Running)
                {
                    return 0;
                }
            }
            catch (EngineApiException exception) when (exception.Status == HttpStatusCode.NotFound)
            {
                // Removed by --rm: its exit is on its way.
            }
        }

        ContainerWaitResponse answer = await exit.ConfigureAwait(false);
        return answer.Error is { } error ? throw new CommandException(error.Message) : (int)answer.StatusCode;
    }

    /// <summary>Docker's codes for a command that could not be started: 127 not found, 126 not executable, else 125.</summary>
    private static int StartFailure(string message)
    {
        string[] notFound = ["executable file not found", "no such file or directory", "system cannot find the file specified", "is not a directory"];
        string[] notExecutable = [" permission denied", "is a directory", "operation not permitted", "exec format error"];
        return notFound.Any(message.Contains) ? 127 : notExecutable.Any(message.Contains) ? 126 : EngineCommand.EngineFailed;
    }

    /// <summary>Which of the three streams a client attaches.</summary>
    private sealed record Streams(bool Stdin, bool Stdout, bool Stderr)
    {
        public static Streams Choose(string[]? attach, bool detach, bool interactive)
        {
            if (attach is { Length: > 0 })
            {
                if (detach)
                {
                    throw new CommandException("conflicting options: cannot specify both --attach and --detach");
                }

                foreach (string name in attach)
                {
                    if (name.ToUpperInvariant() is not ("STDIN" or "STDOUT" or "STDERR"))
                    {
                        throw new CommandException($"invalid argument \"{name}\" for \"-a, --attach\" flag: valid streams are STDIN, STDOUT and STDERR");
                    }
                }

                return new Streams(Has("STDIN"), Has("STDOUT"), Has("STDERR"));
            }

            return detach ? new Streams(false, false, false) : new Streams(interactive, true, true);

            bool Has(string name) => attach.Contains(name, StringComparer.OrdinalIgnoreCase);
        }

        public void ApplyTo(ContainerCreateRequest request)
        {
            request.AttachStdin = Stdin;
            request.AttachStdout = Stdout;
            request.AttachStderr = Stderr;
            request.OpenStdin |= Stdin;
            request.StdinOnce = Stdin;
        }
    }
}
