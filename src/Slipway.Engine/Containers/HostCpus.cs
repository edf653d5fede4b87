using System.Globalization;

namespace Slipway.Engine.Containers;

/// <summary>CPUs and memory nodes of the host, as lists (cpuset(7)).</summary>
internal sealed record HostCpus(string OnlineCpus, string OnlineNodes)
{
    /// <summary>Reads what is online; one of each where the kernel does not tell.</summary>
    public static HostCpus Read() => new(ReadLine("/sys/devices/system/cpu/online", $"0-{Environment.ProcessorCount - 1}"), ReadLine("/sys/devices/system/node/online", "0"));

    /// <summary>The CPUs of the list.</summary>
    public int OnlineCpuCount { get; } = OnlineCpus.Split(',').Sum(item => item.Split('-') switch
    {
        [var first, var last] => int.Parse(last, CultureInfo.InvariantCulture) - int.Parse(first, CultureInfo.InvariantCulture) + 1,
        _ => 1,
    });

    private static string ReadLine(string path, string fallback) => File.Exists(path) ? File.ReadAllText(path).Trim() : fallback;
}
