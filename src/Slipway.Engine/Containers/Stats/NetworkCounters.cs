using System.Globalization;
using Slipway.Api.Containers;

namespace Slipway.Engine.Containers.Stats;

/// <summary>What went through the interfaces of a network namespace, as /proc/pid/net/dev shows it (proc_pid_net(5)).</summary>
internal static class NetworkCounters
{
    /// <summary>What the engine puts into a container's namespace is named so; other interfaces are the kernel's or the container's.</summary>
    private const string EndpointPrefix = "eth";

    /// <summary>By name; null where there is none, or the process has ended.</summary>
    public static Dictionary<string, NetworkStats>? OfProcess(int pid)
    {
        try
        {
            return Parse(File.ReadLines($"/proc/{pid}/net/dev"));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
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
