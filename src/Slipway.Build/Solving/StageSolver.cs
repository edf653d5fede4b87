using System.Globalization;
using Slipway.Build.Graph;
using Slipway.Build.Images;
using Slipway.Build.Syntax;
using Slipway.Oci;

namespace Slipway.Build.Solving;

/// <summary>The steps of one stage, one after the other.</summary>
internal sealed class StageSolver(BuildSolver solver, StageNode stage, int firstNumber)
{
    private const string DefaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

    private readonly StepOperations _operations = new(solver, stage);
    private readonly int _fileSteps = (stage.Base is ImageBase ? 1 : 0) + stage.Stage.Instructions.Count(ChangesFiles);
    private int _fileStep;
    private int _step;

    public async Task<StageState> SolveAsync()
    {
        (StageState state, IReadOnlyList<string> triggers) = await BeginAsync();
        foreach (string trigger in triggers)
        {
            // Triggers belong to the FROM that brings them: they have its number.
            state = await StepAsync(state, DockerfileParser.ParseTrigger(trigger) with { Lines = stage.Stage.From.Lines }, firstNumber);
        }

        foreach (Instruction instruction in stage.Stage.Instructions)
        {
            state = await StepAsync(state, instruction, firstNumber + ++_step);
        }

        return stage.Stage.Index == solver.Graph.Target && solver.Options.Labels.Count > 0 ? await LabelledAsync(state) : state;
    }

    /// <summary>With the labels of the build, which are no part of the Dockerfile.</summary>
    private async Task<StageState> LabelledAsync(StageState state)
    {
        if (!solver.Options.IsClassic)
        {
            return WithLabels(state);
        }

        // Each is a step of its own.

        foreach ((string name, string value) in solver.Options.Labels.OrderBy(label => label.Key, StringComparer.Ordinal))
        {
            LabelInstruction label = new([new NameValue(name, value)]) { Keyword = "LABEL", Lines = stage.Stage.From.Lines, Original = $"LABEL {name}={value}", IsLiteral = true };
            state = await StepAsync(state, label, firstNumber + ++_step);
        }

        return state;
    }

    private static bool ChangesFiles(Instruction instruction) => instruction is RunInstruction or TransferInstruction or WorkdirInstruction;

    private async Task<(StageState State, IReadOnlyList<string> Triggers)> BeginAsync()
    {
        FromInstruction from = stage.Stage.From;
        StageState? earlier = stage.Base is StageReference reference ? await solver.StageAsync(reference.Index).WaitAsync(solver.Stopping) : null;
        StepVertex vertex = Vertex(from, FromName(from), firstNumber, default, earlier?.Vertex ?? default, isFiles: stage.Base is ImageBase);
        return await ObservedAsync(vertex, async () =>
        {
            if (earlier is not null)
            {
                return Begun(earlier with { FromId = Digest.Of(earlier.Document()), FromLayers = earlier.Layers.Count, FromHistory = earlier.History.Count });
            }

            StageState state = new() { Platform = stage.Platform, Config = new ImageRunConfig(), Arguments = solver.Graph.Arguments.Stage(), Vertex = stage.Base is ImageBase ? vertex.Digest : default };
            if (stage.Base is not ImageBase image)
            {
                return Begun(WithPath(solver.Options.IsClassic ? state : state with { Config = state.Config with { WorkingDir = "/" } }));
            }

            BaseImage found = await solver.Executor.ResolveAsync(image.Name, stage.Platform, vertex, solver.Stopping);
            return Begun(WithPath(state with
            {
                Platform = found.Config?.Platform is { Os.Length: > 0 } platform ? platform : stage.Platform,
                Config = found.Config?.Config ?? new ImageRunConfig(),
                Layers = found.Layers,
                FromId = found.Id,
                FromLayers = found.Layers.Count,
                FromHistory = found.Config?.History?.Count ?? 0,
                History = found.Config?.History ?? [],
                BaseHistory = found.Config?.History?.Count ?? 0,
                Author = found.Config?.Author,
                Created = found.Config?.Created,
                Key = found.Id,
            }), found.Id);
        });

        ((StageState, IReadOnlyList<string>), StepOutcome) Begun(StageState state, Digest id = default)
        {
            IReadOnlyList<string> triggers = state.Config.OnBuild ?? [];
            state = triggers.Count > 0 ? state with { Config = state.Config with { OnBuild = null } } : state;
            return ((state, triggers), new StepOutcome(Cached: true, id.IsNone && state.Layers.Count > 0 ? Digest.Of(state.Document()) : id, triggers.Count));
        }
    }

    private static StageState WithPath(StageState state) => BuildArguments.Environment(state.Config.Env, "PATH") is not null ? state
        : state with { Config = state.Config with { Env = [.. state.Config.Env ?? [], DefaultPath] } };

    private async Task<StageState> StepAsync(StageState state, Instruction instruction, int number)
    {
        solver.Stopping.ThrowIfCancellationRequested();
        StepVertex vertex = Vertex(instruction, StepName.Of(instruction, solver.Graph.Escape, state.Variable), number, state.Key, state.Vertex, ChangesFiles(instruction));
        return await ObservedAsync(vertex, async () =>
        {
            try
            {
                if (solver.Options.Breakpoints.Contains(instruction))
                {
                    await solver.Executor.PauseAsync(await _operations.PauseAsync(state, instruction), vertex, solver.Stopping);
                }

                (StageState after, bool cached) = ChangesFiles(instruction)
                    ? await FileStepAsync(state, instruction, vertex)
                    : await ConfigurationStepAsync(state, instruction);
                after = after with { Vertex = vertex.IsConfiguration ? state.Vertex : vertex.Digest };
                return (after, new StepOutcome(cached, Digest.Of(after.Document())));
            }
            catch (FormatException error)
            {
                throw new DockerfileException(error.Message, new SourcePosition(instruction.Lines.First, 1));
            }
        });
    }

    private async Task<(StageState, bool Cached)> ConfigurationStepAsync(StageState state, Instruction instruction)
    {
        string text = HistoryText.Describe(instruction, state.Config, word => ShellWord.Expand(word, solver.Graph.Escape, state.Variable));
        using KeyBuilder builder = new("config");
        Digest key = builder.Add(Digest.Of(state.Document())).Add(text).Finish();
        StageState changed = instruction switch
        {
            ArgInstruction argument => state with { Arguments = state.Arguments.Declare(argument, solver.Graph.Escape, state.Config.Env) },
            MaintainerInstruction maintainer => state with { Author = maintainer.Name },
            _ => state with { Config = ConfigInstructions.Apply(state.Config, instruction, solver.Graph.Escape, state.Variable) },
        };
        if (instruction is CmdInstruction && !solver.Options.IsClassic)
        {
            // It means something for Windows only, and BuildKit says it of every command.
            changed = changed with { Config = changed.Config with { ArgsEscaped = true } };
        }

        if (instruction is EntrypointInstruction && !state.HasOwnCommand)
        {
            // The command was written for another program (Dockerfile reference, "Understand how CMD and ENTRYPOINT interact").
            changed = changed with { Config = changed.Config with { Cmd = null } };
        }

        changed = changed with { HasOwnCommand = state.HasOwnCommand || instruction is CmdInstruction, Key = key };
        string history = solver.Options.History.Configuration(!solver.Options.IsClassic && instruction is ExposeInstruction expose ? Told(expose) : text, changed.Config, changesFiles: false);
        CachedStep wanted = new(key, state.Key, null, "internal", text, solver.Now);
        CachedStep? known = await KnownAsync(wanted, state, history);
        CachedStep step = known ?? wanted;
        if (known is null)
        {
            await solver.Cache.StoreAsync(step, solver.Stopping);
        }

        solver.Note(stage.Stage.Index, step, state.Key, state.Layers);
        bool isTold = solver.Options.IsClassic || instruction is not OnbuildInstruction;
        return (isTold ? WithHistory(changed, step, history, empty: true) : changed, known is not null);

        // As Go writes the set of ports that it has become.
        string Told(ExposeInstruction expose)
        {
            IEnumerable<string> ports = ConfigInstructions.Apply(new ImageRunConfig(), expose, solver.Graph.Escape, state.Variable).ExposedPorts?.Keys ?? [];
            return $"EXPOSE map[{string.Join(' ', ports.Order(StringComparer.Ordinal).Select(port => $"{port}:{{}}"))}]";
        }
    }

    /// <summary>What a step has made before: what the cache has of its key, or one that was imported, or else what an image has that the build may take it from.</summary>
    /// <param name="wanted">The step, as it would be done now.</param>
    /// <param name="history">Of the step; null: what it does is more than its history tells.</param>
    private async Task<CachedStep?> KnownAsync(CachedStep wanted, StageState state, string? history)
    {
        if (!solver.MayUseCache(stage))
        {
            return null;
        }

        if (await solver.Cache.FindAsync(wanted.Key, solver.Stopping) is { } known && (known.Layer is null || solver.Executor.TryHold(known.Layer.ChainId)))
        {
            return known;
        }

        if (await solver.Cache.ImportAsync(wanted, state.Layers.Count == 0 ? default : state.Layers[^1].ChainId, solver.Stopping) is { } imported)
        {
            return imported;
        }

        if (history is null || solver.Options.HistoryCache?.Find(state, history) is not { } found || (found.Layer is { } layer && !solver.Executor.TryHold(layer.ChainId)))
        {
            return null;
        }

        CachedStep step = wanted with { Layer = found.Layer, Created = found.Created };
        await solver.Cache.StoreAsync(step, solver.Stopping);
        return step;
    }

    private async Task<(StageState, bool Cached)> FileStepAsync(StageState state, Instruction instruction, StepVertex vertex)
    {
        if (instruction is WorkdirInstruction)
        {
            state = state with { Config = ConfigInstructions.Apply(state.Config, instruction, solver.Graph.Escape, state.Variable) };
        }

        StepOperation operation = await _operations.OfAsync(state, instruction);
        await using StepInputs inputs = await solver.Executor.PrepareAsync(operation, vertex, solver.Stopping);
        Digest key = operation.Key(inputs.Content);
        HistoryText history = solver.Options.History;
        string text = (instruction, operation) switch
        {
            (RunInstruction, RunOperation run) => history.Run(
                run.Arguments, solver.Options.IsClassic ? state.Arguments.Variables(state.Config.Env) : state.Arguments.Told(state.Config.Env), run.Proxies.Count > 0),
            (TransferInstruction, TransferOperation copy) => history.Transfer(copy, inputs.Kind, inputs.Content, state.Config),
            _ => history.Configuration($"WORKDIR {state.Config.WorkingDir}", state.Config, changesFiles: true),
        };
        CachedStep wanted = new(key, state.Key, null, "regular", operation.Description, operation.Time);
        (CachedStep step, bool cached) = solver.Options.Shared is { } shared ? await shared.DoAsync(key, DoAsync, solver.Stopping) : await DoAsync();
        StageState after = state with { Key = key, Layers = step.Layer is { } made ? [.. state.Layers, made] : state.Layers };
        solver.Note(stage.Stage.Index, step, state.Key, after.Layers);
        return (WithHistory(after, step, text, empty: step.Layer is null), cached);

        async Task<(CachedStep Step, bool Cached)> DoAsync()
        {
            if (await KnownAsync(wanted, state, HistoryCache.Covers(operation) ? text : null) is { } known)
            {
                return (known, true);
            }

            CachedStep made = wanted with { Layer = await solver.Executor.ExecuteAsync(operation, inputs, vertex, solver.Stopping) };
            await solver.Cache.StoreAsync(made, solver.Stopping);
            return (made, false);
        }
    }

    private StageState WithHistory(StageState state, CachedStep step, string text, bool empty)
    {
        string created = StageState.Format(solver.Options.SourceDate ?? step.Created);
        ImageHistory entry = new()
        {
            Created = created,
            Author = string.IsNullOrEmpty(state.Author) ? null : state.Author,
            CreatedBy = text,
            Comment = solver.Options.History.Comment,
            EmptyLayer = empty,
        };
        return state with { History = [.. state.History, entry], Created = created };
    }

    private StageState WithLabels(StageState state)
    {
        Dictionary<string, string> labels = new(state.Config.Labels ?? new Dictionary<string, string>());
        foreach ((string name, string value) in solver.Options.Labels)
        {
            labels[name] = value;
        }

        return state with { Config = state.Config with { Labels = labels } };
    }

    /// <summary>With the image's name in full; a named context keeps the name that it has.</summary>
    private string FromName(FromInstruction from) =>
        stage.Base is ImageBase image && !solver.Options.Contexts.Contains(image.Name) && Reference.TryParse(image.Name, out Reference? reference)
            ? $"FROM {reference!.WithDefaultTag()}" : from.Original;

    private StepVertex Vertex(Instruction instruction, string name, int number, Digest before, Digest input, bool isFiles)
    {
        string of = Prefix() + (solver.Graph.Document.Stages.Count == 1 ? "" : stage.Name);
        string place = "";
        if (isFiles)
        {
            string last = Math.Max(_fileSteps, ++_fileStep).ToString(CultureInfo.InvariantCulture);
            string step = _fileStep.ToString(CultureInfo.InvariantCulture).PadLeft(last.Length);
            place = $"[{of}{(of.Length > 0 && of[^1] != ' ' ? " " : "")}{step}/{last}] ";
        }
        else if (of.Length > 0)
        {
            place = $"[{of.TrimEnd()}] ";
        }

        using KeyBuilder key = new("vertex");
        if (solver.Options.Shared is not null && !solver.Options.CommonStages.Contains(stage.Stage.Index))
        {
            // The same instruction for another platform is another vertex.
            key.Add(solver.Graph.Platform.ToString());
        }

        Digest digest = key.Add(stage.Stage.Index).Add(number).Add(instruction.Original).Add(before).Add(_fileStep).Finish();
        return new StepVertex(digest, place + name, input.IsNone ? [] : [input], number, solver.StepCount, instruction.Original)
        {
            IsConfiguration = !isFiles,
            Lines = instruction.Lines,
        };
    }

    /// <summary>In a build for several platforms, that of the stage, and the one it is built for where that is another.</summary>
    private string Prefix() => solver.Options.Shared is null ? ""
        : stage.Platform == solver.Graph.Platform || solver.Options.CommonStages.Contains(stage.Stage.Index) ? $"{stage.Platform} " : $"{stage.Platform}->{solver.Graph.Platform} ";

    private async Task<T> ObservedAsync<T>(StepVertex vertex, Func<Task<(T Result, StepOutcome Outcome)>> work)
    {
        await solver.Observer.StartedAsync(vertex);
        try
        {
            (T result, StepOutcome outcome) = await work();
            await solver.Observer.CompletedAsync(vertex, outcome);
            return result;
        }
        catch (Exception error)
        {
            await solver.Observer.FailedAsync(vertex, error);
            throw;
        }
    }
}
