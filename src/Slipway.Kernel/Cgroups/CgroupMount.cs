namespace Slipway.Kernel.Cgroups;

/// <summary>How the host lays out its control groups.</summary>
public enum CgroupMode
{
    /// <summary>cgroup v1 controllers only.</summary>
    V1,

    /// <summary>cgroup v1 controllers, and a unified (v2) hierarchy beside them, without controllers for our use.</summary>
    Hybrid,

    /// <summary>The unified hierarchy only.</summary>
    V2,
}

/// <summary>A mounted hierarchy.</summary>
/// <param name="MountPoint">Absolute path.</param>
/// <param name="IsUnified">cgroup v2.</param>
/// <param name="Controllers">Of v1: those attached to it (<c>cpu</c>, <c>cpuacct</c>); empty for a named one and for v2.</param>
/// <param name="Name">Of a v1 hierarchy without controllers: its name (<c>systemd</c>).</param>
public sealed record CgroupMount(string MountPoint, bool IsUnified, IReadOnlyList<string> Controllers, string? Name)
{
    /// <summary>The hierarchies in <c>/proc/self/mountinfo</c> (proc_pid_mountinfo(5)), each at its first mount.</summary>
    public static IReadOnlyList<CgroupMount> Parse(string mountinfo)
    {
        List<CgroupMount> mounts = [];
        HashSet<string> seen = [];
        foreach (string line in mountinfo.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            // 36 35 98:0 /root /mount-point options optional-fields… - type source super-options
            int separator = line.IndexOf(" - ", StringComparison.Ordinal);
            if (separator < 0)
            {
                continue;
            }

            string[] left = line[..separator].Split(' ');
            string[] right = line[(separator + 3)..].Split(' ');
            if (left.Length < 5 || right.Length < 3)
            {
                continue;
            }

            string mountPoint = Unescape(left[4]);
            if (right[0] == "cgroup2" && seen.Add("cgroup2"))
            {
                mounts.Add(new CgroupMount(mountPoint, IsUnified: true, [], null));
            }
            else if (right[0] == "cgroup")
            {
                string[] options = right[2].Split(',');
                string? name = options.FirstOrDefault(option => option.StartsWith("name=", StringComparison.Ordinal))?[5..];
                string[] controllers = [.. options.Where(V1Controllers.Contains)];
                if ((controllers.Length > 0 || name is not null) && seen.Add(name ?? string.Join(',', controllers)))
                {
                    mounts.Add(new CgroupMount(mountPoint, IsUnified: false, controllers, controllers.Length == 0 ? name : null));
                }
            }
        }

        return mounts;
    }

    /// <summary>Every controller that can be mounted with cgroup v1 (Documentation/admin-guide/cgroup-v1); other words of the super options are flags.</summary>
    private static readonly HashSet<string> V1Controllers =
        ["blkio", "cpu", "cpuacct", "cpuset", "devices", "freezer", "hugetlb", "memory", "misc", "net_cls", "net_prio", "perf_event", "pids", "rdma"];

    /// <summary>Space, tab, newline and backslash are written as three octal digits.</summary>
    private static string Unescape(string field) => field.Contains('\\', StringComparison.Ordinal)
        ? field.Replace("\\040", " ", StringComparison.Ordinal).Replace("\\011", "\t", StringComparison.Ordinal)
            .Replace("\\012", "\n", StringComparison.Ordinal).Replace("\\134", "\\", StringComparison.Ordinal)
        : field;
}
