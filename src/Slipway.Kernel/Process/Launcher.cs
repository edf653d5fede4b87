using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Process;

/// <summary>A process to launch.</summary>
/// <param name="Descriptors">By slot of the plan; the caller keeps them open until the outcome is known.</param>
/// <param name="Stdin">And the other two: likewise kept open by the caller.</param>
public sealed record LaunchOrder(PlanDocument Plan, IReadOnlyList<SafeHandle> Descriptors, SafeHandle Stdin, SafeHandle Stdout, SafeHandle Stderr);

/// <summary>
/// Runs plans on threads of its own, each with a <see cref="LaunchHost"/> that clones for it. A launching thread blocks until the child has executed, which takes as long as the plan's
/// slowest call (a mount of a dead server: for ever); so another thread is started whenever an order finds none idle, up to a limit.
/// </summary>
public sealed class Launcher : IDisposable
{
    private const int StackBytes = 256 * 1024;

    // A launch needs a core only briefly; what is above the number of cores serves orders while others are stuck.
    private const int MaxThreads = 64;

    // What a burst has started ends again, but for as many as serve ordinary use without a start.
    internal const int KeptThreads = 2;

    // A monitor, since it waits without spinning: the processor is for the container that is being started.
    private readonly object _gate = new();
    private readonly Queue<LaunchAttempt> _attempts = new();
    private readonly SafeFileHandle _ownPidNamespace = File.OpenHandle("/proc/self/ns/pid");
    private readonly HostParent _parent = new();
    private readonly TimeSpan _idleLimit;
    private int _threads;
    private int _idle;
    private bool _disposed;

    public Launcher() : this(TimeSpan.FromSeconds(10))
    {
    }

    /// <param name="idleLimit">How long a thread above <see cref="KeptThreads"/> waits for an order.</param>
    internal Launcher(TimeSpan idleLimit)
    {
        _idleLimit = idleLimit;
    }

    /// <summary>Launching threads that there are now.</summary>
    internal int ThreadCount
    {
        get
        {
            lock (_gate)
            {
                return _threads;
            }
        }
    }

    /// <summary>
    /// Queues an order. <paramref name="completed"/> runs on the launching thread, once, and must be quick. A plan that is refused or whose
    /// kernel resources cannot be had comes back as a failure of step 0.
    /// </summary>
    public LaunchAttempt Launch(LaunchOrder order, Action<LaunchOutcome> completed)
    {
        var attempt = new LaunchAttempt(order, completed);
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            _attempts.Enqueue(attempt);
            if (_idle < _attempts.Count && _threads < MaxThreads)
            {
                _threads++;
                new Thread(Work, StackBytes) { IsBackground = true, Name = "launcher" }.Start();
            }

            Monitor.Pulse(_gate);
        }

        return attempt;
    }

    /// <summary>As <see cref="Launch(LaunchOrder, Action{LaunchOutcome})"/>.</summary>
    public Task<LaunchOutcome> LaunchAsync(LaunchOrder order)
    {
        var completion = new TaskCompletionSource<LaunchOutcome>(TaskCreationOptions.RunContinuationsAsynchronously);
        Launch(order, completion.SetResult);
        return completion.Task;
    }

    /// <summary>Ends the idle threads; busy ones end after their order.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_disposed)
            {
                return;
            }

            _disposed = true;
            Monitor.PulseAll(_gate);
        }

        EndParent();
    }

    private void Work()
    {
        using (var image = new PlanImage(_parent))
        {
            while (Next(out LaunchAttempt? attempt))
            {
                attempt?.Completed(Run(attempt, image));
            }
        }

        EndParent();
    }

    /// <summary>The hosts end with their parent: so after the last thread that needs one.</summary>
    private void EndParent()
    {
        lock (_gate)
        {
            if (_disposed && _threads == 0)
            {
                _parent.Dispose();
            }
        }
    }

    /// <summary>Waits for an order; null where none came for long. False where the thread is not needed any more.</summary>
    private bool Next(out LaunchAttempt? attempt)
    {
        lock (_gate)
        {
            if (_attempts.Count == 0 && !_disposed)
            {
                _idle++;
                Monitor.Wait(_gate, _idleLimit);
                _idle--;
            }

            if (_attempts.TryDequeue(out attempt))
            {
                return true;
            }

            bool needed = !_disposed && _threads <= KeptThreads;
            _threads -= needed ? 0 : 1;
            return needed;
        }
    }

    private LaunchOutcome Run(LaunchAttempt attempt, PlanImage image)
    {
        LaunchOrder order = attempt.Order;
        int referenced = 0;
        SafeHandle[] handles = [.. order.Descriptors, order.Stdin, order.Stdout, order.Stderr];
        try
        {
            Span<int> numbers = handles.Length <= 64 ? stackalloc int[handles.Length] : new int[handles.Length];
            foreach (SafeHandle handle in handles)
            {
                bool added = false;
                handle.DangerousAddRef(ref added);
                numbers[referenced++] = (int)handle.DangerousGetHandle();
            }

            image.Bind(order.Plan, numbers[..^3], numbers[^3..]);
            return attempt.Run(image, order.Plan.PidNamespaceSlot is int slot ? numbers[slot] : null, (int)_ownPidNamespace.DangerousGetHandle());
        }
        catch (KernelException exception)
        {
            return Refused(order, exception.Operation, exception.Errno);
        }
        catch (InvalidDataException exception)
        {
            return Refused(order, exception.Message, Errno.EINVAL);
        }
        finally
        {
            for (int i = 0; i < referenced; i++)
            {
                handles[i].DangerousRelease();
            }
        }
    }

    private static LaunchOutcome Refused(LaunchOrder order, string problem, int errno) => new(0, null, new PlanFailure(0, order.Plan.StepCount, problem, errno, 0));
}
