using System.CommandLine;
using Slipway.Client;

namespace Slipway.Cli.Commands;

/// <summary>What all verbs that speak to an engine do alike: connect, tell errors in docker's words, choose the exit code.</summary>
internal static class EngineCommand
{
    /// <summary>An error of the tool or the engine, for <c>run</c> and <c>create</c>: the container's own codes lie below.</summary>
    public const int EngineFailed = 125;

    public static void SetEngineAction(this Command command, Func<ParseResult, EngineClient, CancellationToken, Task<int>> action, int failure = 1) =>
        command.SetAction(async (result, cancellationToken) =>
        {
            try
            {
                using EngineClient client = Connection.Open(result);
                return await action(result, client, cancellationToken).ConfigureAwait(false);
            }
            catch (Exception exception) when (exception is EngineApiException or EngineUnreachableException or CommandException or IOException or UnauthorizedAccessException)
            {
                await Console.Error.WriteLineAsync(Text(exception)).ConfigureAwait(false);
                return exception is CommandException own && failure != 1 ? own.ExitCode : failure;
            }
        });

    /// <summary>Does the same to several objects: each is named when done, an error does not keep the others from their turn.</summary>
    public static async Task<int> ForEachAsync(IEnumerable<string> names, Func<string, Task> action, bool print = true)
    {
        int exitCode = 0;
        foreach (string name in names)
        {
            try
            {
                await action(name).ConfigureAwait(false);
                if (print)
                {
                    Console.WriteLine(name);
                }
            }
            catch (EngineApiException exception)
            {
                await Console.Error.WriteLineAsync(Text(exception)).ConfigureAwait(false);
                exitCode = 1;
            }
        }

        return exitCode;
    }

    public static string Text(Exception exception) => exception is EngineApiException ? $"Error response from daemon: {exception.Message}" : exception.Message;

    /// <summary>Docker's <c>--filter key=value</c>, repeated.</summary>
    public static Dictionary<string, List<string>> Filters(IEnumerable<string>? values)
    {
        Dictionary<string, List<string>> filters = [];
        foreach (string value in values ?? [])
        {
            string[] parts = value.Split('=', 2);
            if (parts.Length != 2)
            {
                throw new CommandException($"invalid argument \"{value}\" for \"-f, --filter\" flag: invalid filter '{value}' (expected key=value)", 1);
            }

            (filters.TryGetValue(parts[0], out List<string>? list) ? list : filters[parts[0]] = []).Add(parts[1]);
        }

        return filters;
    }
}
