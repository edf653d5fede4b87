using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Process;
using Slipway.Kernel.Streams;

namespace Slipway.Runtime.Supervision.Host;

/// <summary>
/// Ends what a supervisor that was killed has left running. Its streams are gone and its exit could not be seen any more, so such a
/// process is killed before the new supervisor serves, and recorded as killed.
/// </summary>
internal static class Orphans
{
    private const int SIGKILL = 9;

    // What dockerd records for a container whose end nobody saw (moby, daemon/daemon.go, restore).
    private const int UnknownExit = 255;

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5);

    /// <summary>The exit to be reported for a process that ran when its supervisor ended.</summary>
    public static ProcessExit Stop(JournalEntry entry, bool earlierBoot, TimeProvider time)
    {
        ProcessExit unknown = new(entry.Id, entry.ContainerId, UnknownExit, 0, time.GetUtcNow());
        if (earlierBoot || entry.Pid <= 0)
        {
            return unknown;
        }

        SafeFileHandle pidfd;
        try
        {
            pidfd = Pidfd.Open(entry.Pid);
        }
        catch (KernelException exception) when (exception.Errno is Errno.ESRCH or Errno.EINVAL)
        {
            return unknown;
        }

        using (pidfd)
        {
            // Read after the pidfd was opened, the start time tells whether it names the process that was launched.
            if (ProcessStartTime.Read(entry.Pid) != entry.StartTime || entry.StartTime == 0 || !Pidfd.SendSignal(pidfd, SIGKILL))
            {
                return unknown;
            }

            using var epoll = new Epoll(1);
            epoll.Add(pidfd, EpollEvents.In, 0);
            epoll.Wait([], (int)s_patience.TotalMilliseconds);
            return new ProcessExit(entry.Id, entry.ContainerId, 128 + SIGKILL, SIGKILL, time.GetUtcNow());
        }
    }
}
