namespace Slipway.Tests.Kernel.Mounts;

/// <summary>The mounts of the namespace that the tests run in.</summary>
internal static class HostMounts
{
    /// <summary>Where tests and their engines mount, and name network namespaces.</summary>
    private static readonly string[] s_scratch = [Path.Combine(Path.GetTempPath(), "slipway-"), "/run/netns/slip", "/run/slipway", "/var/lib/slipway"];

    /// <param name="own">The folder of the test that asks: what other tests mount meanwhile is left out.</param>
    /// <returns>Lines of <c>/proc/self/mountinfo</c> (proc_pid_mountinfo(5)).</returns>
    public static string[] Besides(string own) =>
        [.. File.ReadLines("/proc/self/mountinfo").Where(line => line.Split(' ')[4] is var point && (!Array.Exists(s_scratch, scratch => point.StartsWith(scratch, StringComparison.Ordinal)) || point.StartsWith(own, StringComparison.Ordinal)))];
}
