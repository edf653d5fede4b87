using System.Globalization;
using System.Text;
using Slipway.BuildKit.Protocol;

namespace Slipway.Cli.Building;

/// <summary>Shows how a build goes.</summary>
internal abstract class BuildProgress
{
    public abstract Task ShowAsync(StatusResponse status);

    /// <summary>After the last of it.</summary>
    public virtual Task EndAsync() => Task.CompletedTask;

    /// <param name="kind"><c>auto</c>, <c>plain</c>, <c>tty</c>, <c>rawjson</c>, <c>quiet</c>.</param>
    /// <exception cref="CommandException">It is none of them.</exception>
    public static BuildProgress Of(string kind, TextWriter output) => kind switch
    {
        "plain" => new PlainProgress(output, isTerminal: false),
        "auto" => new PlainProgress(output, isTerminal: !Console.IsErrorRedirected),
        "tty" => new PlainProgress(output, isTerminal: true),
        "rawjson" => new JsonProgress(output),
        "quiet" => new NoProgress(),
        _ => throw new CommandException($"invalid progress type \"{kind}\": it is auto, plain, tty, rawjson or quiet", 1),
    };

    private sealed class NoProgress : BuildProgress
    {
        public override Task ShowAsync(StatusResponse status) => Task.CompletedTask;
    }
}

/// <summary>Lines in the order in which things happen, numbered by step; at a terminal, with a last line that tells what runs.</summary>
internal sealed class PlainProgress(TextWriter output, bool isTerminal) : BuildProgress
{
    private readonly Dictionary<string, Step> _steps = new(StringComparer.Ordinal);
    private bool _hasLive;

    public override async Task ShowAsync(StatusResponse status)
    {
        StringBuilder text = new();
        foreach (Vertex vertex in status.Vertexes)
        {
            Show(vertex, text);
        }

        foreach (VertexStatus part in status.Statuses)
        {
            if (part.Completed is not null && _steps.TryGetValue(part.Vertex, out Step? step) && step.Parts.Add(part.Id))
            {
                text.Append(CultureInfo.InvariantCulture, $"#{step.Number} {(part.Name.Length > 0 ? part.Name : part.Id)}{(part.Current > 0 ? $" {Output.HumanText.Size(part.Current)}" : "")} done\n");
            }
        }

        foreach (VertexLog log in status.Logs)
        {
            if (_steps.TryGetValue(log.Vertex, out Step? step))
            {
                step.Write(log.Message.ToStringUtf8(), text);
            }
        }

        foreach (VertexWarning warning in status.Warnings)
        {
            text.Append(CultureInfo.InvariantCulture, $"WARN: {warning.Short.ToStringUtf8()}{(warning.Ranges.Count > 0 ? $" (line {warning.Ranges[0].Start.Line})" : "")}\n");
        }

        await WriteAsync(text.ToString()).ConfigureAwait(false);
    }

    public override Task EndAsync()
    {
        _steps.Clear();
        return WriteAsync("");
    }

    private void Show(Vertex vertex, StringBuilder text)
    {
        if (!_steps.TryGetValue(vertex.Digest, out Step? step))
        {
            if (vertex.Started is null && !vertex.Cached)
            {
                return;
            }

            _steps.Add(vertex.Digest, step = new Step(_steps.Count + 1, vertex.Name));
            text.Append(CultureInfo.InvariantCulture, $"#{step.Number} {vertex.Name}\n");
        }

        if (step.IsDone || vertex.Completed is null)
        {
            return;
        }

        step.IsDone = true;
        step.Flush(text);
        double seconds = vertex.Started is null ? 0 : (vertex.Completed.ToDateTime() - vertex.Started.ToDateTime()).TotalSeconds;
        text.Append(CultureInfo.InvariantCulture, $"#{step.Number} {(vertex.Error.Length > 0 ? $"ERROR: {vertex.Error}" : vertex.Cached ? "CACHED" : $"DONE {seconds:0.0}s")}\n\n");
    }

    private async Task WriteAsync(string text)
    {
        const string BackAndClear = "\r\e[K";
        string live = string.Join(" · ", _steps.Values.Where(step => !step.IsDone).Select(step => step.Name));
        string shown = isTerminal && live.Length > 0 ? live[..Math.Min(live.Length, Math.Max(20, Width() - 1))] : "";
        await output.WriteAsync($"{(_hasLive ? BackAndClear : "")}{text}{shown}").ConfigureAwait(false);
        await output.FlushAsync().ConfigureAwait(false);
        _hasLive = shown.Length > 0;
    }

    private static int Width()
    {
        const int Usual = 80;
        try
        {
            return Console.WindowWidth is > 0 and var width ? width : Usual;
        }
        catch (IOException)
        {
            // It is no terminal after all.
            return Usual;
        }
    }

    private sealed class Step(int number, string name)
    {
        private string _rest = "";

        public int Number => number;

        public string Name => name;

        public bool IsDone { get; set; }

        public HashSet<string> Parts { get; } = [];

        /// <summary>Whole lines; what comes after the last waits.</summary>
        public void Write(string log, StringBuilder text)
        {
            string[] lines = (_rest + log).Split('\n');
            foreach (string line in lines[..^1])
            {
                text.Append(CultureInfo.InvariantCulture, $"#{number} {line.TrimEnd('\r')}\n");
            }

            _rest = lines[^1];
        }

        public void Flush(StringBuilder text)
        {
            if (_rest.Length > 0)
            {
                text.Append(CultureInfo.InvariantCulture, $"#{number} {_rest}\n");
                _rest = "";
            }
        }
    }
}
