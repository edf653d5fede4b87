using System.Globalization;
using System.Text;

namespace Slipway.Kernel.Cgroups;

/// <summary>Which groups a process is in (proc_pid_cgroup(5)).</summary>
public static class CgroupMembership
{
    /// <summary>Moves a process into the groups that another is in.</summary>
    /// <param name="mounts">The hierarchies in which it is moved.</param>
    /// <exception cref="IOException">The kernel refused, or one of them has ended.</exception>
    public static void MoveBeside(int pid, int other, IReadOnlyList<CgroupMount> mounts)
    {
        foreach (string line in File.ReadLines(string.Create(CultureInfo.InvariantCulture, $"/proc/{other}/cgroup")))
        {
            string[] fields = line.Split(':', 3);
            if (mounts.FirstOrDefault(mount => Has(mount, fields)) is { } mount)
            {
                File.WriteAllBytes($"{mount.MountPoint.TrimEnd('/')}{fields[2].TrimEnd('/')}/cgroup.procs", Encoding.ASCII.GetBytes(pid.ToString(CultureInfo.InvariantCulture)));
            }
        }
    }

    /// <param name="fields">The hierarchy's number, its controllers or name, the group.</param>
    private static bool Has(CgroupMount mount, string[] fields) => mount.IsUnified ? fields is ["0", "", _]
        : mount.Controllers.Count > 0 ? fields[1].Split(',').Order().SequenceEqual(mount.Controllers.Order())
        : fields[1] == $"name={mount.Name}";
}
