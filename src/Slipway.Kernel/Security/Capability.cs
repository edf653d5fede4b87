using System.Globalization;
using System.Numerics;

namespace Slipway.Kernel.Security;

/// <summary>Capabilities (capabilities(7), uapi/linux/capability.h): names, numbers, and what this process and kernel have.</summary>
public static class Capability
{
    private static readonly string[] NamesByNumber =
    [
        "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID",
        "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW",
        "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT",
        "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD",
        "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG",
        "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
    ];

    private static readonly Dictionary<string, int> NumbersByName =
        NamesByNumber.Index().ToDictionary(entry => entry.Item, entry => entry.Index, StringComparer.Ordinal);

    private static readonly Lazy<CapabilityState> OwnState = new(() => CapabilityState.Parse(File.ReadAllText("/proc/self/status")));

    private static readonly Lazy<int> LastOfKernel = new(() => int.Parse(File.ReadAllText("/proc/sys/kernel/cap_last_cap").AsSpan().Trim(), CultureInfo.InvariantCulture));

    /// <summary>All names, by number.</summary>
    public static IReadOnlyList<string> Names => NamesByNumber;

    /// <summary>The highest number this kernel knows.</summary>
    public static int Last => LastOfKernel.Value;

    /// <summary>What this process had when first asked; it does not change its own.</summary>
    public static CapabilityState Own => OwnState.Value;

    /// <summary>The number of a name such as <c>CAP_CHOWN</c>.</summary>
    public static bool TryGetNumber(string name, out int number) => NumbersByName.TryGetValue(name, out number);

    /// <summary>A bit for each name.</summary>
    /// <exception cref="ArgumentException">There is no such capability.</exception>
    public static ulong Mask(IEnumerable<string> names)
    {
        ulong mask = 0;
        foreach (string name in names)
        {
            mask |= TryGetNumber(name, out int number) ? 1UL << number : throw new ArgumentException($"unknown capability: \"{name}\"", nameof(names));
        }

        return mask;
    }

    /// <summary>The names of the bits of a mask, by number; bits without a name are left out.</summary>
    public static IReadOnlyList<string> OfMask(ulong mask)
    {
        List<string> names = new(BitOperations.PopCount(mask));
        for (int number = 0; number < NamesByNumber.Length; number++)
        {
            if ((mask & (1UL << number)) != 0)
            {
                names.Add(NamesByNumber[number]);
            }
        }

        return names;
    }
}

/// <summary>The five capability sets of a process, a bit each.</summary>
public readonly record struct CapabilityState(ulong Inheritable, ulong Permitted, ulong Effective, ulong Bounding, ulong Ambient)
{
    /// <summary>From the text of <c>/proc/pid/status</c> (proc_pid_status(5)).</summary>
    public static CapabilityState Parse(string status)
    {
        return new CapabilityState(Find("CapInh:"), Find("CapPrm:"), Find("CapEff:"), Find("CapBnd:"), Find("CapAmb:"));

        ulong Find(string key)
        {
            foreach (ReadOnlySpan<char> line in status.AsSpan().EnumerateLines())
            {
                if (line.StartsWith(key, StringComparison.Ordinal))
                {
                    return ulong.Parse(line[key.Length..].Trim(), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
                }
            }

            throw new FormatException($"no {key} in a process status");
        }
    }
}
