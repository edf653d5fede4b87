using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Slipway.Kernel.Process;

/// <summary>
/// A launch plan as text, one call a line in the manner of strace(1): what <c>slipway explain</c> shows. Descriptors are named by
/// slot, earlier results by their line: <c>14  move_mount(=12, "", -100, "/data", 0x4)    mount the volume</c>.
/// </summary>
public static class PlanPrinter
{
    private const int MaxBytesShown = 32;

    /// <summary>All lines, each ended by a newline.</summary>
    public static string Print(LaunchPlan plan)
    {
        ArgumentNullException.ThrowIfNull(plan);
        var text = new StringBuilder();
        int width = plan.Steps.Count.ToString(CultureInfo.InvariantCulture).Length;
        text.Append(' ', width).Append("  clone3(").Append(CloneFlags(plan)).Append(")\n");
        for (int i = 0; i < plan.Steps.Count; i++)
        {
            PlanStep step = plan.Steps[i];
            var line = new StringBuilder();
            line.Append((i + 1).ToString(CultureInfo.InvariantCulture).PadLeft(width)).Append("  ").Append(Name(step.Call)).Append('(');
            string formats = Formats(step.Call);
            for (int j = 0; j < step.Arguments.Count; j++)
            {
                line.Append(j == 0 ? "" : ", ").Append(Argument(plan, step.Arguments[j], j < formats.Length ? formats[j] : 'x'));
            }

            line.Append(')');
            foreach (int errno in (int[])[step.Tolerate, step.TolerateAlso])
            {
                line.Append(errno == 0 ? "" : $" or {Errno.Name(errno)}");
            }

            text.Append(line).Append(line.Length < 60 ? new string(' ', 60 - line.Length) : " ").Append("  # ").Append(step.Description).Append('\n');
        }

        return text.ToString();
    }

    private static string CloneFlags(LaunchPlan plan)
    {
        (ulong Flag, string Name)[] names =
        [
            (0x20000, "CLONE_NEWNS"), (0x02000000, "CLONE_NEWCGROUP"), (0x04000000, "CLONE_NEWUTS"), (0x08000000, "CLONE_NEWIPC"),
            (0x10000000, "CLONE_NEWUSER"), (CloneArguments.CLONE_NEWPID, "CLONE_NEWPID"), (0x40000000, "CLONE_NEWNET"),
        ];
        List<string> flags = ["CLONE_VFORK", "CLONE_PARENT", "CLONE_PIDFD", "CLONE_CLEAR_SIGHAND"];
        ulong rest = plan.CloneFlags;
        foreach ((ulong flag, string name) in names)
        {
            if ((rest & flag) != 0)
            {
                flags.Add(name);
                rest &= ~flag;
            }
        }

        if (rest != 0)
        {
            flags.Add(Hexadecimal(rest));
        }

        if (plan.CgroupDirectory is { } cgroup)
        {
            flags.Add($"CLONE_INTO_CGROUP <descriptor {cgroup.Value}>");
        }

        return string.Join(" | ", flags) + (plan.PidNamespace is { } space ? $", in the pid namespace of <descriptor {space.Value}>" : "");
    }

    // d: signed number or descriptor, o: octal, s: string, v: vector of strings, u: unsigned, x: anything, in hexadecimal.
    private static string Formats(SystemCall call) => call switch
    {
        SystemCall.Read or SystemCall.Write => "dsu",
        SystemCall.Close or SystemCall.Fchdir or SystemCall.Setns => "dx",
        SystemCall.CloseRange or SystemCall.Dup3 => "uux",
        SystemCall.Fcntl => "ddx",
        SystemCall.Ioctl => "dxx",
        SystemCall.OpenAt => "dsxo",
        SystemCall.OpenAt2 or SystemCall.Statx => "dsxx",
        SystemCall.MkdirAt => "dso",
        SystemCall.MknodAt => "dsox",
        SystemCall.SymlinkAt => "sds",
        SystemCall.UnlinkAt => "dsx",
        SystemCall.FchmodAt => "dso",
        SystemCall.FchownAt => "dsddx",
        SystemCall.Fchown => "ddd",
        SystemCall.Chdir or SystemCall.Chroot => "s",
        SystemCall.PivotRoot => "ss",
        SystemCall.Mount => "sssxs",
        SystemCall.Umount2 => "sx",
        SystemCall.FsOpen => "sx",
        SystemCall.FsConfig => "dusxd",
        SystemCall.FsMount => "dxx",
        SystemCall.MoveMount => "dsdsx",
        SystemCall.OpenTree => "dsx",
        SystemCall.MountSetattr => "dsxxu",
        SystemCall.Sethostname or SystemCall.Setdomainname => "su",
        SystemCall.Setpgid or SystemCall.Kill or SystemCall.ExitGroup => "dd",
        SystemCall.Umask => "o",
        SystemCall.Prctl => "ddddd",
        SystemCall.Prlimit64 => "ddxx",
        SystemCall.Setgroups => "ux",
        SystemCall.Setresuid or SystemCall.Setresgid or SystemCall.Setpriority or SystemCall.IoprioSet => "ddd",
        SystemCall.RtSigaction or SystemCall.RtSigprocmask => "dxxu",
        SystemCall.Socket => "ddd",
        SystemCall.Execve => "svv",
        SystemCall.ExecveAt => "dsvvx",
        _ => "",
    };

    private static string Argument(LaunchPlan plan, PlanArgument argument, char format) => argument.Kind switch
    {
        PlanArgumentKind.Descriptor => $"<descriptor {argument.Value}>",
        PlanArgumentKind.Result => $"={argument.Value + 1}",
        PlanArgumentKind.StandardStream => argument.Value switch { 0 => "<stdin>", 1 => "<stdout>", _ => "<stderr>" },
        PlanArgumentKind.Data => format switch
        {
            's' => Text(plan, (int)argument.Value),
            'v' => Vector(plan, (int)argument.Value),
            _ => Bytes(plan, (int)argument.Value),
        },
        _ => format switch
        {
            'd' => ((long)argument.Value).ToString(CultureInfo.InvariantCulture),
            'u' => argument.Value.ToString(CultureInfo.InvariantCulture),
            'o' when argument.Value != 0 => "0" + Convert.ToString((long)argument.Value, 8),
            _ when argument.Value == 0 => format is 's' or 'v' ? "NULL" : "0",
            _ => Hexadecimal(argument.Value),
        },
    };

    private static string Hexadecimal(ulong value) => string.Create(CultureInfo.InvariantCulture, $"0x{value:x}");

    private static string Text(LaunchPlan plan, int offset)
    {
        ReadOnlySpan<byte> bytes = plan.DataBytes[offset..];
        int end = bytes.IndexOf((byte)0);
        var text = new StringBuilder("\"");
        foreach (char c in Encoding.UTF8.GetString(end < 0 ? bytes : bytes[..end]))
        {
            // Control characters of an image's strings must not reach the terminal of who reads this.
            text.Append(c switch
            {
                '"' => "\\\"",
                '\\' => "\\\\",
                '\n' => "\\n",
                _ when char.IsControl(c) => string.Create(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}"),
                _ => c.ToString(),
            });
        }

        return text.Append('"').ToString();
    }

    private static string Vector(LaunchPlan plan, int offset)
    {
        List<string> items = [];
        for (int at = offset; at + 8 <= plan.DataBytes.Length && plan.Relocations.Contains(at); at += 8)
        {
            items.Add(Text(plan, (int)BinaryPrimitives.ReadUInt64LittleEndian(plan.DataBytes[at..])));
        }

        return $"[{string.Join(", ", items)}]";
    }

    // The length of a structure is not recorded; a short look at it must do.
    private static string Bytes(LaunchPlan plan, int offset)
    {
        ReadOnlySpan<byte> bytes = plan.DataBytes[offset..];
        string shown = Convert.ToHexStringLower(bytes[..Math.Min(bytes.Length, MaxBytesShown)]);
        return $"&{{{shown}{(bytes.Length > MaxBytesShown ? "…" : "")}}}";
    }

    // The kernel's names are the enumeration's in lower case, with underscores where two words meet.
    private static string Name(SystemCall call) => call switch
    {
        SystemCall.CloseRange => "close_range",
        SystemCall.FsOpen => "fsopen",
        SystemCall.FsConfig => "fsconfig",
        SystemCall.FsMount => "fsmount",
        SystemCall.MoveMount => "move_mount",
        SystemCall.OpenTree => "open_tree",
        SystemCall.MountSetattr => "mount_setattr",
        SystemCall.PivotRoot => "pivot_root",
        SystemCall.RtSigaction => "rt_sigaction",
        SystemCall.RtSigprocmask => "rt_sigprocmask",
        SystemCall.IoprioSet => "ioprio_set",
        SystemCall.SchedSetscheduler => "sched_setscheduler",
        SystemCall.SchedSetaffinity => "sched_setaffinity",
        SystemCall.ExitGroup => "exit_group",
        _ => call.ToString().ToLowerInvariant(),
    };
}
