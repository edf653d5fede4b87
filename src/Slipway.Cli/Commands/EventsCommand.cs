using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using Slipway.Api;
using Slipway.Api.Events;
using Slipway.Cli.Options;
using Slipway.Cli.Output;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway events</c>.</summary>
internal static class EventsCommand
{
    public static Command Create()
    {
        Option<string[]> filter = new("--filter", "-f") { Description = "Filter output based on conditions provided" };
        Option<string?> format = new("--format") { Description = "Format output: 'json' or a Go template" };
        Option<string?> since = new("--since") { Description = "Show all events created since timestamp" };
        Option<string?> until = new("--until") { Description = "Stream events until this timestamp" };
        Command command = new("events", "Get real time events from the server") { filter, format, since, until };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            string? style = result.GetValue(format);
            GoTemplate? template = style is null or "json" ? null : GoTemplate.Parse(style);
            await foreach (EventMessage message in client.EventsAsync(Quantities.Timestamp(result.GetValue(since), TimeProvider.System),
                Quantities.Timestamp(result.GetValue(until), TimeProvider.System), EngineCommand.Filters(result.GetValue(filter)), cancellationToken).ConfigureAwait(false))
            {
                Console.WriteLine(style is null ? Text(message)
                    : template is null ? JsonSerializer.Serialize(message, EngineJson.Wire.EventMessage)
                    : template.Execute(JsonNode.Parse(JsonSerializer.SerializeToUtf8Bytes(message, EngineJson.Wire.EventMessage))));
            }

            return 0;
        });
        return command;
    }

    private static string Text(EventMessage message)
    {
        DateTimeOffset time = DateTimeOffset.UnixEpoch.AddTicks(message.TimeNano / 100).ToLocalTime();
        string attributes = string.Join(", ", message.Actor.Attributes.OrderBy(a => a.Key, StringComparer.Ordinal).Select(a => $"{a.Key}={a.Value}"));
        return $"{time:yyyy-MM-dd'T'HH:mm:ss.fffffff'00'zzz} {message.Type} {message.Action} {message.Actor.ID}{(attributes.Length > 0 ? $" ({attributes})" : "")}";
    }
}
