using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Descriptors;
using Slipway.Kernel.Process;
using Slipway.Kernel.Sockets;
using Slipway.Runtime.Supervision.Host;

namespace Slipway.Runtime.Supervision;

/// <summary>Where a supervisor lives.</summary>
/// <param name="ExecRoot">Its socket and lock; one supervisor per directory. Mode 0700.</param>
/// <param name="DataRoot">Of the engine; the exit journal is in <c>supervisor/</c> below it.</param>
public sealed record SupervisorOptions(string ExecRoot, string DataRoot)
{
    public string SocketPath => Path.Combine(ExecRoot, "supervisor.sock");

    public string LogPath => Path.Combine(ExecRoot, "supervisor.log");

    internal string LockPath => Path.Combine(ExecRoot, "supervisor.lock");

    internal string JournalDirectory => Path.Combine(DataRoot, "supervisor");

    public TimeProvider Time { get; init; } = TimeProvider.System;
}

/// <summary>The supervisor process: <c>slipway supervisor --exec-root DIR --data-root DIR</c>.</summary>
public static class SupervisorHost
{
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    /// <summary>Serves on the calling thread until an engine asks it to stop.</summary>
    /// <returns>The exit status: 0 after a stop, 1 where another supervisor serves this directory.</returns>
    public static int Run(SupervisorOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        Directory.CreateDirectory(options.ExecRoot, Private);
        File.SetUnixFileMode(options.ExecRoot, Private);
        using SafeFileHandle? exclusive = Lock(options.LockPath);
        if (exclusive is null)
        {
            Console.Error.WriteLine($"another supervisor serves {options.ExecRoot}");
            return 1;
        }

        // Children inherit it until execve: no process of a container can look into one that is on its way in (CVE-2016-9962).
        ProcessAttributes.SetDumpable(false);

        using var loop = new EventLoop(options.Time);
        using var launcher = new Launcher();
        using var journal = new ExitJournal(options.JournalDirectory, File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim(), loop);
        var handler = new RequestHandler(loop, launcher, journal);
        Recover(journal, handler, options.Time);

        File.Delete(options.SocketPath);
        using PacketSocket listener = PacketSocket.Listen(options.SocketPath);
        loop.Register(listener.Handle, EpollEvents.In, new Listener(loop, listener, handler));
        loop.Run();
        File.Delete(options.SocketPath);
        handler.DisconnectAll();
        return 0;
    }

    /// <summary>Null where it is held. The kernel frees it with its holder (flock(2)).</summary>
    private static SafeFileHandle? Lock(string path)
    {
        try
        {
            return File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException) when (File.Exists(path))
        {
            return null;
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
            while (socket.TryAccept() is PacketSocket accepted)
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
                return new FileInfo($"/proc/{process}/ns/{kind}").LinkTarget;
            }
            catch (IOException)
            {
                return null;
            }
        }
    }
}
