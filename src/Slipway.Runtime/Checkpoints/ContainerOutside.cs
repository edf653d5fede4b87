using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;
using Slipway.Runtime.Compilation;

namespace Slipway.Runtime.Checkpoints;

/// <summary>What a running container has from outside, which CRIU must be told of: mounts, the network namespace, standard streams.</summary>
/// <param name="Mounts">Mount points in the container.</param>
/// <param name="NetworkInode">Of its network namespace; null: the host's.</param>
public sealed record ContainerOutside(IReadOnlyList<string> Mounts, ulong? NetworkInode, IReadOnlyList<string?> Streams)
{
    private const int MaxTable = 16 << 20;

    // CRIU makes these anew, with what is in them (criu, filesystems.c); of all others it has to be told.
    private static readonly string[] s_restored = ["proc", "sysfs", "devpts", "mqueue", "tmpfs"];

    /// <param name="pid">Of the first process.</param>
    /// <param name="binds">Where the engine has mounted something of its own or the host's.</param>
    /// <exception cref="PlanException">A mount point has a name that CRIU's options cannot have.</exception>
    public static ContainerOutside Of(int pid, IEnumerable<string> binds)
    {
        string process = string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}");
        using RootDirectory root = new HostPath($"{process}/root").OpenRoot();
        HashSet<string> bound = [];
        foreach (string destination in binds)
        {
            if (root.TryOpen(destination, OpenFlags.Path, out SafeFileHandle? file) == 0)
            {
                using (file)
                {
                    bound.Add(FileStatus.Of(file!).MountId.ToString(CultureInfo.InvariantCulture));
                }
            }
        }

        // proc_pid_mountinfo(5): id, parent, device, root, mount point, options, optional fields up to a dash, type.
        List<string[]> mounts = [.. Lines($"{process}/mountinfo").Select(line => line.Split(' '))];
        HashSet<string> whole = [.. mounts.Where(fields => fields[3] == "/").Select(fields => fields[2])];
        List<string> outside = [.. mounts
            .Where(fields => fields[4] != "/" && (bound.Contains(fields[0]) || !s_restored.Contains(Type(fields)) || (fields[3] != "/" && !whole.Contains(fields[2]))))
            .Select(fields => Unescape(fields[4])).Distinct()];
        return outside.Find(path => path.AsSpan().ContainsAny("[]:\n")) is { } odd
            ? throw PlanException.Invalid($"the mount point \"{odd}\" has a name that CRIU cannot be told")
            : new ContainerOutside(outside, Namespace(process) is var inode && inode != Namespace("/proc/self") ? inode : null, [Stream(process, 0), Stream(process, 1), Stream(process, 2)]);
    }

    private static string Type(string[] fields) => fields[Array.IndexOf(fields, "-") + 1];

    private static ulong Namespace(string process)
    {
        using SafeFileHandle file = new HostPath($"{process}/ns/net").Open(OpenFlags.ReadOnly);
        return FileStatus.Of(file).Inode;
    }

    /// <summary>A pipe of the supervisor's, or the host's /dev/null, by CRIU's names for them.</summary>
    private static string? Stream(string process, int number)
    {
        string path = string.Create(CultureInfo.InvariantCulture, $"{process}/fd/{number}");
        string target = ReadLink($"{process}/fd", number.ToString(CultureInfo.InvariantCulture));
        if (target.StartsWith("pipe:", StringComparison.Ordinal))
        {
            return target;
        }

        using SafeFileHandle? file = new HostPath(path).TryOpen(OpenFlags.Path);
        if (target != "/dev/null" || file is null)
        {
            return null;
        }

        string mount = Lines(string.Create(CultureInfo.InvariantCulture, $"{process}/fdinfo/{number}")).First(line => line.StartsWith("mnt_id:", StringComparison.Ordinal))[7..].Trim();
        return string.Create(CultureInfo.InvariantCulture, $"file[{int.Parse(mount, CultureInfo.InvariantCulture):x}:{FileStatus.Of(file).Inode:x}]");
    }

    /// <summary>Where a link of procfs says that it leads; empty where there is none.</summary>
    private static string ReadLink(string directory, string name)
    {
        using SafeFileHandle? opened = new HostPath(directory).TryOpen(OpenFlags.Path | OpenFlags.Directory);
        return opened is null || FileStatus.TryOf(opened, name) is null ? "" : Encoding.UTF8.GetString(DirectoryEntry.ReadLink(opened, name));
    }

    private static string[] Lines(string path)
    {
        using SafeFileHandle file = new HostPath(path).Open(OpenFlags.ReadOnly);
        return Encoding.UTF8.GetString(Descriptors.ReadToEnd(file, MaxTable)).Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    /// <summary>Spaces and the like are octal.</summary>
    private static string Unescape(string path)
    {
        StringBuilder text = new(path.Length);
        for (int i = 0; i < path.Length; i++)
        {
            if (path[i] == '\\' && i + 3 < path.Length)
            {
                text.Append((char)Convert.ToInt32(path.Substring(i + 1, 3), 8));
                i += 3;
            }
            else
            {
                text.Append(path[i]);
            }
        }

        return text.ToString();
    }
}
