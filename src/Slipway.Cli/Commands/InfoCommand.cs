using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using Slipway.Api;
using Slipway.Api.Daemon;
using Slipway.Cli.Output;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway info</c>.</summary>
internal static class InfoCommand
{
    public static Command Create()
    {
        Option<string?> format = new("--format", "-f") { Description = "Format output: 'json' or a Go template" };
        Command command = new("info", "Display system-wide information") { format };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            SystemInfo info = await client.InfoAsync(cancellationToken).ConfigureAwait(false);
            switch (result.GetValue(format))
            {
                case null or "":
                    Print(info);
                    break;
                case "json":
                    Console.WriteLine(JsonSerializer.Serialize(info, EngineJson.Wire.SystemInfo));
                    break;
                case var template:
                    Console.WriteLine(GoTemplate.Parse(template).Execute(JsonNode.Parse(JsonSerializer.SerializeToUtf8Bytes(info, EngineJson.Wire.SystemInfo))));
                    break;
            }

            return 0;
        });
        return command;
    }

    private static void Print(SystemInfo info)
    {
        Console.WriteLine($"""
            Server:
             Containers: {info.Containers}
              Running: {info.ContainersRunning}
              Paused: {info.ContainersPaused}
              Stopped: {info.ContainersStopped}
             Images: {info.Images}
             Server Version: {info.ServerVersion}
             Storage Driver: {info.Driver}
             Logging Driver: {info.LoggingDriver}
             Cgroup Driver: {info.CgroupDriver}
             Cgroup Version: {info.CgroupVersion}
             Plugins:
              Volume: {string.Join(' ', info.Plugins.Volume)}
              Network: {string.Join(' ', info.Plugins.Network)}
              Log: {string.Join(' ', info.Plugins.Log)}
             Runtimes: {string.Join(' ', info.Runtimes.Keys)}
             Default Runtime: {info.DefaultRuntime}
             Security Options: {string.Join(' ', info.SecurityOptions)}
             Kernel Version: {info.KernelVersion}
             Operating System: {info.OperatingSystem}
             OSType: {info.OSType}
             Architecture: {info.Architecture}
             CPUs: {info.NCPU}
             Total Memory: {HumanText.Size(info.MemTotal)}
             Name: {info.Name}
             ID: {info.ID}
             Slipway Root Dir: {info.DockerRootDir}
             Live Restore Enabled: {(info.LiveRestoreEnabled ? "true" : "false")}
            """);
        foreach (string warning in info.Warnings ?? [])
        {
            Console.Error.WriteLine(warning);
        }
    }
}
