using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Streams;
using Slipway.Runtime.Logs;

namespace Slipway.Runtime.Supervision.Host;

/// <summary>The writing end of a process' stdin: a pipe of its own, or the terminal's master, which its output owns.</summary>
internal sealed class InputStream : IReadinessHandler, IDisposable
{
    private readonly EventLoop _loop;
    private readonly ILoopTask _owner;
    private readonly SafeFileHandle _target;
    private readonly ulong? _token;
    private readonly ByteBuffer _waiting = new();
    private bool _closeWhenWritten;

    private InputStream(EventLoop loop, ILoopTask owner, SafeFileHandle target, bool isTerminal)
    {
        _loop = loop;
        _owner = owner;
        _target = target;
        IsTerminal = isTerminal;
        if (!isTerminal)
        {
            DescriptorIO.SetNonBlocking(target);
            _token = loop.Register(target, EpollEvents.Out, this);
        }
    }

    public bool IsTerminal { get; }

    /// <summary>Closed, or the process has closed its end.</summary>
    public bool IsClosed { get; private set; }

    /// <summary>All input so far has been taken, so more may be read from clients.</summary>
    public bool IsReadyForMore => !IsClosed && !_closeWhenWritten && _waiting.Length == 0;

    /// <param name="writer">Owned.</param>
    public static InputStream Pipe(EventLoop loop, ILoopTask owner, SafeFileHandle writer) => new(loop, owner, writer, isTerminal: false);

    public static InputStream Terminal(EventLoop loop, ILoopTask owner, OutputStream terminal) => new(loop, owner, terminal.Source, isTerminal: true);

    public void OnReady(EpollEvents events)
    {
        if ((events & EpollEvents.Error) != 0)
        {
            // The reader is gone (pipe(7)).
            Close();
        }

        _loop.Schedule(_owner);
    }

    /// <summary>Writes now what fits and keeps the rest.</summary>
    public void Write(ReadOnlySpan<byte> bytes)
    {
        _waiting.Append(bytes);
        Flush();
    }

    public void Flush()
    {
        while (!IsClosed && _waiting.Length > 0)
        {
            int count = DescriptorIO.Write(_target, _waiting.Written);
            if (count == -Errno.EAGAIN)
            {
                return;
            }

            if (count < 0)
            {
                Close();
                return;
            }

            _waiting.Consume(count);
        }

        _waiting.TrimIfEmpty();
        if (_closeWhenWritten)
        {
            Close();
        }
    }

    /// <summary>Ends the process' input once it has been written.</summary>
    public void Complete()
    {
        _closeWhenWritten = true;
        Flush();
    }

    public void Dispose() => Close();

    private void Close()
    {
        if (IsClosed)
        {
            return;
        }

        IsClosed = true;
        _waiting.Clear();
        _waiting.TrimIfEmpty();
        if (_token is ulong token)
        {
            _loop.Unregister(token, _target);
            _target.Dispose();
        }
    }
}
