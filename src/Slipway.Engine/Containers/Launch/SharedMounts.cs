using System.Globalization;
using Slipway.Engine.Containers.State;
using Slipway.Kernel.Files;

namespace Slipway.Engine.Containers.Launch;

/// <summary>
/// Whether a bind's propagation can work: only mounts in a peer group pass on what is mounted below them (mount_namespaces(7), "Shared subtrees").
/// Docker refuses the others rather than mount what would do nothing.
/// </summary>
internal static class SharedMounts
{
    /// <exception cref="EngineException">The source lies on a mount that is not shared.</exception>
    public static void Require(ContainerMount bind)
    {
        bool slave = bind.Propagation is "slave" or "rslave";
        if (!slave && bind.Propagation is not ("shared" or "rshared"))
        {
            return;
        }

        using var source = new HostPath(bind.Source).TryOpen(OpenFlags.Path);
        if (source is null)
        {
            // The launch says so.
            return;
        }

        string id = FileStatus.Of(source).MountId.ToString(CultureInfo.InvariantCulture);
        foreach (string line in File.ReadLines("/proc/self/mountinfo"))
        {
            // proc_pid_mountinfo(5): id, parent, device, root, mount point, options, optional fields up to a dash.
            string[] fields = line.Split(' ');
            if (fields[0] != id)
            {
                continue;
            }

            IEnumerable<string> optional = fields.Skip(6).TakeWhile(field => field != "-");
            if (!optional.Any(field => field.StartsWith("shared:", StringComparison.Ordinal) || (slave && field.StartsWith("master:", StringComparison.Ordinal))))
            {
                throw new EngineException(ErrorKind.System, $"path {bind.Source} is mounted on {fields[4]} but it is not a shared{(slave ? " or slave" : "")} mount");
            }
        }
    }
}
