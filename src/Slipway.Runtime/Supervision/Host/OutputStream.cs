using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Streams;
using Slipway.Runtime.Logs;

namespace Slipway.Runtime.Supervision.Host;

/// <summary>The reading end of a process' stdout or stderr, or the master of its terminal.</summary>
internal sealed class OutputStream : IReadinessHandler, IDisposable
{
    private readonly EventLoop _loop;
    private readonly ILoopTask _owner;
    private readonly ulong _token;
    private bool _readable;

    // After the process has ended: bytes that were in the pipe then. What a background grandchild writes later is not waited for.
    private int? _remaining;

    /// <param name="source">Owned.</param>
    public OutputStream(EventLoop loop, ILoopTask owner, LogStream stream, SafeFileHandle source, bool isTerminal)
    {
        _loop = loop;
        _owner = owner;
        Stream = stream;
        Source = source;
        IsTerminal = isTerminal;
        DescriptorIO.SetNonBlocking(source);
        _token = loop.Register(source, EpollEvents.In | EpollEvents.PeerHangUp | (isTerminal ? EpollEvents.Out : 0), this);
    }

    public LogStream Stream { get; }

    public SafeFileHandle Source { get; }

    public bool IsTerminal { get; }

    /// <summary>The end was reached, or all that had to be read after the process' end.</summary>
    public bool IsFinished { get; private set; }

    /// <summary>There may be something to read.</summary>
    public bool IsReadable => _readable && !IsFinished;

    public void OnReady(EpollEvents events)
    {
        if ((events & (EpollEvents.In | EpollEvents.HangUp | EpollEvents.Error | EpollEvents.PeerHangUp)) != 0)
        {
            _readable = true;
        }

        // A terminal that takes input again concerns the owner only.
        _loop.Schedule(_owner);
    }

    /// <summary>Reads what is there. 0 where there is nothing now, or never again (<see cref="IsFinished"/>).</summary>
    public int Read(Span<byte> buffer)
    {
        int count = DescriptorIO.Read(Source, buffer);
        if (count > 0)
        {
            _remaining -= count;
            IsFinished = _remaining <= 0;
            return count;
        }

        if (count == -Errno.EAGAIN)
        {
            _readable = false;
            IsFinished = _remaining is not null;
        }
        else
        {
            // 0: all writers are gone. -EIO: all slaves of the terminal are.
            IsFinished = true;
        }

        return 0;
    }

    /// <summary>
    /// The process has ended. A pipe is read up to what it holds now. A terminal's last output may still be on its way through the
    /// line discipline, so it is read to its end, which comes when the session's hang-up has closed the slaves.
    /// </summary>
    public void BeginDrain()
    {
        _readable = true;
        if (!IsTerminal && !IsFinished)
        {
            _remaining = DescriptorIO.Available(Source);
            IsFinished = _remaining == 0;
        }
    }

    public void Abandon() => IsFinished = true;

    public void Dispose()
    {
        _loop.Unregister(_token, Source);
        Source.Dispose();
    }
}
