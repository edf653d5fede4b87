using Slipway.Api.Images;
using Slipway.Kernel.Terminal;

namespace Slipway.Cli.Output;

/// <summary>
/// The engine's progress messages. On a terminal each layer has a line that is written anew, with a bar; elsewhere there is a line for each
/// change and none for amounts.
/// </summary>
internal sealed class ProgressDisplay
{
    private readonly TextWriter _writer;
    private readonly int? _columns;
    private readonly Dictionary<string, int> _lines = [];

    private ProgressDisplay(TextWriter writer)
    {
        _writer = writer;
        int? descriptor = writer == Console.Out ? 1 : writer == Console.Error ? 2 : null;
        _columns = descriptor is { } number ? TerminalMode.Size(number)?.Columns : null;
    }

    /// <exception cref="CommandException">The engine reported an error in the stream.</exception>
    public static async Task ShowAsync(IAsyncEnumerable<ProgressMessage> messages, TextWriter writer)
    {
        ProgressDisplay display = new(writer);
        await foreach (ProgressMessage message in messages.ConfigureAwait(false))
        {
            if (message.ErrorDetail?.Message is { } text || (text = message.Error!) is not null)
            {
                throw new CommandException(text, 1);
            }

            await writer.WriteAsync(display._columns is { } columns ? display.OnTerminal(message, columns) : Plain(message)).ConfigureAwait(false);
        }
    }

    private static string Plain(ProgressMessage message) => message.ProgressDetail is { Current: > 0 } or { Total: > 0 } ? "" : Line(message);

    private static string Line(ProgressMessage message) => message switch
    {
        { Stream: { } stream } => stream,
        { Id: { } id, Status: { } status } => $"{id}: {status}\n",
        { Status: { } status } => status + "\n",
        _ => "",
    };

    /// <summary>A message without an id, or without any progress, ends what can be written anew: it and all before it stay.</summary>
    private string OnTerminal(ProgressMessage message, int columns)
    {
        if (message is not { Id: { } id, ProgressDetail: { } detail })
        {
            _lines.Clear();
            return Line(message);
        }

        string text = $"{id}: {message.Status}";
        text = detail is { Current: > 0 } or { Total: > 0 } ? $"{text} {ProgressBar.Text(detail.Current, detail.Total, columns - text.Length - 1)}" : text;
        text = text.Length < columns ? text : text[..(columns - 1)];
        if (!_lines.TryGetValue(id, out int line))
        {
            _lines.Add(id, _lines.Count);
            return text + "\n";
        }

        // Up to its line, clear it, write it, and back (ECMA-48: CUU, EL, CUD).
        int up = _lines.Count - line;
        return $"\e[{up}A\e[2K\r{text}\r\e[{up}B";
    }
}
