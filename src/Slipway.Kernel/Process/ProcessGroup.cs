using System.Runtime.InteropServices;

namespace Slipway.Kernel.Process;

/// <summary>Processes that were started by one, and have not left its group (setpgid(2)).</summary>
public static partial class ProcessGroup
{
    private const int SIGKILL = 9;

    /// <summary>Kills all of a group; nothing happens where none is left.</summary>
    /// <param name="leader">Not reaped yet: its number is the group's.</param>
    public static void Kill(int leader)
    {
        if (kill(-leader, SIGKILL) != 0 && Marshal.GetLastPInvokeError() is var errno and not Errno.ESRCH)
        {
            throw new KernelException($"kill the process group {leader}", errno);
        }
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int kill(int pid, int signal);
}
