namespace Slipway.Tests.Kernel.Mounts;

/// <summary>The mounts of the namespace that the tests run in.</summary>
internal static class HostMounts
{
    private static readonly string s_scratch = Path.Combine(Path.GetTempPath(), "slipway-");

    /// <param name="own">The folder of the test that asks: what other tests mount below theirs meanwhile is left out.</param>
    /// <returns>Lines of <c>/proc/self/mountinfo</c> (proc_pid_mountinfo(5)).</returns>
    public static string[] Besides(string own) =>
        [.. File.ReadLines("/proc/self/mountinfo").Where(line => line.Split(' ')[4] is var point && (!point.StartsWith(s_scratch, StringComparison.Ordinal) || point.StartsWith(own, StringComparison.Ordinal)))];
}
