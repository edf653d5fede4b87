using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;

namespace Slipway.Runtime.Confinement;

/// <summary>Paths of procfs and sysfs that a container does not see, or cannot write. <c>--privileged</c> and <c>--security-opt systempaths=unconfined</c> lift both.</summary>
public static class SystemPaths
{
    /// <summary>Replaced by an empty directory or /dev/null: they tell of the host's hardware and kernel, or let it be controlled.</summary>
    public static IReadOnlyList<string> Masked { get; } =
    [
        "/proc/acpi",
        "/proc/asound",
        "/proc/interrupts",
        "/proc/kcore",
        "/proc/keys",
        "/proc/latency_stats",
        "/proc/sched_debug",
        "/proc/scsi",
        "/proc/timer_list",
        "/proc/timer_stats",
        "/sys/devices/virtual/powercap",
        "/sys/firmware",
        .. ThermalThrottles(),
    ];

    /// <summary>Bind-mounted read-only: a write there changes the host, as far as no namespace stands between.</summary>
    public static IReadOnlyList<string> Readonly { get; } = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

    /// <summary>Interrupt counts by CPU are a side channel (GHSA-6fw5-f8r9-fgfm); which CPUs count them depends on the machine.</summary>
    private static string[] ThermalThrottles()
    {
        using SafeFileHandle? possible = new HostPath("/sys/devices/system/cpu/possible").TryOpen(OpenFlags.ReadOnly);
        if (possible is null)
        {
            return [];
        }

        Span<byte> list = stackalloc byte[4096];
        int length = RandomAccess.Read(possible, list, 0);
        return [.. CpuList(Encoding.ASCII.GetString(list[..length]).Trim())
            .Select(cpu => string.Create(CultureInfo.InvariantCulture, $"/sys/devices/system/cpu/cpu{cpu}/thermal_throttle"))
            .Where(Exists)];
    }

    private static bool Exists(string path)
    {
        using SafeFileHandle? file = new HostPath(path).TryOpen(OpenFlags.Path);
        return file is not null;
    }

    /// <summary>Numbers of a list such as <c>0-3,8</c> (cputopology.rst).</summary>
    internal static IEnumerable<int> CpuList(string list)
    {
        foreach (string range in list.Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            int dash = range.IndexOf('-', StringComparison.Ordinal);
            int first = int.Parse(dash < 0 ? range : range.AsSpan(0, dash), CultureInfo.InvariantCulture);
            int last = dash < 0 ? first : int.Parse(range.AsSpan(dash + 1), CultureInfo.InvariantCulture);
            for (int cpu = first; cpu <= last; cpu++)
            {
                yield return cpu;
            }
        }
    }
}
