using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.Text;
using Spectre.Console;

namespace Slipway.Cli.Output;

/// <summary>Help in docker's layout, coloured where the output is a terminal (NO_COLOR turns it off, no-color.org).</summary>
internal sealed class ColouredHelp : SynchronousCommandLineAction
{
    private const int Indent = 2;

    public override int Invoke(ParseResult parseResult)
    {
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(parseResult.InvocationConfiguration.Output) });
        Command command = parseResult.CommandResult.Command;
        console.MarkupLineInterpolated($"[bold]Usage:[/]  {Usage(command)}");
        console.WriteLine();
        console.WriteLine(command.Description ?? "");
        Section(console, "Commands", command.Subcommands.Where(c => !c.Hidden).Select(c => (c.Name, c.Description ?? "")));
        Section(console, "Options", command.Options.Where(o => !o.Hidden).OrderBy(o => o.Name, StringComparer.Ordinal).Select(o => (Names(o), o.Description ?? "")));
        if (command is RootCommand)
        {
            console.WriteLine();
            console.WriteLine("Run 'slipway COMMAND --help' for more information on a command.");
        }

        return 0;
    }

    private static string Usage(Command command)
    {
        StringBuilder text = new("slipway ");
        if (command is RootCommand)
        {
            return text.Append("[OPTIONS] COMMAND").ToString();
        }

        text.Append(command.Name).Append(" [OPTIONS]");
        foreach (Argument argument in command.Arguments)
        {
            string name = argument.Name == "COMMAND" ? "COMMAND] [ARG..." : argument.Arity.MaximumNumberOfValues > 1 ? $"{argument.Name} [{argument.Name}..." : argument.Name;
            text.Append(' ').Append(argument.Name == "COMMAND" && argument.Arity.MinimumNumberOfValues > 0 ? "COMMAND [ARG...]"
                : argument.Name == "COMMAND" ? $"[{name}]" : argument.Arity.MaximumNumberOfValues > 1 ? name + "]" : name);
        }

        return text.ToString();
    }

    private static string Names(Option option)
    {
        string shortName = option.Aliases.FirstOrDefault(a => a.Length == 2) is { } alias ? alias + ", " : "    ";
        string value = option.ValueType == typeof(bool) ? "" : option.ValueType.IsArray ? " list" : option.ValueType == typeof(int?) ? " int" : " string";
        return shortName + option.Name + value;
    }

    private static void Section(IAnsiConsole console, string title, IEnumerable<(string Name, string Description)> items)
    {
        (string Name, string Description)[] lines = [.. items];
        if (lines.Length == 0)
        {
            return;
        }

        console.WriteLine();
        console.MarkupLineInterpolated($"[bold]{title}:[/]");
        int width = lines.Max(l => l.Name.Length);
        foreach ((string name, string description) in lines)
        {
            console.MarkupLineInterpolated($"{new string(' ', Indent)}[cyan]{name.PadRight(width)}[/]   {description}");
        }
    }
}
