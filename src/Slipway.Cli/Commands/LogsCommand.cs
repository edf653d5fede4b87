using System.CommandLine;
using Slipway.Api.Containers;
using Slipway.Cli.Options;
using Slipway.Client;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway logs</c>.</summary>
internal static class LogsCommand
{
    public static Command Create()
    {
        Option<bool> details = new("--details") { Description = "Show extra details provided to logs" };
        Option<bool> follow = new("--follow", "-f") { Description = "Follow log output" };
        Option<string?> since = new("--since") { Description = "Show logs since timestamp (e.g. \"2013-01-02T13:23:37Z\") or relative (e.g. \"42m\" for 42 minutes)" };
        Option<string?> tail = new("--tail", "-n") { Description = "Number of lines to show from the end of the logs (default \"all\")" };
        Option<bool> timestamps = new("--timestamps", "-t") { Description = "Show timestamps" };
        Option<string?> until = new("--until") { Description = "Show logs before a timestamp or relative time" };
        Argument<string> container = new("CONTAINER") { CompletionSources = { Completion.Containers } };
        Command command = new("logs", "Fetch the logs of a container") { details, follow, since, tail, timestamps, until, container };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            ContainerInspect inspect = await client.InspectContainerAsync(result.GetValue(container)!, cancellationToken).ConfigureAwait(false);
            LogsQuery query = new(result.GetValue(follow), result.GetValue(timestamps), result.GetValue(details),
                Quantities.Timestamp(result.GetValue(since), TimeProvider.System), Quantities.Timestamp(result.GetValue(until), TimeProvider.System), result.GetValue(tail));
            Stream output = Console.OpenStandardOutput();
            Stream error = Console.OpenStandardError();
            await using (output.ConfigureAwait(false))
            await using (error.ConfigureAwait(false))
            {
                await client.LogsAsync(inspect.Id, query, inspect.Config.Tty, output, error, cancellationToken).ConfigureAwait(false);
            }

            return 0;
        });
        return command;
    }
}
