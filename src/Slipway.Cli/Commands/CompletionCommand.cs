using System.CommandLine;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway completion</c>: a script for the shell, which asks this program for the words.</summary>
internal static class CompletionCommand
{
    private const string Bash = """
        _slipway() {
            local IFS=$'\n'
            COMPREPLY=($(compgen -W "$(slipway "[suggest:${COMP_POINT}]" "${COMP_LINE}" 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}"))
        }
        complete -o default -F _slipway slipway
        """;

    private const string Zsh = """
        #compdef slipway
        _slipway() {
            local -a words
            words=("${(@f)$(slipway "[suggest:${CURSOR}]" "${BUFFER}" 2>/dev/null)}")
            compadd -a words
        }
        compdef _slipway slipway
        """;

    private const string Fish = """
        complete -c slipway -f -a '(slipway "[suggest:"(commandline -C)"]" (commandline) 2>/dev/null)'
        """;

    public static Command Create()
    {
        Argument<string> shell = new("SHELL") { Description = "bash, zsh or fish" };
        shell.AcceptOnlyFromAmong("bash", "zsh", "fish");
        Command command = new("completion", "Generate the autocompletion script for the specified shell") { shell };
        command.SetAction(result => Console.WriteLine(result.GetValue(shell) switch { "zsh" => Zsh, "fish" => Fish, _ => Bash }));
        return command;
    }
}
