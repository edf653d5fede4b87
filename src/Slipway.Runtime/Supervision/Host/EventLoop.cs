using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Slipway.Kernel.Streams;

namespace Slipway.Runtime.Supervision.Host;

/// <summary>Is told when its descriptor becomes ready.</summary>
internal interface IReadinessHandler
{
    void OnReady(EpollEvents events);
}

/// <summary>Does a bounded piece of work when its turn comes.</summary>
internal interface ILoopTask
{
    /// <summary>Kept by the loop: whether the task waits for its turn already.</summary>
    bool IsScheduled { get; set; }

    void Run();
}

/// <summary>
/// The one thread that serves all streams, processes and connections. Descriptors are registered edge-triggered: a handler notes what is
/// ready and schedules a task; tasks take turns, each doing a bounded piece, so no stream starves another.
/// </summary>
/// <remarks>All members belong to the loop's thread, but <see cref="Post"/>.</remarks>
internal sealed class EventLoop(TimeProvider time) : IDisposable
{
    private const ulong WakeToken = 0;

    private readonly Epoll _epoll = new(256);
    private readonly EventDescriptor _wake = new();
    private readonly Dictionary<ulong, IReadinessHandler> _handlers = [];
    private readonly ConcurrentQueue<Action> _posted = new();
    private readonly Queue<ILoopTask> _tasks = new();
    private readonly PriorityQueue<Action, long> _timers = new();
    private ulong _nextToken = WakeToken + 1;
    private bool _stopped;

    public TimeProvider Time { get; } = time;

    /// <summary>Scratch for reading: one for all, so that an idle process costs none.</summary>
    public byte[] ReadBuffer { get; } = new byte[64 * 1024];

    /// <summary>Registers a descriptor for input, output and hang-up. Returns the token that <see cref="Unregister"/> takes.</summary>
    public ulong Register(SafeHandle descriptor, EpollEvents events, IReadinessHandler handler)
    {
        ulong token = _nextToken++;
        _epoll.Add(descriptor, events | EpollEvents.EdgeTriggered, token);
        _handlers.Add(token, handler);
        return token;
    }

    /// <summary>Must come before the descriptor is closed. Events already taken for it are ignored.</summary>
    public void Unregister(ulong token, SafeHandle descriptor)
    {
        if (_handlers.Remove(token))
        {
            _epoll.Remove(descriptor);
        }
    }

    public void Schedule(ILoopTask task)
    {
        if (!task.IsScheduled)
        {
            task.IsScheduled = true;
            _tasks.Enqueue(task);
        }
    }

    /// <summary>Runs <paramref name="action"/> after <paramref name="delay"/>.</summary>
    public void After(TimeSpan delay, Action action) =>
        _timers.Enqueue(action, Time.GetTimestamp() + (long)(delay.TotalSeconds * Time.TimestampFrequency));

    /// <summary>Runs <paramref name="action"/> on the loop. Any thread.</summary>
    public void Post(Action action)
    {
        _posted.Enqueue(action);
        _wake.Signal();
    }

    public void Stop() => _stopped = true;

    /// <summary>Serves until <see cref="Stop"/>.</summary>
    public void Run()
    {
        _epoll.Add(_wake.Handle, EpollEvents.In, WakeToken);
        List<ReadyDescriptor> ready = new(256);
        while (!_stopped)
        {
            _epoll.Wait(ready, _tasks.Count > 0 ? 0 : TimeUntilTimer());
            foreach ((ulong token, EpollEvents events) in ready)
            {
                if (token == WakeToken)
                {
                    _wake.Reset();
                }
                else if (_handlers.TryGetValue(token, out IReadinessHandler? handler))
                {
                    Guard(handler, events);
                }
            }

            while (_posted.TryDequeue(out Action? action))
            {
                Guard(action);
            }

            RunTimers();
            for (int turns = _tasks.Count; turns > 0; turns--)
            {
                ILoopTask task = _tasks.Dequeue();
                task.IsScheduled = false;
                Guard(task);
            }
        }
    }

    public void Dispose()
    {
        _epoll.Dispose();
        _wake.Dispose();
    }

    /// <returns>Milliseconds, rounded up, or -1.</returns>
    private int TimeUntilTimer()
    {
        if (!_timers.TryPeek(out _, out long due))
        {
            return -1;
        }

        double milliseconds = (due - Time.GetTimestamp()) * 1000.0 / Time.TimestampFrequency;
        return milliseconds <= 0 ? 0 : (int)Math.Min(Math.Ceiling(milliseconds), int.MaxValue);
    }

    private void RunTimers()
    {
        while (_timers.TryPeek(out Action? action, out long due) && due <= Time.GetTimestamp())
        {
            _timers.Dequeue();
            Guard(action);
        }
    }

    /// <summary>
    /// Whoever can refuse a call or end one process because of a kernel error does so; an error nobody expected is told in the log, and must
    /// not end the supervisor: that would end the streams of every container.
    /// </summary>
    private static void Guard(Action work)
    {
        try
        {
            work();
        }
        catch (IOException exception)
        {
            Tell(exception);
        }
    }

    private static void Guard(IReadinessHandler handler, EpollEvents events)
    {
        try
        {
            handler.OnReady(events);
        }
        catch (IOException exception)
        {
            Tell(exception);
        }
    }

    private static void Guard(ILoopTask task)
    {
        try
        {
            task.Run();
        }
        catch (IOException exception)
        {
            Tell(exception);
        }
    }

    private static void Tell(IOException exception) => Console.Error.WriteLine($"unexpected: {exception}");
}
