using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Api.Containers;
using Slipway.Kernel;
using Slipway.Kernel.Files;

namespace Slipway.Engine.Containers.Stats;

/// <summary>What went through the interfaces of a network namespace, as /proc/pid/net/dev shows it (proc_pid_net(5)).</summary>
internal static class NetworkCounters
{
    /// <summary>What the engine puts into a container's namespace is named so; other interfaces are the kernel's or the container's.</summary>
    private const string EndpointPrefix = "eth";

    /// <summary>Bytes: some ten thousand interfaces.</summary>
    private const int MaximumLength = 1 << 20;

    /// <summary>By name; null where there is none, or the process has ended.</summary>
    public static Dictionary<string, NetworkStats>? OfProcess(int pid)
    {
        try
        {
            using SafeFileHandle? file = new HostPath($"/proc/{pid}/net/dev").TryOpen(OpenFlags.ReadOnly);
            return file is null ? null : Parse(Encoding.UTF8.GetString(Descriptors.ReadToEnd(file, MaximumLength)).Split('\n'));
        }
        catch (KernelException)
        {
            return null;
        }
    }

    /// <summary>Lines such as <c>  eth0: 806 9 0 0 0 0 0 0 126 3 0 0 0 0 0 0</c>: eight numbers received, eight sent.</summary>
    internal static Dictionary<string, NetworkStats>? Parse(IEnumerable<string> lines)
    {
        Dictionary<string, NetworkStats>? interfaces = null;
        foreach (string line in lines)
        {
            int colon = line.IndexOf(':', StringComparison.Ordinal);
            if (colon < 0 || !line.AsSpan(0, colon).TrimStart().StartsWith(EndpointPrefix, StringComparison.Ordinal))
            {
                continue;
            }

            ulong[] counters = [.. line[(colon + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(number => ulong.Parse(number, CultureInfo.InvariantCulture))];
            (interfaces ??= [])[line[..colon].Trim()] = new NetworkStats
            {
                RxBytes = counters[0],
                RxPackets = counters[1],
                RxErrors = counters[2],
                RxDropped = counters[3],
                TxBytes = counters[8],
                TxPackets = counters[9],
                TxErrors = counters[10],
                TxDropped = counters[11],
            };
        }

        return interfaces;
    }
}
