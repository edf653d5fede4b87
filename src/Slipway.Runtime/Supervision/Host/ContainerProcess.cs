using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;
using Slipway.Kernel.Process;
using Slipway.Kernel.Streams;
using Slipway.Runtime.Logs;
using Slipway.Runtime.Supervision.Protocol;

namespace Slipway.Runtime.Supervision.Host;

/// <summary>The supervisor's ends of a process' standard streams.</summary>
/// <param name="Stdin">Null where stdin is /dev/null or the terminal.</param>
/// <param name="Stdout">Or the terminal's master.</param>
/// <param name="Stderr">Null where there is a terminal.</param>
internal sealed record StreamEnds(SafeFileHandle? Stdin, SafeFileHandle Stdout, SafeFileHandle? Stderr, bool IsTerminal);

/// <summary>
/// One process: its streams, its log, its clients, its end. All work is done in <see cref="Run"/>, in turns; what is ready is
/// noted by the streams themselves.
/// </summary>
/// <remarks>
/// At the end: what the streams hold is read and logged, the exit is recorded, the clients' streams end, the exit is reported. A client that
/// does not read delays none of it: what it has not taken by then (bounded by what a pipe holds) waits in its own buffer.
/// </remarks>
internal sealed class ContainerProcess : IReadinessHandler, ILoopTask
{
    // What dockerd allows the streams of a process that has ended (moby, daemon/monitor.go).
    private static readonly TimeSpan s_terminalGrace = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan s_logRetry = TimeSpan.FromMilliseconds(200);

    // Reads of 64 KiB for a stream in one turn.
    private const int ReadsInTurn = 4;

    private readonly EventLoop _loop;
    private readonly Action<ContainerProcess> _ended;
    private readonly OutputStream[] _outputs;
    private readonly InputStream? _stdin;
    private readonly JsonLogWriter? _log;
    private readonly bool _stdinOnce;
    private readonly List<AttachedClient> _clients = [];
    private readonly ulong _token;
    private ProcessStatus? _status;
    private bool _logRetryPending;
    private bool _isHeld;
    private bool _isOver;

    /// <param name="pidfd">Owned, as all descriptors.</param>
    /// <param name="ended">Called once, when all output is logged and the exit may be recorded.</param>
    public ContainerProcess(EventLoop loop, LaunchMessage launch, int pid, SafeFileHandle pidfd, StreamEnds streams, JsonLogWriter? log, Action<ContainerProcess> ended)
    {
        _loop = loop;
        _log = log;
        _ended = ended;
        _isHeld = (launch.Flags & LaunchFlags.HoldOutput) != 0;
        _stdinOnce = (launch.Flags & LaunchFlags.StdinOnce) != 0;
        Id = launch.Id;
        ContainerId = launch.ContainerId;
        Pid = pid;
        Pidfd = pidfd;
        StartedAt = loop.Time.GetUtcNow();

        var stdout = new OutputStream(loop, this, LogStream.Stdout, streams.Stdout, streams.IsTerminal);
        _outputs = streams.Stderr is null ? [stdout] : [stdout, new OutputStream(loop, this, LogStream.Stderr, streams.Stderr, isTerminal: false)];
        _stdin = streams.IsTerminal ? InputStream.Terminal(loop, this, stdout)
            : streams.Stdin is null ? null
            : InputStream.Pipe(loop, this, streams.Stdin);
        foreach ((SafeFileHandle socket, AttachmentFlags flags) in launch.Attachments)
        {
            Attach(socket, flags);
        }

        _token = loop.Register(pidfd, EpollEvents.In, this);
    }

    public string Id { get; }

    public string? ContainerId { get; }

    public int Pid { get; }

    public SafeFileHandle Pidfd { get; }

    public DateTimeOffset StartedAt { get; }

    public bool IsScheduled { get; set; }

    /// <summary>Set once it has ended.</summary>
    public ProcessExit? Exit { get; private set; }

    private bool IsTerminal => _outputs[0].IsTerminal;

    private bool IsHeldBack => _log is { IsBlocked: true } || _clients.Exists(client => client.IsCongested);

    /// <param name="socket">Owned.</param>
    public void Attach(SafeFileHandle socket, AttachmentFlags flags)
    {
        _clients.Add(new AttachedClient(_loop, this, socket, flags));
        _loop.Schedule(this);
    }

    /// <summary>False where it has no terminal.</summary>
    public bool Resize(ushort rows, ushort columns)
    {
        if (!IsTerminal || Exit is not null)
        {
            return false;
        }

        PseudoTerminal.SetWindowSize(_outputs[0].Source, rows, columns);
        return true;
    }

    /// <summary>Output goes to log and clients from here on; what there was so far too, unless it is thrown away.</summary>
    public void Release(bool discard)
    {
        if (!_isHeld)
        {
            return;
        }

        _isHeld = false;
        if (discard)
        {
            Array.ForEach(_outputs, output => output.Abandon());
        }

        _loop.Schedule(this);
    }

    /// <summary>The process has ended.</summary>
    public void OnReady(EpollEvents events)
    {
        if (_status is not null || Slipway.Kernel.Process.Pidfd.TryWait(Pidfd) is not ProcessStatus status)
        {
            return;
        }

        _status = status;
        Exit = new ProcessExit(Id, ContainerId, status.ExitCode, status.Signal, _loop.Time.GetUtcNow());
        foreach (OutputStream output in _outputs)
        {
            output.BeginDrain();
        }

        if (IsTerminal && !_outputs[0].IsFinished)
        {
            _loop.After(s_terminalGrace, () =>
            {
                _outputs[0].Abandon();
                _loop.Schedule(this);
            });
        }

        _loop.Schedule(this);
    }

    public void Run()
    {
        if (_isOver)
        {
            return;
        }

        bool more = MoveInput();
        foreach (AttachedClient client in _clients)
        {
            client.Flush();
        }

        RetryLog();
        more |= !_isHeld && MoveOutput();
        _clients.RemoveAll(client => client.IsGone);
        if (_status is not null && !_isHeld && Array.TrueForAll(_outputs, output => output.IsFinished))
        {
            End();
        }
        else if (more)
        {
            _loop.Schedule(this);
        }
    }

    /// <summary>The exit is recorded: clients' streams end. The pidfd stays open for who still wants to report it.</summary>
    public void Close()
    {
        foreach (AttachedClient client in _clients)
        {
            client.Orphan();
        }

        _clients.Clear();
        Pidfd.Dispose();
    }

    /// <summary>From clients to stdin, as far as the process takes it. Without a stdin clients are listened to for their end only.</summary>
    private bool MoveInput()
    {
        _stdin?.Flush();
        foreach (AttachedClient client in _clients)
        {
            for (int reads = 0; client.HasInput && (_stdin is null || _stdin.IsReadyForMore); reads++)
            {
                if (reads == ReadsInTurn)
                {
                    return true;
                }

                int count = client.Read(_loop.ReadBuffer);
                if (count > 0)
                {
                    _stdin?.Write(_loop.ReadBuffer.AsSpan(0, count));
                }
                else if (count < 0)
                {
                    EndClientInput(client);
                }
            }
        }

        return false;
    }

    /// <summary>As dockerd (moby, container/stream/attach.go): the client's end of input ends stdin where it is open once, else the client's session.</summary>
    private void EndClientInput(AttachedClient client)
    {
        if (_stdinOnce && _stdin is { IsTerminal: false })
        {
            _stdin.Complete();
        }
        else if (_stdin is not null)
        {
            client.Complete();
        }
    }

    /// <summary>From the process to log and clients. True where a stream may have more.</summary>
    private bool MoveOutput()
    {
        bool more = false;
        Span<byte> frame = _loop.ReadBuffer;
        foreach (OutputStream output in _outputs)
        {
            for (int reads = 0; output.IsReadable && (_status is not null || !IsHeldBack); reads++)
            {
                if (reads == ReadsInTurn)
                {
                    more = true;
                    break;
                }

                int count = output.Read(frame[AttachedClient.FrameHeader..]);
                if (count == 0)
                {
                    break;
                }

                _log?.Append(output.Stream, frame.Slice(AttachedClient.FrameHeader, count));
                foreach (AttachedClient client in _clients)
                {
                    client.Deliver(output.Stream, frame[..(AttachedClient.FrameHeader + count)], raw: IsTerminal);
                }
            }
        }

        RetryLog();
        return more;
    }

    /// <summary>While the disk is full the process is held back, and the log is tried again from time to time.</summary>
    private void RetryLog()
    {
        if (_log is { HasBacklog: true } && !_log.Flush() && !_logRetryPending)
        {
            _logRetryPending = true;
            _loop.After(s_logRetry, () =>
            {
                _logRetryPending = false;
                _loop.Schedule(this);
            });
        }
    }

    private void End()
    {
        _isOver = true;
        _loop.Unregister(_token, Pidfd);
        _stdin?.Dispose();
        foreach (OutputStream output in _outputs)
        {
            output.Dispose();
        }

        if (_log is not null)
        {
            _log.Finish();
            CloseLog();
        }

        _ended(this);
    }

    /// <summary>A full disk does not delay the exit; what it has not taken is tried again until it does.</summary>
    private void CloseLog()
    {
        if (_log!.Flush())
        {
            _log.Dispose();
        }
        else
        {
            _loop.After(s_logRetry, CloseLog);
        }
    }
}
