using System.CommandLine;
using System.Text.Json.Nodes;
using Slipway.Cli.Roles;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway daemon</c>: dockerd's flag names.</summary>
internal static class DaemonCommand
{
    public static Command Create()
    {
        Option<string?> configFile = new("--config-file") { Description = $"Daemon configuration file (default \"{DaemonConfiguration.DefaultFile}\")" };
        Option<bool> validate = new("--validate") { Description = "Validate daemon configuration and exit" };
        Option<bool> cleanUp = new("--cleanup") { Description = "Stop all containers, remove what the engine made in the kernel, and end" };
        DaemonFlags flags = new();
        Command command = new("daemon", "Run the engine") { configFile, validate, cleanUp };
        foreach (Option option in flags.Options)
        {
            command.Options.Add(option);
        }

        command.SetAction(async (result, cancellationToken) =>
        {
            try
            {
                string file = result.GetValue(configFile) ?? DaemonConfiguration.DefaultFile;
                JsonObject given = flags.Read(result, result.GetValue(Connection.Host));
                DaemonConfiguration Configuration() => DaemonConfiguration.Read(file, required: result.GetValue(configFile) is not null, given);
                if (result.GetValue(validate))
                {
                    DaemonRole.Validate(Configuration());
                    await Console.Error.WriteLineAsync("configuration OK").ConfigureAwait(false);
                    return 0;
                }

                return await DaemonRole.RunAsync(Configuration(), Configuration, result.GetValue(cleanUp), cancellationToken).ConfigureAwait(false);
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
