using System.Text;
using Slipway.Api.Builds;
using Slipway.Api.Images;
using Slipway.Oci;

namespace Slipway.Engine.Builds.Classic;

/// <summary>
/// Progress as the classic builder tells it: the steps one after another in the order of the file, whatever runs at the same time. What comes before its turn waits.
/// </summary>
/// <param name="send">Called in order.</param>
/// <param name="removes">Containers of steps that were done are removed, which is told (<c>--rm</c>).</param>
/// <param name="alwaysRemoves">Those of steps that failed too (<c>--force-rm</c>). None is left in any case.</param>
public sealed class ClassicProgress(Func<BuildMessage, ValueTask> send, bool removes = true, bool alwaysRemoves = false) : IBuildProgress
{
    /// <summary>Around what a program writes to its standard error: light red, and the terminal's own again.</summary>
    private const string ErrorColour = "\e[91m";

    private const string NoColour = "\e[0m";

    private readonly SortedDictionary<int, Slot> _slots = [];
    private readonly Dictionary<Digest, Slot> _byVertex = [];
    private readonly List<string> _warnings = [];
    private int _current = 1;

    public async ValueTask VertexAsync(BuildVertex vertex)
    {
        if (vertex.Step is not { } step)
        {
            return;
        }

        if (!_byVertex.TryGetValue(vertex.Digest, out Slot? slot))
        {
            slot = SlotOf(step.Number);
            _byVertex.Add(vertex.Digest, slot);
            if (slot.Vertices++ == 0)
            {
                await SayAsync(slot, $"Step {step.Number}/{step.Count} : {step.Text}\n");
            }
        }

        if (step.ContainerId.Length > 0 && slot.Containers.Add(step.ContainerId))
        {
            await SayAsync(slot, $" ---> Running in {step.ContainerId[..12]}\n");
        }

        if (vertex.Completed is null)
        {
            return;
        }

        if (vertex.Error.Length == 0)
        {
            await CompleteAsync(slot, vertex, step);
        }
        else if (alwaysRemoves)
        {
            await RemovedAsync(slot, step.ContainerId);
        }
    }

    public ValueTask LogAsync(BuildLog log) => _byVertex.TryGetValue(log.Vertex, out Slot? slot) ? SayAsync(slot, slot.Text(log)) : ValueTask.CompletedTask;

    public ValueTask StatusAsync(BuildStatus status) => !_byVertex.ContainsKey(status.Vertex) ? ValueTask.CompletedTask : send(new BuildMessage
    {
        Status = status.Action,
        Id = status.Id.Length > 0 ? status.Id : null,
        ProgressDetail = status.Total > 0 ? new ProgressDetail { Current = status.Current, Total = status.Total } : null,
    });

    public ValueTask WarningAsync(BuildWarning warning)
    {
        if (warning.Line == 0)
        {
            _warnings.Add(warning.Text);
        }

        return ValueTask.CompletedTask;
    }

    /// <summary>After the last step.</summary>
    public async Task EndAsync(BuildResult result)
    {
        await send(new BuildMessage { Aux = new BuiltImage(result.ImageId.ToString()) });
        foreach (string warning in _warnings)
        {
            await send(new BuildMessage { Stream = $"[Warning] {warning}\n" });
        }

        await send(new BuildMessage { Stream = $"Successfully built {result.ImageId.Short}\n" });
        foreach (Reference name in result.Names)
        {
            await send(new BuildMessage { Stream = $"Successfully tagged {name.Familiar}\n" });
        }
    }

    /// <summary>What still waits, for a build that has failed.</summary>
    public async Task FlushAsync()
    {
        foreach (Slot slot in _slots.Values)
        {
            await FlushAsync(slot);
        }
    }

    private async Task CompleteAsync(Slot slot, BuildVertex vertex, BuildStep step)
    {
        if (step.Triggers > 0)
        {
            slot.Expected = 1 + step.Triggers;
            await SayAsync(slot, $"# Executing {step.Triggers} build trigger{(step.Triggers > 1 ? "s" : "")}\n");
        }

        bool isFrom = Is(step, "FROM");
        if (vertex.Cached && !isFrom)
        {
            await SayAsync(slot, " ---> Using cache\n");
        }
        else if (!vertex.Cached && !step.ImageId.IsNone && (step.IsConfiguration || Is(step, "WORKDIR")))
        {
            // Docker's builder makes a container for the configuration alone.
            string container = Identifiers.New();
            await SayAsync(slot, $" ---> Running in {container[..12]}\n");
            await (removes ? RemovedAsync(slot, container) : ValueTask.CompletedTask);
        }

        if (removes || alwaysRemoves)
        {
            await RemovedAsync(slot, step.ContainerId);
        }

        if (++slot.Completed < slot.Expected)
        {
            return;
        }

        if (isFrom || !step.ImageId.IsNone)
        {
            await SayAsync(slot, $" ---> {(step.ImageId.IsNone ? "" : step.ImageId.Short)}\n");
        }

        slot.IsDone = true;
        while (_slots.TryGetValue(_current, out Slot? next))
        {
            await FlushAsync(next);
            if (!next.IsDone)
            {
                break;
            }

            _current++;
        }
    }

    private ValueTask RemovedAsync(Slot slot, string container) =>
        container.Length > 0 ? SayAsync(slot, $" ---> Removed intermediate container {container[..12]}\n") : ValueTask.CompletedTask;

    /// <summary>Lines are told of instructions as they are written, keywords in any case.</summary>
    private static bool Is(BuildStep step, string keyword) =>
        step.Text.StartsWith(keyword, StringComparison.OrdinalIgnoreCase) && step.Text.Length > keyword.Length && step.Text[keyword.Length] is ' ' or '\t';

    private ValueTask SayAsync(Slot slot, string text)
    {
        if (slot.Number == _current)
        {
            return send(new BuildMessage { Stream = text });
        }

        slot.Waiting.Add(text);
        return ValueTask.CompletedTask;
    }

    private async Task FlushAsync(Slot slot)
    {
        foreach (string text in slot.Waiting)
        {
            await send(new BuildMessage { Stream = text });
        }

        slot.Waiting.Clear();
    }

    private Slot SlotOf(int number)
    {
        if (!_slots.TryGetValue(number, out Slot? slot))
        {
            _slots.Add(number, slot = new Slot(number));
        }

        return slot;
    }

    /// <summary>A step, with the triggers it brings.</summary>
    private sealed class Slot(int number)
    {
        private readonly Decoder[] _decoders = [Encoding.UTF8.GetDecoder(), Encoding.UTF8.GetDecoder()];

        public int Number { get; } = number;

        public List<string> Waiting { get; } = [];

        public HashSet<string> Containers { get; } = [];

        public int Vertices { get; set; }

        public int Completed { get; set; }

        public int Expected { get; set; } = 1;

        public bool IsDone { get; set; }

        /// <summary>Characters may be cut where the program's writes are.</summary>
        public string Text(BuildLog log)
        {
            Decoder decoder = _decoders[log.Stream == 2 ? 1 : 0];
            char[] characters = new char[log.Data.Length + 1];
            string text = new(characters, 0, decoder.GetChars(log.Data.Span, characters, flush: false));
            return log.Stream == 2 ? $"{ErrorColour}{text}{NoColour}" : text;
        }
    }
}
