using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Process;
using Slipway.Kernel.Sockets;
using Slipway.Kernel.Streams;
using Slipway.Runtime.Supervision.Host;

namespace Slipway.Runtime.Supervision;

/// <summary>Where a supervisor lives.</summary>
/// <param name="ExecRoot">Its socket and lock; one supervisor per directory. Mode 0700.</param>
/// <param name="DataRoot">Of the engine; the exit journal is in <c>supervisor/</c> below it.</param>
public sealed record SupervisorOptions(string ExecRoot, string DataRoot)
{
    public string SocketPath => (new HostPath(ExecRoot) / SocketName).Value;

    public string LogPath => (new HostPath(ExecRoot) / "supervisor.log").Value;

    internal const string SocketName = "supervisor.sock";

    public TimeProvider Time { get; init; } = TimeProvider.System;
}

/// <summary>The supervisor process: <c>slipway supervisor --exec-root DIR --data-root DIR</c>.</summary>
public static class SupervisorHost
{
    /// <summary>The exit status where another supervisor serves the directory.</summary>
    internal const int AlreadyServed = 75;

    private const uint Private = 0x1C0;

    /// <summary>Serves on the calling thread until an engine asks it to stop.</summary>
    /// <returns>The exit status: 0 after a stop, 75 (EX_TEMPFAIL) where another supervisor serves this directory.</returns>
    public static int Run(SupervisorOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        var execRoot = new HostPath(options.ExecRoot);
        execRoot.CreateDirectories(Private);
        using SafeFileHandle directory = execRoot.Open(OpenFlags.ReadOnly | OpenFlags.Directory);
        Descriptors.ChangeMode(directory, Private);

        // The kernel frees it with its holder (flock(2)).
        using SafeFileHandle exclusive = (execRoot / "supervisor.lock").Open(OpenFlags.ReadWrite | OpenFlags.Create | OpenFlags.NoFollow, 0x180);
        if (!Descriptors.TryLock(exclusive))
        {
            Console.Error.WriteLine($"another supervisor serves {options.ExecRoot}");
            return AlreadyServed;
        }

        // Children inherit it until execve: no process of a container can look into one that is on its way in (CVE-2016-9962).
        ProcessAttributes.SetDumpable(false);

        using var loop = new EventLoop(options.Time);
        using var launcher = new Launcher();
        using var journal = new ExitJournal(new HostPath(options.DataRoot) / "supervisor", BootId(), loop);
        var handler = new RequestHandler(loop, launcher, journal);
        Recover(journal, handler, options.Time);

        RemoveSocket(directory);
        using PacketSocket listener = PacketSocket.Listen(options.SocketPath);
        loop.Register(listener.Handle, EpollEvents.In, new Listener(loop, listener, handler));
        loop.Run();
        RemoveSocket(directory);
        handler.DisconnectAll();
        return 0;
    }

    private static string BootId()
    {
        using SafeFileHandle file = new HostPath("/proc/sys/kernel/random/boot_id").Open(OpenFlags.ReadOnly);
        return Encoding.ASCII.GetString(Descriptors.ReadToEnd(file, 64)).Trim();
    }

    private static void RemoveSocket(SafeFileHandle directory)
    {
        if (FileStatus.TryOf(directory, SupervisorOptions.SocketName) is not null)
        {
            DirectoryEntry.Unlink(directory, SupervisorOptions.SocketName);
        }
    }

    private static void Recover(ExitJournal journal, RequestHandler handler, TimeProvider time)
    {
        foreach (JournalEntry entry in journal.Recovered)
        {
            if (entry.Exit is ProcessExit recorded)
            {
                handler.Report(recorded);
                continue;
            }

            ProcessExit exit = Orphans.Stop(entry, journal.IsFromEarlierBoot, time);
            journal.Record(exit, () => handler.Report(exit));
        }
    }

    private sealed class Listener(EventLoop loop, PacketSocket socket, RequestHandler handler) : IReadinessHandler
    {
        public void OnReady(EpollEvents events)
        {
            while (TryAccept() is PacketSocket accepted)
            {
                if (Problem(accepted.Peer()) is string problem)
                {
                    Console.Error.WriteLine($"connection refused: {problem}");
                    accepted.Dispose();
                    continue;
                }

                handler.Connected(new EngineConnection(loop, accepted, handler));
            }
        }

        /// <summary>Where descriptors have run out, those who wait are looked for again later: there is no other event for them.</summary>
        private PacketSocket? TryAccept()
        {
            try
            {
                return socket.TryAccept();
            }
            catch (KernelException exception)
            {
                Console.Error.WriteLine(exception.Message);
                loop.After(TimeSpan.FromSeconds(1), () => OnReady(EpollEvents.In));
                return null;
            }
        }

        /// <summary>Who may command: root, in the supervisor's own namespaces, so nothing that runs in a container (CVE-2020-15257).</summary>
        private static string? Problem(PeerCredentials peer)
        {
            if (peer.Uid != 0)
            {
                return string.Create(CultureInfo.InvariantCulture, $"the peer's user is {peer.Uid}");
            }

            foreach (string kind in (string[])["mnt", "pid"])
            {
                string? own = Namespace("self", kind);
                if (peer.Pid == 0 || own is null || own != Namespace(peer.Pid.ToString(CultureInfo.InvariantCulture), kind))
                {
                    return string.Create(CultureInfo.InvariantCulture, $"the peer, process {peer.Pid}, is in another {kind} namespace");
                }
            }

            return null;
        }

        private static string? Namespace(string process, string kind)
        {
            try
            {
                using SafeFileHandle link = new HostPath($"/proc/{process}/ns/{kind}").Open(OpenFlags.Path | OpenFlags.NoFollow);
                return Encoding.ASCII.GetString(Descriptors.ReadLink(link));
            }
            catch (KernelException)
            {
                return null;
            }
        }
    }
}
