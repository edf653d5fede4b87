using Slipway.Kernel;
using Slipway.Kernel.Cgroups;

namespace Slipway.Runtime.Confinement;

/// <summary>
/// Control groups made ahead of need, where the kernel lets them be renamed (<see cref="CgroupRoot.CreateSpare"/>): making a container's takes
/// a directory in each of eight hierarchies. Taken ones are replaced after a pause in the taking; a burst that finds too few makes more be kept,
/// for as long as bursts keep coming. Safe for concurrent use.
/// </summary>
internal sealed class SpareCgroups : IDisposable
{
    /// <summary>What the name of a spare group begins with. An engine that finds one of another's run removes it, as everything that is no container's.</summary>
    internal const string Prefix = "spare-";

    /// <summary>Kept after a pause, and at most: a group of a controller that accounts for memory takes some 40 KB of the kernel.</summary>
    private const int Usual = 4;
    private const int Limit = 64;

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(300);
    private static readonly TimeSpan Idle = TimeSpan.FromMinutes(1);

    private readonly CgroupRoot _root;
    private readonly ITimer _fill;
    private readonly ITimer _shrink;
    private readonly Lock _lock = new();
    private readonly Queue<Cgroup> _ready = [];
    private int _wanted = Usual;
    private int _taken;
    private bool _disposed;

    public SpareCgroups(CgroupRoot root, TimeProvider time)
    {
        _root = root;
        _fill = time.CreateTimer(_ => Fill(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _shrink = time.CreateTimer(_ => Shrink(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>A spare one as a container's, or null where there is none.</summary>
    /// <exception cref="KernelException">The container has groups already (EEXIST).</exception>
    public Cgroup? TryTake(string name)
    {
        Cgroup? spare;
        lock (_lock)
        {
            if (_disposed || _root.Mode == CgroupMode.V2)
            {
                return null;
            }

            _taken++;
            _fill.Change(Pause, Timeout.InfiniteTimeSpan);
            _shrink.Change(Idle, Timeout.InfiniteTimeSpan);
            if (!_ready.TryDequeue(out spare))
            {
                _wanted = Math.Min(_wanted + 1, Limit);
                return null;
            }
        }

        return _root.TryName(spare, name) ? spare : null;
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _disposed = true;
        }

        _fill.Dispose();
        _shrink.Dispose();
        Remove(Limit);
    }

    private void Fill()
    {
        int taken;
        lock (_lock)
        {
            taken = _taken;
        }

        while (true)
        {
            lock (_lock)
            {
                // Somebody takes again: they want the processor.
                if (_disposed || _taken != taken || _ready.Count >= _wanted)
                {
                    return;
                }
            }

            Cgroup? spare;
            try
            {
                spare = _root.CreateSpare($"{Prefix}{Guid.NewGuid():N}");
            }
            catch (KernelException)
            {
                // Nobody waits for it, and whoever makes groups for a container next is told.
                return;
            }

            lock (_lock)
            {
                if (spare is not null && !_disposed)
                {
                    _ready.Enqueue(spare);
                    continue;
                }
            }

            if (spare is not null)
            {
                Delete(spare);
            }

            return;
        }
    }

    private void Shrink()
    {
        int surplus;
        lock (_lock)
        {
            _wanted = Usual;
            surplus = _ready.Count - _wanted;
        }

        Remove(surplus);
    }

    private void Remove(int count)
    {
        for (; count > 0; count--)
        {
            Cgroup? spare;
            lock (_lock)
            {
                if (!_ready.TryDequeue(out spare))
                {
                    return;
                }
            }

            Delete(spare);
        }
    }

    private void Delete(Cgroup spare)
    {
        spare.Dispose();
        _root.TryDelete(spare.Name);
    }
}
