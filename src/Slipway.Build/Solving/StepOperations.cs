using Slipway.Build.Graph;
using Slipway.Build.Syntax;
using Slipway.Oci;

namespace Slipway.Build.Solving;

/// <summary>What instructions that change files mean at their place: variables replaced, sources found.</summary>
internal sealed class StepOperations(BuildSolver solver, StageNode stage)
{
    private static readonly string[] s_shell = ["/bin/sh", "-c"];

    /// <exception cref="FormatException">A variable cannot be replaced.</exception>
    /// <exception cref="DockerfileException">An instruction cannot be meant.</exception>
    public async Task<StepOperation> OfAsync(StageState state, Instruction instruction) => instruction switch
    {
        RunInstruction run => await RunAsync(state, run),
        TransferInstruction transfer => await TransferAsync(state, transfer),
        WorkdirInstruction => new DirectoryOperation
        {
            Rootfs = state.Layers, Description = $"WORKDIR {state.Config.WorkingDir}", Time = solver.Now, Newest = solver.Options.SourceDate, Path = state.Config.WorkingDir ?? "/",
            Owner = solver.Options.IsClassic ? null : state.Config.User is { Length: > 0 } user ? user : null,
        },
        _ => throw new ArgumentOutOfRangeException(nameof(instruction)),
    };

    /// <summary>What a program sees right before an instruction.</summary>
    public async Task<RunOperation> PauseAsync(StageState state, Instruction instruction) =>
        instruction is RunInstruction run ? await RunAsync(state, run) : Run(state, [], instruction.Original);

    private async Task<RunOperation> RunAsync(StageState state, RunInstruction run)
    {
        ImageRunConfig config = state.Config;
        IReadOnlyList<string> shell = config.Shell is { Count: > 0 } own ? own : s_shell;
        string? script = null;
        IReadOnlyList<string> arguments;
        if (run.Command.List is { } list)
        {
            arguments = list;
        }
        else if (run.Heredocs.Count == 0)
        {
            arguments = [.. shell, run.Command.Text];
        }
        else if (run.Heredocs.Count == 1 && run.IsHeredocAlone)
        {
            string content = Expanded(run.Heredocs[0], state);
            (script, arguments) = content.StartsWith("#!", StringComparison.Ordinal) ? (content, (IReadOnlyList<string>)[RunOperation.ScriptPath]) : (null, [.. shell, content]);
        }
        else
        {
            // The shell itself reads them, and replaces their variables.
            arguments = [.. shell, $"{run.Command.Text}\n{string.Join('\n', run.Heredocs.Select(heredoc => $"{heredoc.Content}{heredoc.Name}"))}"];
        }

        List<StepMount> mounts = [];
        foreach (RunMount mount in run.Mounts)
        {
            RunMount expanded = mount with
            {
                Target = ExpandOptional(mount.Target, state), Source = ExpandOptional(mount.Source, state), From = ExpandOptional(mount.From, state), Id = ExpandOptional(mount.Id, state),
            };
            StepSource? source = expanded.Type == RunMountType.Bind || expanded.From is not null ? await SourceAsync(expanded.From, run) : null;
            mounts.Add(new StepMount(expanded, source));
        }

        return Run(state, arguments, $"RUN {string.Join(' ', arguments)}") with { Mounts = mounts, Network = run.Network, Insecure = run.Security == "insecure", Script = script };
    }

    private RunOperation Run(StageState state, IReadOnlyList<string> arguments, string description) => new()
    {
        Rootfs = state.Layers,
        Description = description,
        Time = solver.Now,
        Newest = solver.Options.SourceDate,
        Arguments = arguments,
        Environment = [.. state.Config.Env ?? [], .. state.Arguments.Variables(state.Config.Env)],
        Proxies = solver.Options.IsClassic ? state.Arguments.Proxies(state.Config.Env) : state.Arguments.ProxiesInBothCases(state.Config.Env),
        Hostname = solver.Options.IsClassic ? null : state.Arguments.Given("BUILDKIT_SANDBOX_HOSTNAME") ?? "buildkitsandbox",
        WorkingDirectory = string.IsNullOrEmpty(state.Config.WorkingDir) ? "/" : state.Config.WorkingDir,
        User = state.Config.User ?? "",
        Platform = state.Platform,
    };

    private async Task<TransferOperation> TransferAsync(StageState state, TransferInstruction transfer)
    {
        AddInstruction? add = transfer as AddInstruction;
        string destination = Expand(transfer.Destination, state);
        List<string> sources = [.. transfer.Sources.Select(source => Expand(source, state))];
        bool isDirectory = destination.EndsWith('/') || destination is "." or ".." || destination.EndsWith("/.", StringComparison.Ordinal);
        if (sources.Count + transfer.Heredocs.Count > 1 && !isDirectory)
        {
            throw new DockerfileException(
                $"When using {transfer.Keyword} with more than one source file, the destination must be a directory and end with a /", new SourcePosition(transfer.Lines.First, 1));
        }

        string absolute = Clean(destination.StartsWith('/') ? destination : $"{state.Config.WorkingDir}/{destination}");
        string? owner = ExpandOptional(transfer.Owner, state);
        return new TransferOperation
        {
            Rootfs = state.Layers,
            Description = $"{transfer.Keyword} {string.Join(' ', [.. Options(owner, ExpandOptional(transfer.Mode, state)), .. sources, .. transfer.Heredocs.Select(heredoc => "<<" + heredoc.Name)])} {destination}",
            Time = solver.Now,
            Newest = solver.Options.SourceDate,
            Source = await SourceAsync((transfer as CopyInstruction)?.From, transfer),
            Paths = sources,
            Files = [.. transfer.Heredocs.Select(heredoc => new InlineFile(heredoc.Name, Expanded(heredoc, state)))],
            WrittenDestination = destination,
            Destination = isDirectory && absolute != "/" ? absolute + "/" : absolute,
            Owner = owner,
            Mode = ExpandOptional(transfer.Mode, state),
            Link = transfer.Link,
            Parents = transfer.Parents,
            Excludes = [.. transfer.Excludes.Select(exclude => Expand(exclude, state))],
            IsAdd = add is not null,
            Unpack = add?.Unpack,
            Checksum = add is null ? null : Checksum(ExpandOptional(add.Checksum, state), sources),
            KeepGitDirectory = add?.KeepGitDirectory ?? false,
        };
    }

    /// <exception cref="FormatException">It is none, or what is added has none.</exception>
    private static string? Checksum(string? text, List<string> sources)
    {
        if (text is null or "")
        {
            return text;
        }

        if (sources.Exists(source => !source.StartsWith("http://", StringComparison.Ordinal) && !source.StartsWith("https://", StringComparison.Ordinal)))
        {
            throw new FormatException("checksum can't be specified for non-HTTP sources");
        }

        return Digest.TryParse(text, out _) ? text
            : text.StartsWith("sha256:", StringComparison.Ordinal) ? throw new FormatException("invalid checksum digest length")
            : text.Contains(':', StringComparison.Ordinal) ? throw new FormatException("unsupported digest algorithm")
            : throw new FormatException("invalid checksum digest format");
    }

    private static IEnumerable<string> Options(string? owner, string? mode)
    {
        if (owner is not null)
        {
            yield return $"--chown={owner}";
        }

        if (mode is not null)
        {
            yield return $"--chmod={mode}";
        }
    }

    private async Task<StepSource> SourceAsync(string? from, Instruction instruction)
    {
        if (from is null || (solver.Options.Contexts.Contains(from) && !solver.Options.ImageContexts.Contains(from)))
        {
            return new ContextSource(from);
        }

        if (!solver.Options.Contexts.Contains(from) && solver.Graph.Find(from, stage.Stage.Index) is { } index)
        {
            if (!solver.Graph.Has(index))
            {
                // A trigger of the base names it: nobody knew of that when it was said which stages are needed.
                throw new FormatException($"cannot copy from stage \"{from}\", it needs to be defined before current stage \"{stage.Name}\"");
            }

            return new LayersSource((await solver.StageAsync(index).WaitAsync(solver.Stopping)).Layers);
        }

        if (from == "scratch")
        {
            return new LayersSource([]);
        }

        using KeyBuilder key = new("image");
        StepVertex vertex = new(key.Add(from).Add(stage.Platform.ToString()).Finish(), Reference.TryParse(from, out Reference? name) ? $"FROM {name!.WithDefaultTag()}" : $"FROM {from}", [], 0, 0, instruction.Original) { IsConfiguration = true, Lines = instruction.Lines };
        await solver.Observer.StartedAsync(vertex);
        try
        {
            BaseImage image = await solver.Executor.ResolveAsync(from, stage.Platform, vertex, solver.Stopping);
            await solver.Observer.CompletedAsync(vertex, new StepOutcome(Cached: true, image.Id));
            return new LayersSource(image.Layers);
        }
        catch (Exception error)
        {
            await solver.Observer.FailedAsync(vertex, error);
            throw;
        }
    }

    private string Expanded(Heredoc heredoc, StageState state) =>
        heredoc.Expands ? ShellWord.ExpandDocument(heredoc.Content, solver.Graph.Escape, state.Variable) : heredoc.Content;

    private string Expand(string text, StageState state) => ShellWord.Expand(text, solver.Graph.Escape, state.Variable);

    private string? ExpandOptional(string? text, StageState state) => text is null ? null : Expand(text, state);

    /// <summary>Absolute, without empty parts and dots, and without a slash at its end.</summary>
    private static string Clean(string path)
    {
        List<string> parts = [];
        foreach (string part in path.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            if (part == ".." && parts.Count > 0)
            {
                parts.RemoveAt(parts.Count - 1);
            }
            else if (part is not ("." or ".."))
            {
                parts.Add(part);
            }
        }

        return "/" + string.Join('/', parts);
    }
}
