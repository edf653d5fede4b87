using System.Diagnostics;

namespace Slipway.Tests.Harness;

/// <summary>Runs programs to their end, with a time limit, so that no test can hang.</summary>
public static class Programs
{
    /// <summary>Multiplies every time limit; set it where the tests run on an emulated processor.</summary>
    private static readonly double Slowness = double.Parse(
        Environment.GetEnvironmentVariable("SLIPWAY_TEST_SLOWNESS") ?? "1", System.Globalization.CultureInfo.InvariantCulture);

    /// <param name="seconds">A time limit in seconds of an unloaded, real machine.</param>
    public static TimeSpan Limit(double seconds) => TimeSpan.FromSeconds(seconds * Slowness);

    /// <summary>Whether a process lives. One that ended and waits to be reaped (by the machine's first process, whose matter it is) does not.</summary>
    public static bool Lives(string pid) => File.Exists($"/proc/{pid}/stat") && File.ReadAllText($"/proc/{pid}/stat").Split(") ")[^1][0] is not ('Z' or 'X');

    public static Process Start(string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[name] = value;
        }
        return Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start");
    }

    /// <summary>Runs a program; standard input is <paramref name="input"/>, or empty.</summary>
    /// <exception cref="TimeoutException">It did not end within <paramref name="limit"/> (default 60 s); it has been killed.</exception>
    public static async Task<CliResult> Run(
        string program,
        IReadOnlyList<string> arguments,
        Stream? input = null,
        TimeSpan? limit = null,
        IReadOnlyDictionary<string, string>? environment = null)
    {
        var cancellationToken = TestContext.Current.CancellationToken;
        var command = $"$ {Path.GetFileName(program)} {string.Join(' ', arguments)}";
        using var process = Start(program, arguments, environment);
        var output = process.StandardOutput.ReadToEndAsync(cancellationToken);
        var error = process.StandardError.ReadToEndAsync(cancellationToken);
        var feed = Feed(process, input, cancellationToken);
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        timeout.CancelAfter(limit ?? Limit(60));
        try
        {
            await process.WaitForExitAsync(timeout.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"no end within {limit ?? Limit(60)}: {command}\n  out: {await output}\n  err: {await error}");
        }
        await feed;
        return new CliResult(command, process.ExitCode, await output, await error);
    }

    private static async Task Feed(Process process, Stream? input, CancellationToken cancellationToken)
    {
        try
        {
            if (input is not null)
            {
                await input.CopyToAsync(process.StandardInput.BaseStream, cancellationToken);
            }
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // The program closed its input before it had read all of it, which is its right.
        }
    }
}
