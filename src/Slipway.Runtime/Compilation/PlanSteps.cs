using System.Text;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Mounts;
using Slipway.Kernel.Process;

namespace Slipway.Runtime.Compilation;

/// <summary>The calls that plans are made of, one method each. Descriptions read like the call with its operands.</summary>
internal static class PlanSteps
{
    public const int AT_FDCWD = -100;
    public const int AT_EMPTY_PATH = 0x1000;
    public const int AT_RECURSIVE = 0x8000;

    private const int OPEN_TREE_CLONE = 1;
    private const int OPEN_TREE_CLOEXEC = 0x80000;
    private const int MOVE_MOUNT_F_EMPTY_PATH = 0x4;
    private const int MOVE_MOUNT_T_EMPTY_PATH = 0x40;
    private const int FSCONFIG_SET_FLAG = 0;
    private const int FSCONFIG_SET_STRING = 1;
    private const int FSCONFIG_CMD_CREATE = 6;

    /// <summary>Bytes and a NUL.</summary>
    public static PlanArgument Terminated(this LaunchPlan plan, ReadOnlySpan<byte> bytes) => plan.Bytes([.. bytes, 0]);

    /// <summary>Opens a path below a directory. Returns the step, whose result is the descriptor.</summary>
    /// <param name="purpose">Told beside the path; or empty.</param>
    public static int OpenBelow(
        this LaunchPlan plan, PlanArgument directory, ReadOnlySpan<byte> path, OpenFlags flags, Resolution resolution, string purpose = "", int tolerate = 0, int tolerateAlso = 0)
    {
        ReadOnlySpan<byte> relative = path.TrimStart((byte)'/');
        var how = new OpenHow(flags | OpenFlags.CloseOnExec, 0, resolution);
        return plan.Add(
            $"openat2 \"{new PathName(path).ToString()}\"{(purpose.Length == 0 ? "" : $" ({purpose})")}",
            SystemCall.OpenAt2,
            [directory, plan.Terminated(relative.IsEmpty ? "."u8 : relative), plan.Struct(how), OpenHow.Size],
            tolerate,
            tolerateAlso);
    }

    /// <summary>Makes a file system in the child's namespaces. Returns the step whose result is the detached mount.</summary>
    public static int MakeFileSystem(this LaunchPlan plan, string type, string source, IEnumerable<string> data, MountAttributes attributes)
    {
        int context = plan.Add($"fsopen {type}", SystemCall.FsOpen, [plan.Text(type), 1]);
        plan.Add($"fsconfig {type} source={source}", SystemCall.FsConfig, [PlanArgument.ResultOf(context), FSCONFIG_SET_STRING, plan.Text("source"), plan.Text(source), 0]);
        foreach (string option in data)
        {
            int equals = option.IndexOf('=', StringComparison.Ordinal);
            plan.Add(
                $"fsconfig {type} {option}",
                SystemCall.FsConfig,
                equals < 0
                    ? [PlanArgument.ResultOf(context), FSCONFIG_SET_FLAG, plan.Text(option), 0, 0]
                    : [PlanArgument.ResultOf(context), FSCONFIG_SET_STRING, plan.Text(option[..equals]), plan.Text(option[(equals + 1)..]), 0]);
        }

        plan.Add($"fsconfig {type} create", SystemCall.FsConfig, [PlanArgument.ResultOf(context), FSCONFIG_CMD_CREATE, 0, 0, 0]);
        return plan.Add($"fsmount {type}", SystemCall.FsMount, [PlanArgument.ResultOf(context), 1, (uint)attributes]);
    }

    /// <summary>A detached copy of the mount at a descriptor, what is below it included.</summary>
    public static int CloneTree(this LaunchPlan plan, PlanArgument source, string display) => plan.Add(
        $"open_tree \"{display}\"",
        SystemCall.OpenTree,
        [source, plan.Text(""), AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE]);

    public static void ChangeMount(this LaunchPlan plan, PlanArgument tree, MountAttributeChange change, bool recursive, string description) => plan.Add(
        $"mount_setattr {description}",
        SystemCall.MountSetattr,
        [tree, plan.Text(""), AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), plan.Struct(change), MountAttributeChange.Size]);

    /// <summary>Attaches a mount on what a descriptor names.</summary>
    public static void MoveMount(this LaunchPlan plan, PlanArgument mount, PlanArgument target, ReadOnlySpan<byte> display) => plan.Add(
        $"move_mount \"{new PathName(display).ToString()}\"",
        SystemCall.MoveMount,
        [mount, plan.Text(""), target, plan.Text(""), MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH]);

    /// <summary>Opens a file of the private procfs and writes to it.</summary>
    public static void WriteProc(this LaunchPlan plan, PlanArgument proc, string path, string value, int tolerate = 0, int tolerateAlso = 0)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(value);

        // Where the open is tolerated there is no descriptor, so the write fails with EBADF.
        int open = plan.OpenBelow(proc, Encoding.UTF8.GetBytes(path), OpenFlags.WriteOnly, PrivateProc.Strict, "procfs", tolerate, tolerateAlso);
        plan.Add(
            $"write {path} \"{value}\"",
            SystemCall.Write,
            [PlanArgument.ResultOf(open), plan.Bytes(bytes), bytes.Length],
            tolerate,
            tolerate == 0 ? 0 : Errno.EBADF);
    }
}
