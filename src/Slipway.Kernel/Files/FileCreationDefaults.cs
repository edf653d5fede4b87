using System.Globalization;
using System.Text;

namespace Slipway.Kernel.Files;

/// <summary>
/// What this thread's new files get unless told otherwise: owner, and the permissions that the umask takes away. umask(2) can only be
/// asked by setting it, which other threads would notice; procfs tells it (proc(5), Linux 4.7).
/// </summary>
public readonly record struct FileCreationDefaults(uint Umask, uint UserId, uint GroupId)
{
    private const int MaximumStatus = 64 << 10;

    public static FileCreationDefaults Read()
    {
        using var file = new HostPath("/proc/thread-self/status").Open(OpenFlags.ReadOnly);
        var status = Encoding.ASCII.GetString(Descriptors.ReadToEnd(file, MaximumStatus));
        return new FileCreationDefaults(Convert.ToUInt32(Field(status, "Umask:", 0), 8), Id(status, "Uid:"), Id(status, "Gid:"));
    }

    /// <summary>The file system id is the fourth of real, effective, saved and file system id.</summary>
    private static uint Id(string status, string name) => uint.Parse(Field(status, name, 3), CultureInfo.InvariantCulture);

    private static string Field(string status, string name, int index)
    {
        foreach (var line in status.Split('\n'))
        {
            if (line.StartsWith(name, StringComparison.Ordinal))
            {
                return line[name.Length..].Split('\t', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)[index];
            }
        }

        throw new KernelException($"{name} in /proc/thread-self/status", Errno.ENOENT);
    }
}
