using System.Diagnostics;
using System.Text;

namespace Slipway.Tests.Harness;

/// <summary>The unmodified docker CLI (SLIPWAY_DOCKER, else <c>docker</c> on PATH), pointed at one engine.</summary>
public sealed class Docker(string socket)
{
    public static string Path { get; } = Environment.GetEnvironmentVariable("SLIPWAY_DOCKER") is { Length: > 0 } named ? named : "docker";

    /// <summary>Path of the engine's unix socket.</summary>
    public string Socket => socket;

    public IReadOnlyDictionary<string, string> Variables { get; } = new Dictionary<string, string>
    {
        ["DOCKER_HOST"] = $"unix://{socket}",
        // A user's own contexts and credential helpers have no say in the tests.
        ["DOCKER_CONFIG"] = "/nonexistent",
        ["DOCKER_CLI_HINTS"] = "false",
    };

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>Runs a command to its end with empty input.</summary>
    public Task<CliResult> Run(params string[] arguments) =>
        Programs.Run(Path, arguments, environment: Variables);

    public Task<CliResult> RunFor(TimeSpan limit, params string[] arguments) =>
        Programs.Run(Path, arguments, limit: limit, environment: Variables);

    public Task<CliResult> RunWith(string input, params string[] arguments) => RunWith(new MemoryStream(Encoding.UTF8.GetBytes(input)), arguments);

    public Task<CliResult> RunWith(Stream input, params string[] arguments) =>
        Programs.Run(Path, arguments, input, environment: Variables);

    /// <summary>Runs a command that has to succeed, and returns its output without the last newline.</summary>
    public async Task<string> Ok(params string[] arguments) => (await Run(arguments)).Ok().Line;

    /// <summary>Starts a command that goes on beside the test.</summary>
    public Process Start(params string[] arguments) => Programs.Start(Path, arguments, Variables);

    /// <summary>One value of inspect, by Go template.</summary>
    public Task<string> Inspect(string name, string template) => Ok("inspect", "-f", template, name);

    /// <summary>Waits until a command's output satisfies the condition.</summary>
    /// <exception cref="TimeoutException">It did not within the limit (default 30 s).</exception>
    public async Task<string> Until(Func<string, bool> condition, string[] arguments, TimeSpan? limit = null)
    {
        var clock = Stopwatch.StartNew();
        while (true)
        {
            var result = await Run(arguments);
            if (condition(result.Output))
            {
                return result.Output;
            }
            if (clock.Elapsed > (limit ?? Programs.Limit(30)))
            {
                throw new TimeoutException($"not reached within {limit ?? Programs.Limit(30)}; last: {result}");
            }
            await Task.Delay(50, Cancellation);
        }
    }
}
