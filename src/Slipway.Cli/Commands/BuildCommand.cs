using System.CommandLine;
using Slipway.Build.Syntax;
using Slipway.BuildKit.Clients;
using Slipway.BuildKit.Protocol;
using Slipway.Cli.Building;
using Slipway.Client;
using Slipway.Grpc;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway build</c>: an image from a Dockerfile, over BuildKit's API.</summary>
internal static class BuildCommand
{
    public static Command Create()
    {
        Argument<string> context = new("PATH|URL|-") { Description = "Folder, address or archive of the context" };
        Option<string?> file = new("--file", "-f") { Description = "Name of the Dockerfile (PATH/Dockerfile)" };
        Option<string[]> tags = new("--tag", "-t") { Description = "Name, and optionally a tag, of the image" };
        Option<string[]> arguments = new("--build-arg") { Description = "Set a build argument" };
        Option<string[]> labels = new("--label") { Description = "Set a label of the image" };
        Option<string[]> contexts = new("--build-context") { Description = "A further context: NAME=FOLDER, NAME=ADDRESS" };
        Option<string[]> secrets = new("--secret") { Description = "A secret for RUN: id=NAME,src=FILE or id=NAME,env=VARIABLE" };
        Option<string[]> agents = new("--ssh") { Description = "An SSH agent for RUN: default, or ID=SOCKET" };
        Option<string[]> outputs = new("--output", "-o") { Description = "Where the result goes: FOLDER, -, type=image|docker|oci|tar|local,dest=PATH" };
        Option<string[]> cacheFrom = new("--cache-from") { Description = "Where steps may be found: type=registry,ref=…, type=local,src=FOLDER" };
        Option<string[]> cacheTo = new("--cache-to") { Description = "Where steps are put: type=inline, type=registry,ref=…, type=local,src=FOLDER" };
        Option<string[]> hosts = new("--add-host") { Description = "A line of /etc/hosts for RUN: HOST:ADDRESS" };
        Option<string[]> allowed = new("--allow") { Description = "What RUN may ask for: network.host, security.insecure" };
        Option<string[]> attest = new("--attest") { Description = "What is told of the image beside it: type=provenance,mode=min|max, type=sbom" };
        Option<string?> provenance = new("--provenance") { Description = "How it was made, as SLSA provenance: true, mode=min, mode=max", Arity = ArgumentArity.ZeroOrOne };
        Option<string?> sbom = new("--sbom") { Description = "What packages it has, as SPDX: true", Arity = ArgumentArity.ZeroOrOne };
        Option<string?> target = new("--target") { Description = "Stage to build" };
        Option<string[]> platform = new("--platform") { Description = "Platforms of the image: linux/amd64,linux/arm64" };
        Option<string?> network = new("--network") { Description = "Network of RUN: default, none, host" };
        Option<string?> idFile = new("--iidfile") { Description = "Write the id of the image to a file" };
        Option<string> progress = new("--progress") { Description = "How progress is shown: auto, plain, tty, rawjson, quiet", DefaultValueFactory = _ => "auto" };
        Option<bool> noCache = new("--no-cache") { Description = "Do every step anew" };
        Option<bool> pull = new("--pull") { Description = "Ask registries for the images that stages start from" };
        Option<bool> squash = new("--squash") { Description = "Make one layer of those of the build" };
        Option<bool> quiet = new("--quiet", "-q") { Description = "Print the id of the image only" };
        Option<bool> debug = new("--debug") { Description = "Open a shell in a RUN that fails" };
        Option<string[]> breaks = new("--break") { Description = "Open a shell before a step: the line of an instruction, or a stage" };
        Option<string> debugShell = new("--debug-shell") { Description = "The shell that is opened", DefaultValueFactory = _ => "/bin/sh" };
        Option<bool> check = new("--check") { Description = "Look at the Dockerfile by Docker's rules, and build nothing" };
        Command command = new("build", "Build an image from a Dockerfile")
        {
            context, file, tags, arguments, labels, contexts, secrets, agents, outputs, cacheFrom, cacheTo, hosts, allowed, attest, provenance, sbom, target, platform, network, idFile, progress, noCache, pull, squash, quiet, debug, breaks, debugShell, check,
        };
        foreach (Command history in BuildHistoryCommands.Create())
        {
            command.Subcommands.Add(history);
        }

        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            using BuildInputs inputs = new();
            SolveRequest request = inputs.Request;
            await inputs.SetContextAsync(result.GetValue(context)!, result.GetValue(file), cancellationToken).ConfigureAwait(false);
            foreach (string argument in Given(result, arguments))
            {
                string[] parts = argument.Split('=', 2);
                if ((parts.Length > 1 ? parts[1] : Environment.GetEnvironmentVariable(parts[0])) is { } value)
                {
                    request.FrontendAttributes[$"build-arg:{parts[0]}"] = value;
                }
            }

            foreach (string label in Given(result, labels))
            {
                request.FrontendAttributes[$"label:{label.Split('=', 2)[0]}"] = label.Split('=', 2) is [_, var value] ? value : "";
            }

            foreach (string named in Given(result, contexts))
            {
                inputs.AddContext(named.Split('=', 2)[0], named.Split('=', 2) is [_, var value] ? value : throw new CommandException($"invalid context value: {named}, expected key=value", 1));
            }

            Array.ForEach(Given(result, secrets), inputs.AddSecret);
            Array.ForEach(Given(result, agents), inputs.AddAgent);
            string names = string.Join(',', Given(result, tags));
            Array.ForEach(Given(result, outputs) is { Length: > 0 } given ? given : ["type=image"], output => inputs.AddOutput(output, names));
            inputs.UseCredentials();
            Array.ForEach(Given(result, cacheFrom), inputs.AddCacheImport);
            Array.ForEach(Given(result, cacheTo), inputs.AddCacheExport);
            request.Entitlements.Add(Given(result, allowed));
            Set(request, "add-hosts", string.Join(',', Given(result, hosts).Select(host => host.Contains('=', StringComparison.Ordinal) ? host : string.Join('=', host.Split(':', 2)))));
            Array.ForEach(Given(result, attest), option => inputs.AddAttestation(option));
            inputs.AddAttestation("provenance", result.GetResult(provenance) is null ? null : result.GetValue(provenance) ?? "true");
            inputs.AddAttestation("sbom", result.GetResult(sbom) is null ? null : result.GetValue(sbom) ?? "true");
            Set(request, "target", result.GetValue(target));
            Set(request, "platform", string.Join(',', Given(result, platform)));
            Set(request, "force-network-mode", result.GetValue(network));
            if (result.GetValue(network) == "host")
            {
                request.Entitlements.Add("network.host");
            }

            if (result.GetValue(noCache))
            {
                request.FrontendAttributes["no-cache"] = "";
            }

            Set(request, "slipway-squash", result.GetValue(squash) ? "true" : null);
            Set(request, "image-resolve-mode", result.GetValue(pull) ? "pull" : null);
            if (result.GetValue(check))
            {
                return BuildCheck.Run(inputs, Console.Out);
            }

            bool isQuiet = result.GetValue(quiet);
            string kind = isQuiet ? "quiet" : result.GetValue(progress)!;
            using DebugTerminal? terminal = result.GetValue(debug) || result.GetResult(breaks) is not null || result.GetResult(debugShell) is { Implicit: false }
                ? DebugTerminal.Open(BuildProgress.Of(kind, Console.Error), result.GetValue(debugShell)!) : null;
            inputs.Resources.Debug = terminal is null ? null : terminal.RunAsync;
            Set(request, "slipway-break", string.Join(',', Given(result, breaks)));
            await EngineStarter.EnsureRunningAsync(client, cancellationToken).ConfigureAwait(false);
            string image = await RunAsync(client, inputs, terminal ?? BuildProgress.Of(kind, Console.Error), kind, cancellationToken).ConfigureAwait(false);
            if (result.GetValue(idFile) is { } path)
            {
                await File.WriteAllTextAsync(path, image, cancellationToken).ConfigureAwait(false);
            }

            if (isQuiet)
            {
                Console.WriteLine(image);
            }

            return 0;
        });
        return command;
    }

    /// <returns>The id of the image.</returns>
    private static async Task<string> RunAsync(EngineClient client, BuildInputs inputs, BuildProgress progress, string kind, CancellationToken cancellationToken)
    {
        BuildClient builder = new((path, headers, end) => client.UpgradeAsync(path, headers, end));
        try
        {
            IReadOnlyDictionary<string, string> result = await builder.BuildAsync(inputs.Request, inputs.Resources, inputs.SharedKey, progress.ShowAsync, cancellationToken).ConfigureAwait(false);
            await progress.EndAsync().ConfigureAwait(false);
            inputs.Finish(result);
            if (kind is not ("quiet" or "rawjson") && inputs.SharedKey.Length > 0)
            {
                await Console.Error.WriteLineAsync($"context: {inputs.Sent}").ConfigureAwait(false);
            }

            return result.GetValueOrDefault("containerimage.config.digest") ?? result.GetValueOrDefault("containerimage.digest") ?? "";
        }
        catch (GrpcException error)
        {
            await progress.EndAsync().ConfigureAwait(false);
            throw new CommandException($"ERROR: failed to build: {error.Message}{Place(error, inputs)}", 1);
        }
    }

    /// <summary>The lines of the Dockerfile that are meant, where this side has it.</summary>
    private static string Place(GrpcException error, BuildInputs inputs) =>
        LineOf(error.Message) is { } line && inputs.DockerfilePath is { } path && File.Exists(path)
            ? $"\n{new DockerfileException(error.Message, new SourcePosition(line, 1)).Excerpt(Path.GetFileName(path), File.ReadAllText(path)).TrimEnd()}" : "";

    private static int? LineOf(string message)
    {
        const string Mark = "parse error on line ";
        int at = message.IndexOf(Mark, StringComparison.Ordinal);
        return at >= 0 && int.TryParse(message.AsSpan(at + Mark.Length).ToString().Split(':')[0], out int line) ? line : null;
    }

    private static string[] Given(ParseResult result, Option<string[]> option) => result.GetValue(option) ?? [];

    private static void Set(SolveRequest request, string name, string? value)
    {
        if (!string.IsNullOrEmpty(value))
        {
            request.FrontendAttributes[name] = value;
        }
    }
}
