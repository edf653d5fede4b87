using System.CommandLine;
using Slipway.Build.Scaffolding;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway init</c>: a Dockerfile and a .dockerignore for the project in a folder.</summary>
internal static class InitCommand
{
    public static Command Create()
    {
        Argument<string> path = new("PATH") { Description = "Folder of the project", DefaultValueFactory = _ => "." };
        Option<string> type = new("--type") { Description = "Kind of project, where the folder does not show it", HelpName = string.Join('|', ProjectTemplates.Names) };
        type.AcceptOnlyFromAmong([.. ProjectTemplates.Names]);
        Option<bool> force = new("--force", "-f") { Description = "Replace files that are there" };
        Command command = new("init", "Write a Dockerfile and a .dockerignore for the project in a folder") { path, type, force };
        command.SetAction(async (result, cancellationToken) =>
        {
            try
            {
                await WriteAsync(result.GetValue(path)!, result.GetValue(type), result.GetValue(force), cancellationToken).ConfigureAwait(false);
                return 0;
            }
            catch (Exception exception) when (exception is CommandException or IOException or UnauthorizedAccessException)
            {
                await Console.Error.WriteLineAsync(exception.Message).ConfigureAwait(false);
                return 1;
            }
        });
        return command;
    }

    private static async Task WriteAsync(string path, string? type, bool force, CancellationToken cancellationToken)
    {
        if (!Directory.Exists(path))
        {
            throw new CommandException($"{path} is no folder");
        }

        ProjectFolder folder = new(path);
        Scaffold scaffold = ProjectTemplates.Describe(folder, type)
            ?? throw new CommandException($"no project is recognized in {folder.Path}: name its kind with --type ({string.Join(", ", ProjectTemplates.Names)})");
        (string Name, string Text)[] files = [("Dockerfile", scaffold.Dockerfile), (".dockerignore", scaffold.IgnoreFile)];
        if (!force && Array.Find(files, file => folder.Has(file.Name)).Name is { } taken)
        {
            throw new CommandException($"{taken} exists: --force replaces it");
        }

        foreach ((string name, string text) in files)
        {
            await File.WriteAllTextAsync(Path.Combine(folder.Path, name), text, cancellationToken).ConfigureAwait(false);
        }

        Console.WriteLine($"Dockerfile and .dockerignore for {scaffold.Kind}");
        foreach (string guess in scaffold.Guesses)
        {
            Console.WriteLine($"  guessed, please look: {guess}");
        }

        string image = ImageNameOf(folder.Name);
        Console.WriteLine($"Build: docker build -t {image} .");
        Console.WriteLine($"Run:   docker run --rm {(scaffold.Port is { } port ? $"-p {port}:{port} " : "")}{image}");
    }

    /// <summary>A folder's name as far as it may be a repository's.</summary>
    private static string ImageNameOf(string folder)
    {
        string name = string.Concat(folder.ToLowerInvariant().Where(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.')).Trim('-', '_', '.');
        return name.Length > 0 ? name : "app";
    }
}
