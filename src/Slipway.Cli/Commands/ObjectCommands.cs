using System.CommandLine;

namespace Slipway.Cli.Commands;

/// <summary>The verbs grouped by what they are about, as docker has them beside the short forms: <c>slipway image ls</c>.</summary>
internal static class ObjectCommands
{
    public static Command CreateContainer() => new("container", "Manage containers")
    {
        AttachCommand.Create(),
        LayerCommands.CreateCommit(),
        CopyCommand.Create(),
        RunCommand.CreateCreate(),
        LayerCommands.CreateDiff(),
        ExecCommand.Create(),
        LayerCommands.CreateExport(),
        InspectCommand.Create(),
        LifecycleCommands.CreateKill(),
        LogsCommand.Create(),
        As("ls", PsCommand.Create()),
        LifecycleCommands.CreatePause(),
        PortCommand.Create(),
        PruneCommands.CreateContainers(),
        LifecycleCommands.CreateRename(),
        LifecycleCommands.CreateRestart(),
        LifecycleCommands.CreateRm(),
        RunCommand.CreateRun(),
        StartCommand.Create(),
        StatsCommand.Create(),
        LifecycleCommands.CreateStop(),
        TopCommand.Create(),
        LifecycleCommands.CreateUnpause(),
        UpdateCommand.Create(),
        LifecycleCommands.CreateWait(),
    };

    public static Command CreateImage() => new("image", "Manage images")
    {
        ImageCommands.CreateHistory(),
        ImportCommand.Create(),
        InspectCommand.Create(),
        LoadCommand.Create(),
        As("ls", ImagesCommand.Create()),
        PruneCommands.CreateImages(),
        PullCommand.Create(),
        PushCommand.Create(),
        As("rm", ImageCommands.CreateRmi()),
        SaveCommand.Create(),
        ImageCommands.CreateTag(),
    };

    public static Command CreateSystem() => new("system", "Manage the engine")
    {
        DialStdioCommand.Create(),
        DiskUsageCommand.Create(),
        EventsCommand.Create(),
        InfoCommand.Create(),
        PruneCommands.CreateSystem(),
    };

    private static Command As(string alias, Command command)
    {
        command.Aliases.Add(alias);
        return command;
    }
}
