using System.Globalization;
using Slipway.Build.Syntax;
using Slipway.Oci;

namespace Slipway.Build.Graph;

/// <summary>What a stage starts from.</summary>
public abstract record StageBase;

/// <summary>Nothing: <c>scratch</c>.</summary>
public sealed record EmptyBase : StageBase;

/// <summary>An earlier stage.</summary>
public sealed record StageReference(int Index) : StageBase;

/// <summary>An image, or a named context.</summary>
public sealed record ImageBase(string Name) : StageBase;

/// <summary>A stage as the target needs it.</summary>
/// <param name="Name">For people: its own, or <c>stage-2</c>.</param>
/// <param name="Platform">Of the image it starts from, and of what it makes.</param>
/// <param name="Needs">Stages its instructions read from, that it starts from included.</param>
public sealed record StageNode(Stage Stage, string Name, StageBase Base, Platform Platform, IReadOnlyList<int> Needs);

/// <summary>
/// The stages of a Dockerfile that its target needs, each once, in the order of the file. The others are not looked at: as in BuildKit they may ask for what does not exist.
/// </summary>
public sealed class StageGraph
{
    private readonly DockerfileDocument _document;
    private readonly Dictionary<int, StageNode> _nodes = [];

    private StageGraph(DockerfileDocument document, BuildArguments arguments, Platform platform) => (_document, Arguments, Platform) = (document, arguments, platform);

    /// <summary>What the target is built for.</summary>
    public Platform Platform { get; }

    /// <summary>With the arguments before the first stage.</summary>
    public BuildArguments Arguments { get; }

    public DockerfileDocument Document => _document;

    public char Escape => _document.Directives.Escape;

    public int Target { get; private init; }

    /// <summary>In the order of the file.</summary>
    public IReadOnlyList<StageNode> Stages => [.. _nodes.OrderBy(node => node.Key).Select(node => node.Value)];

    /// <summary>Whether a stage is needed.</summary>
    public bool Has(int index) => _nodes.ContainsKey(index);

    public StageNode this[int index] => _nodes[index];

    /// <param name="target">Name of a stage; null: the last.</param>
    /// <param name="contexts">Names that stand for something else than a stage or an image of that name.</param>
    /// <exception cref="DockerfileException">There is no such stage, or a FROM cannot be meant.</exception>
    public static StageGraph Of(
        DockerfileDocument document, string? target, IReadOnlyDictionary<string, string?> arguments, Platform build, Platform platform, IReadOnlySet<string> contexts)
    {
        int last = target is null ? document.Stages.Count - 1
            : FindByName(document, target, document.Stages.Count) ?? throw new DockerfileException($"target stage \"{target}\" could not be found");
        BuildArguments global = BuildArguments.Global(arguments, build, platform, document.Stages[last].From.StageName ?? target ?? "default");
        foreach (ArgInstruction instruction in document.GlobalArguments)
        {
            global = global.DeclareGlobal(instruction, document.Directives.Escape);
        }

        StageGraph graph = new(document, global, platform) { Target = last };

        // Not by recursion: a file of a million stages is a chain as long as that.
        Stack<int> needed = new([last]);
        while (needed.TryPop(out int index))
        {
            foreach (int other in graph.Add(index, platform, contexts))
            {
                needed.Push(other);
            }
        }

        return graph;
    }

    /// <summary>The stage that an instruction of another one means, or null: then it is an image.</summary>
    /// <param name="before">Only stages before this one can be meant.</param>
    public int? Find(string name, int before) => Find(_document, name, before);

    /// <summary>
    /// The stages that are the same in all graphs of one Dockerfile, made for different platforms: of the same platform and base, with the same values for what they declare, and in need of such stages only.
    /// </summary>
    public static IReadOnlySet<int> Common(IReadOnlyList<StageGraph> graphs)
    {
        HashSet<int> common = [];
        foreach (StageNode stage in graphs[0].Stages.Where(stage => graphs.Skip(1).All(other => IsSame(graphs[0], other, stage)) && stage.Needs.All(common.Contains)))
        {
            common.Add(stage.Stage.Index);
        }

        return common;
    }

    private static bool IsSame(StageGraph one, StageGraph other, StageNode stage) =>
        other._nodes.TryGetValue(stage.Stage.Index, out StageNode? same)
        && same.Platform == stage.Platform
        && same.Base == stage.Base
        && stage.Stage.Instructions.OfType<ArgInstruction>().SelectMany(instruction => instruction.Arguments)
            .All(argument => one.Arguments.OuterValue(argument.Name) == other.Arguments.OuterValue(argument.Name));

    /// <summary>All arguments that are declared anywhere.</summary>
    public IReadOnlySet<string> DeclaredAnywhere() => new HashSet<string>(
        _document.GlobalArguments.Concat(_document.Stages.SelectMany(stage => stage.Instructions.OfType<ArgInstruction>())).SelectMany(instruction => instruction.Arguments).Select(argument => argument.Name),
        StringComparer.Ordinal);

    /// <summary>Numbers are those of the file; names go before numbers, later ones of the same name before earlier.</summary>
    private static int? Find(DockerfileDocument document, string name, int before)
    {
        string lower = name.ToLowerInvariant();
        for (int i = before - 1; i >= 0; i--)
        {
            if (document.Stages[i].From.StageName == lower)
            {
                return i;
            }
        }

        return int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out int index) && index < before ? index : null;
    }

    /// <returns>The stages it needs; what is copied from may be another platform's, what is started from decides itself.</returns>
    private HashSet<int> Add(int index, Platform platform, IReadOnlySet<string> contexts)
    {
        if (_nodes.ContainsKey(index))
        {
            return [];
        }

        Stage stage = _document.Stages[index];
        string name = Expand(stage.From, stage.From.Base);
        if (name.Length == 0)
        {
            throw new DockerfileException($"base name ({stage.From.Base}) should not be blank", new SourcePosition(stage.From.Lines.First, 1));
        }

        Platform own = stage.From.Platform is { } text ? ParsePlatform(stage.From, Expand(stage.From, text)) : platform;
        StageBase from = contexts.Contains(name) ? new ImageBase(name)
            : name == "scratch" ? new EmptyBase()
            : FindByName(_document, name, index) is { } earlier ? new StageReference(earlier)
            : new ImageBase(name);
        HashSet<int> needs = [];
        if (from is StageReference reference)
        {
            needs.Add(reference.Index);
        }

        foreach (Instruction instruction in stage.Instructions)
        {
            foreach (string other in Sources(instruction).Where(other => !contexts.Contains(other)))
            {
                if (Find(other, index) is { } needed)
                {
                    needs.Add(needed);
                }
                else if (instruction is CopyInstruction)
                {
                    RefuseLater(instruction, other, stage);
                }
            }
        }

        _nodes.Add(index, new StageNode(stage, stage.From.StageName ?? string.Create(CultureInfo.InvariantCulture, $"stage-{index}"), from, own, [.. needs.Order()]));
        return needs;
    }

    /// <summary>FROM knows stages by their names only: a number is an image's name there.</summary>
    private static int? FindByName(DockerfileDocument document, string name, int before) =>
        Find(document, name, before) is { } found && name.Equals(document.Stages[found].From.StageName, StringComparison.OrdinalIgnoreCase) ? found : null;

    /// <summary>A number and the stage itself can be no image.</summary>
    private static void RefuseLater(Instruction instruction, string name, Stage stage)
    {
        if (int.TryParse(name, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int number))
        {
            throw new DockerfileException(string.Create(CultureInfo.InvariantCulture, $"invalid stage index {number}"), new SourcePosition(instruction.Lines.First, 1));
        }

        if (name.Equals(stage.From.StageName, StringComparison.OrdinalIgnoreCase))
        {
            throw new DockerfileException($"circular dependency detected on stage: {stage.From.StageName}", new SourcePosition(instruction.Lines.First, 1));
        }
    }

    private static IEnumerable<string> Sources(Instruction instruction) => instruction switch
    {
        CopyInstruction { From: { } from } => [from],
        RunInstruction run => run.Mounts.Select(mount => mount.From).OfType<string>(),
        _ => [],
    };

    private string Expand(FromInstruction from, string text)
    {
        try
        {
            return ShellWord.Expand(text, Escape, Arguments.GlobalValue);
        }
        catch (FormatException error)
        {
            throw new DockerfileException(error.Message, new SourcePosition(from.Lines.First, 1));
        }
    }

    private static Platform ParsePlatform(FromInstruction from, string text)
    {
        try
        {
            return Platform.Parse(text);
        }
        catch (OciException error)
        {
            throw new DockerfileException($"failed to parse platform {text}: {error.Message}", new SourcePosition(from.Lines.First, 1));
        }
    }
}
