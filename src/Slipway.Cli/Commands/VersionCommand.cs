using System.CommandLine;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using Slipway.Api;
using Slipway.Api.Daemon;
using Slipway.Cli.Output;
using Slipway.Client;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway version</c>.</summary>
internal static class VersionCommand
{
    public static Command Create()
    {
        Option<string?> format = new("--format", "-f") { Description = "Format output: 'json' or a Go template" };
        Command command = new("version", "Show the Slipway version information") { format };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            string own = typeof(VersionCommand).Assembly.GetName().Version!.ToString(3);
            string architecture = RuntimeInformation.OSArchitecture == Architecture.Arm64 ? "arm64" : "amd64";
            SystemVersion? server = null;
            EngineUnreachableException? unreachable = null;
            try
            {
                server = await client.VersionAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (EngineUnreachableException exception)
            {
                unreachable = exception;
            }

            if (result.GetValue(format) is { Length: > 0 } style)
            {
                JsonObject both = new()
                {
                    ["Client"] = new JsonObject { ["Version"] = own, ["ApiVersion"] = EngineClient.ApiVersion, ["Os"] = "linux", ["Arch"] = architecture },
                    ["Server"] = server is null ? null : JsonNode.Parse(JsonSerializer.SerializeToUtf8Bytes(server, EngineJson.Wire.SystemVersion)),
                };
                Console.WriteLine(style == "json" ? both.ToJsonString(JsonOutput.Compact) : GoTemplate.Parse(style).Execute(both));
            }
            else
            {
                Console.WriteLine($"""
                    Client:
                     Version:           {own}
                     API version:       {EngineClient.ApiVersion}
                     OS/Arch:           linux/{architecture}
                    """);
                if (server is not null)
                {
                    Console.WriteLine($"""

                        Server: {server.Platform.Name}
                         Engine:
                          Version:          {server.Version}
                          API version:      {server.ApiVersion} (minimum version {server.MinAPIVersion})
                          OS/Arch:          {server.Os}/{server.Arch}
                          Kernel:           {server.KernelVersion}
                        """);
                }
            }

            return unreachable is null ? 0 : throw unreachable;
        });
        return command;
    }
}
