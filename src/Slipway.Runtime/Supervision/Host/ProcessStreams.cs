using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;
using Slipway.Kernel.Streams;
using Slipway.Runtime.Supervision.Protocol;

namespace Slipway.Runtime.Supervision.Host;

/// <summary>Standard streams for a new process: the ends it gets, and the ends kept here.</summary>
internal sealed class ProcessStreams : IDisposable
{
    private ProcessStreams(SafeFileHandle stdin, SafeFileHandle stdout, SafeFileHandle stderr, StreamEnds ends)
    {
        Stdin = stdin;
        Stdout = stdout;
        Stderr = stderr;
        Ends = ends;
    }

    public SafeFileHandle Stdin { get; }

    public SafeFileHandle Stdout { get; }

    public SafeFileHandle Stderr { get; }

    public StreamEnds Ends { get; }

    /// <summary>The terminal's slave thrice, or pipes, and /dev/null for a stdin that is not open.</summary>
    public static ProcessStreams Create(LaunchMessage launch)
    {
        if (launch.Terminal is SafeFileHandle master)
        {
            SafeFileHandle slave = PseudoTerminal.OpenPeer(master);
            return new ProcessStreams(slave, slave, slave, new StreamEnds(null, master, null, IsTerminal: true));
        }

        List<IDisposable> made = [];
        try
        {
            Pipe stdout = Keep(Pipe.Create());
            Pipe stderr = Keep(Pipe.Create());
            if ((launch.Flags & LaunchFlags.OpenStdin) == 0)
            {
                SafeFileHandle none = new HostPath("/dev/null").Open(OpenFlags.ReadOnly);
                return new ProcessStreams(none, stdout.Writer, stderr.Writer, new StreamEnds(null, stdout.Reader, stderr.Reader, IsTerminal: false));
            }

            Pipe stdin = Pipe.Create();
            return new ProcessStreams(stdin.Reader, stdout.Writer, stderr.Writer, new StreamEnds(stdin.Writer, stdout.Reader, stderr.Reader, IsTerminal: false));
        }
        catch
        {
            made.ForEach(end => end.Dispose());
            throw;
        }

        Pipe Keep(Pipe pipe)
        {
            made.AddRange([pipe.Reader, pipe.Writer]);
            return pipe;
        }
    }

    /// <summary>The process has them now; as long as they were open here too, its end would not be seen.</summary>
    public void CloseChildEnds()
    {
        Stdin.Dispose();
        Stdout.Dispose();
        Stderr.Dispose();
    }

    public void Dispose()
    {
        CloseChildEnds();
        Ends.Stdin?.Dispose();
        Ends.Stdout.Dispose();
        Ends.Stderr?.Dispose();
    }
}
