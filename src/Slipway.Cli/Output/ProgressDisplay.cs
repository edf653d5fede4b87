using Slipway.Api.Images;
using Spectre.Console;

namespace Slipway.Cli.Output;

/// <summary>The engine's progress messages: bars on a terminal, plain lines elsewhere.</summary>
internal static class ProgressDisplay
{
    /// <exception cref="CommandException">The engine reported an error in the stream.</exception>
    public static async Task ShowAsync(IAsyncEnumerable<ProgressMessage> messages, TextWriter writer)
    {
        bool terminal = writer == Console.Error ? !Console.IsErrorRedirected : !Console.IsOutputRedirected;
        if (!terminal)
        {
            await foreach (ProgressMessage message in messages.ConfigureAwait(false))
            {
                ThrowIfError(message);
                await writer.WriteAsync(Line(message)).ConfigureAwait(false);
            }

            return;
        }

        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(writer) });
        List<string> lines = [];
        await console.Progress().Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new DownloadedColumn()).AutoClear(true).StartAsync(async context =>
        {
            Dictionary<string, ProgressTask> tasks = [];
            await foreach (ProgressMessage message in messages.ConfigureAwait(false))
            {
                ThrowIfError(message);
                if (message is { Id: { } id, ProgressDetail.Total: > 0 and var total })
                {
                    ProgressTask task = tasks.TryGetValue(id, out ProgressTask? known) ? known : tasks[id] = context.AddTask(Markup.Escape($"{id}: {message.Status}"), maxValue: total);
                    task.Value = message.ProgressDetail.Current;
                }
                else
                {
                    lines.Add(Line(message));
                }
            }
        }).ConfigureAwait(false);
        foreach (string line in lines)
        {
            await writer.WriteAsync(line).ConfigureAwait(false);
        }
    }

    private static string Line(ProgressMessage message) => message switch
    {
        { Stream: { } stream } => stream,
        { ProgressDetail: { Total: > 0 } } => "",
        { Id: { } id, Status: { } status } => $"{id}: {status}\n",
        { Status: { } status } => status + "\n",
        _ => "",
    };

    private static void ThrowIfError(ProgressMessage message)
    {
        if (message.ErrorDetail?.Message is { } text || (text = message.Error!) is not null)
        {
            throw new CommandException(text, 1);
        }
    }
}
