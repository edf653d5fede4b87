using System.Diagnostics;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance.Builds;

/// <summary>A process of a step, found by its command line, which no other has.</summary>
internal static class StepProcess
{
    public static async Task Until(string command, bool runs)
    {
        for (var clock = Stopwatch.StartNew(); Runs(command) != runs;)
        {
            Assert.True(clock.Elapsed < Programs.Limit(30), $"the step is {(runs ? "not begun" : "still there")}");
            await Task.Delay(50, TestContext.Current.CancellationToken);
        }
    }

    private static bool Runs(string command) => Directory.EnumerateDirectories("/proc").Where(process => char.IsAsciiDigit(Path.GetFileName(process)[0])).Any(process =>
    {
        try
        {
            return File.ReadAllText($"{process}/cmdline").Replace('\0', ' ').Trim() == command;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    });
}
