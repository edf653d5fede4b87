using System.CommandLine;
using System.CommandLine.Help;
using Slipway.Cli.Output;

namespace Slipway.Cli.Commands;

/// <summary>The command line: all verbs and what they share.</summary>
internal static class SlipwayCommand
{
    public static Task<int> InvokeAsync(string[] arguments)
    {
        RootCommand root = Create();
        ParserConfiguration configuration = new()
        {
            // A word that starts with @ is the container's, not a response file.
            ResponseFileTokenReplacer = null,
        };
        return root.Parse(arguments, configuration).InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = null, EnableDefaultExceptionHandler = false });
    }

    public static RootCommand Create()
    {
        RootCommand root = new("Builds, ships and runs containers.")
        {
            Connection.Host,
            RunCommand.CreateRun(),
            RunCommand.CreateCreate(),
            PsCommand.Create(),
            ExecCommand.Create(),
            AttachCommand.Create(),
            StartCommand.Create(),
            LifecycleCommands.CreateStop(),
            LifecycleCommands.CreateRestart(),
            LifecycleCommands.CreateKill(),
            LifecycleCommands.CreatePause(),
            LifecycleCommands.CreateUnpause(),
            LifecycleCommands.CreateRm(),
            LifecycleCommands.CreateRename(),
            LifecycleCommands.CreateWait(),
            UpdateCommand.Create(),
            LayerCommands.CreateDiff(),
            LayerCommands.CreateExport(),
            LayerCommands.CreateCommit(),
            LogsCommand.Create(),
            TopCommand.Create(),
            StatsCommand.Create(),
            PortCommand.Create(),
            CopyCommand.Create(),
            CheckpointCommands.Create(),
            ImagesCommand.Create(),
            BuildCommand.Create(),
            InitCommand.Create(),
            PullCommand.Create(),
            PushCommand.Create(),
            LoginCommand.CreateLogin(),
            LoginCommand.CreateLogout(),
            SearchCommand.Create(),
            LoadCommand.Create(),
            ImportCommand.Create(),
            SaveCommand.Create(),
            ImageCommands.CreateTag(),
            ImageCommands.CreateRmi(),
            ImageCommands.CreateHistory(),
            ObjectCommands.CreateContainer(),
            ObjectCommands.CreateImage(),
            NetworkCommands.Create(),
            VolumeCommands.Create(),
            ObjectCommands.CreateSystem(),
            SecretCommands.Create(),
            InspectCommand.Create(),
            ExplainCommand.Create(),
            EventsCommand.Create(),
            InfoCommand.Create(),
            VersionCommand.Create(),
            DaemonCommand.Create(),
            RegistryCommand.Create(),
            CompletionCommand.Create(),
        };
        foreach (Option option in root.Options)
        {
            if (option is HelpOption help)
            {
                // -h is a container's host name, as with docker.
                help.Aliases.Remove("-h");
                help.Aliases.Remove("/h");
                help.Aliases.Remove("/?");
                help.Action = new ColouredHelp();
            }
        }

        return root;
    }
}
