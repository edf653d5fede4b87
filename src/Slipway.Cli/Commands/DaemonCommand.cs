using System.CommandLine;
using Slipway.Cli.Options;
using Slipway.Cli.Roles;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway daemon</c>: dockerd's flag names.</summary>
internal static class DaemonCommand
{
    public static Command Create()
    {
        Option<string?> configFile = new("--config-file") { Description = $"Daemon configuration file (default \"{DaemonConfiguration.DefaultFile}\")" };
        Option<string?> dataRoot = new("--data-root") { Description = "Root directory of persistent state" };
        Option<string?> execRoot = new("--exec-root") { Description = "Root directory for execution state files" };
        Option<string?> pidFile = new("--pidfile", "-p") { Description = "Path to use for daemon PID file" };
        Option<string?> group = new("--group", "-G") { Description = "Group for the unix socket" };
        Option<string?> bridge = new("--bridge", "-b") { Description = "Bridge of the default network; 'none' for no default network" };
        Option<string?> bip = new("--bip") { Description = "IPv4 address (CIDR) for the default bridge" };
        Option<string?> cgroupParent = new("--cgroup-parent") { Description = "Set parent cgroup for all containers" };
        Option<string[]> labels = new("--label") { Description = "Set key=value labels to the daemon" };
        Option<string[]> logOptions = new("--log-opt") { Description = "Default log driver options for containers" };
        Option<bool> debug = new("--debug", "-D") { Description = "Enable debug mode" };
        Option<bool> cleanUp = new("--cleanup") { Description = "Stop all containers, remove what the engine made in the kernel, and end" };
        Command command = new("daemon", "Run the engine")
        {
            configFile, dataRoot, execRoot, pidFile, group, bridge, bip, cgroupParent, labels, logOptions, debug, cleanUp,
        };
        command.SetAction(async (result, cancellationToken) =>
        {
            try
            {
                string file = result.GetValue(configFile) ?? DaemonConfiguration.DefaultFile;
                DaemonConfiguration flags = new()
                {
                    DataRoot = result.GetValue(dataRoot),
                    ExecRoot = result.GetValue(execRoot),
                    Hosts = result.GetValue(Connection.Host) is { Length: > 0 } hosts ? [.. hosts] : null,
                    Group = result.GetValue(group),
                    PidFile = result.GetValue(pidFile),
                    Bridge = result.GetValue(bridge),
                    BridgeAddress = result.GetValue(bip),
                    CgroupParent = result.GetValue(cgroupParent),
                    Labels = result.GetValue(labels) is { Length: > 0 } values ? [.. values] : null,
                    LogOptions = result.GetValue(logOptions) is { Length: > 0 } options ? KeyValues.Pairs(options) : null,
                    Debug = result.GetValue(debug) ? true : null,
                };
                DaemonConfiguration configuration = flags.Over(DaemonConfiguration.Read(file, required: result.GetValue(configFile) is not null), file);
                return await DaemonRole.RunAsync(configuration, result.GetValue(cleanUp), cancellationToken).ConfigureAwait(false);
            }
            catch (CommandException exception)
            {
                await Console.Error.WriteLineAsync(exception.Message).ConfigureAwait(false);
                return exception.ExitCode;
            }
        });
        return command;
    }
}
