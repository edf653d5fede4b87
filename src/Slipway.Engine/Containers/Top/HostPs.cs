using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using Slipway.Api.Containers;

namespace Slipway.Engine.Containers.Top;

/// <summary>The host's <c>ps</c> with the arguments of the user, its rows filtered by process id, as Docker does it.</summary>
internal static class HostPs
{
    /// <exception cref="EngineException">ps refuses its arguments, or shows no process ids.</exception>
    public static async Task<ContainerTop> RunAsync(string arguments, IReadOnlyCollection<int> pids, CancellationToken cancellationToken)
    {
        (int exitCode, string output, string error) = await ExecuteAsync(arguments, cancellationToken);
        if (exitCode != 0)
        {
            throw new EngineException(ErrorKind.System, $"ps: {error.Trim().Split('\n')[0]}");
        }

        return Parse(output, pids);
    }

    /// <summary>Cuts the rows into as many fields as there are titles; the last takes the rest.</summary>
    internal static ContainerTop Parse(string output, IReadOnlyCollection<int> pids)
    {
        string[] lines = output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        List<string> titles = lines.Length == 0 ? [] : [.. Fields(lines[0], int.MaxValue)];
        int column = titles.IndexOf("PID");
        if (column < 0)
        {
            throw new EngineException(ErrorKind.System, "Couldn't find PID field in ps output");
        }

        List<List<string>> rows = [];
        foreach (string line in lines.Skip(1))
        {
            string[] fields = Fields(line, titles.Count);
            if (fields.Length > column && int.TryParse(fields[column], NumberStyles.None, CultureInfo.InvariantCulture, out int pid) && pids.Contains(pid))
            {
                rows.Add([.. fields]);
            }
        }

        return new ContainerTop(titles, rows);
    }

    private static string[] Fields(string line, int count) => line.Split(' ', count, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    private static async Task<(int ExitCode, string Output, string Error)> ExecuteAsync(string arguments, CancellationToken cancellationToken)
    {
        ProcessStartInfo start = new("ps") { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (string argument in arguments.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            start.ArgumentList.Add(argument);
        }

        try
        {
            using Process process = Process.Start(start)!;
            Task<string> output = process.StandardOutput.ReadToEndAsync(cancellationToken);
            Task<string> error = process.StandardError.ReadToEndAsync(cancellationToken);
            await process.WaitForExitAsync(cancellationToken);
            return (process.ExitCode, await output, await error);
        }
        catch (Win32Exception exception)
        {
            throw new EngineException(ErrorKind.System, $"ps: {exception.Message}", exception);
        }
    }
}
