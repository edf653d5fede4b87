using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Cgroups;
using Slipway.Kernel.Process;

namespace Slipway.Engine.Exec;

/// <summary>A probe leads a session of its own (setsid(2) is in every launch plan), in which whatever it starts stays unless it leaves on purpose.</summary>
internal static class ProbeSession
{
    /// <summary>Of /proc/pid/stat after the command, counted from 0 (field 6 of proc_pid_stat(5)).</summary>
    private const int SessionField = 3;

    private const int SIGKILL = 9;
    private const int SIGSTOP = 19;

    /// <summary>Kills the probe and the processes of its session.</summary>
    /// <param name="leader">The probe, in this process' pid namespace.</param>
    /// <param name="group">The container's; null where it is gone, and all processes with it.</param>
    public static void Kill(int leader, SafeFileHandle pidfd, Cgroup? group)
    {
        string session = leader.ToString(CultureInfo.InvariantCulture);

        // The members before the leader: while that one lives no other session can get its number. It stands meanwhile, so that a shell
        // does not go on with its next command.
        Pidfd.SendSignal(pidfd, SIGSTOP);
        foreach (int pid in group?.ProcessIds() ?? [])
        {
            if (pid != leader && SessionOf(pid) == session)
            {
                KillMember(pid, session);
            }
        }

        Pidfd.SendSignal(pidfd, SIGKILL);
    }

    private static void KillMember(int pid, string session)
    {
        try
        {
            using SafeFileHandle member = Pidfd.Open(pid);
            if (SessionOf(pid) == session)
            {
                Pidfd.SendSignal(member, SIGKILL);
            }
        }
        catch (KernelException exception) when (exception.Errno == Errno.ESRCH)
        {
            // It has ended.
        }
    }

    private static string? SessionOf(int pid)
    {
        try
        {
            string stat = File.ReadAllText($"/proc/{pid}/stat");
            return stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[SessionField];
        }
        catch (IOException)
        {
            return null;
        }
    }
}
