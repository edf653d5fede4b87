using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Process;

/// <summary>Processes by descriptor (pidfd_open(2)): a pidfd never names another process, however pids are reused.</summary>
public static class Pidfd
{
    /// <exception cref="KernelException">ESRCH where no such process exists.</exception>
    public static SafeFileHandle Open(int pid)
    {
        int descriptor = ProcessNative.pidfd_open(pid, 0);
        return descriptor >= 0
            ? new SafeFileHandle(descriptor, ownsHandle: true)
            : throw new KernelException($"pidfd_open {pid}", Marshal.GetLastPInvokeError());
    }

    /// <summary>Sends a signal (pidfd_send_signal(2)). False where the process has ended already.</summary>
    public static bool SendSignal(SafeFileHandle pidfd, int signal)
    {
        ArgumentNullException.ThrowIfNull(pidfd);
        bool added = false;
        try
        {
            pidfd.DangerousAddRef(ref added);
            if (ProcessNative.pidfd_send_signal((int)pidfd.DangerousGetHandle(), signal) == 0)
            {
                return true;
            }

            int errno = Marshal.GetLastPInvokeError();
            return errno == Errno.ESRCH ? false : throw new KernelException($"pidfd_send_signal {signal}", errno);
        }
        finally
        {
            if (added)
            {
                pidfd.DangerousRelease();
            }
        }
    }

    /// <summary>Reaps a child that has ended, or null while it runs.</summary>
    public static ProcessStatus? TryWait(SafeFileHandle pidfd) => Wait(pidfd, ProcessNative.WNOHANG);

    /// <summary>Whether a child has ended. It is not reaped by that.</summary>
    public static bool HasEnded(SafeFileHandle pidfd) => Wait(pidfd, ProcessNative.WNOHANG | ProcessNative.WNOWAIT) is not null;

    /// <summary>Blocks until a child has ended. It is not reaped by that.</summary>
    public static void WaitForEnd(SafeFileHandle pidfd) => _ = Wait(pidfd, ProcessNative.WNOWAIT);

    /// <summary>Reaps a child that is about to end. Blocks until it has.</summary>
    public static ProcessStatus Wait(SafeFileHandle pidfd) => Wait(pidfd, 0)!.Value;

    private static unsafe ProcessStatus? Wait(SafeFileHandle pidfd, int options)
    {
        ArgumentNullException.ThrowIfNull(pidfd);
        bool added = false;
        try
        {
            pidfd.DangerousAddRef(ref added);
            ProcessNative.SignalInfo info = default;
            while (ProcessNative.waitid(ProcessNative.P_PIDFD, (int)pidfd.DangerousGetHandle(), &info, ProcessNative.WEXITED | ProcessNative.__WALL | options) != 0)
            {
                int errno = Marshal.GetLastPInvokeError();
                if (errno != Errno.EINTR)
                {
                    throw new KernelException("waitid", errno);
                }
            }

            return info.Pid == 0 ? null
                : info.Code == ProcessNative.CLD_EXITED ? new ProcessStatus(info.Status, 0)
                : new ProcessStatus(128 + info.Status, info.Status);
        }
        finally
        {
            if (added)
            {
                pidfd.DangerousRelease();
            }
        }
    }
}

/// <param name="ExitCode">The exit status, or 128 + signal.</param>
/// <param name="Signal">The signal that ended it, or 0.</param>
public readonly record struct ProcessStatus(int ExitCode, int Signal);
