using System.Collections.Concurrent;
using System.Globalization;

namespace Slipway.Registry.Server.Storage;

/// <summary>Threads for calls that wait for the disk (fsync): the pool's are for requests.</summary>
internal sealed class StorageThreads : IDisposable
{
    /// <summary>So many wait for the disk at once; the disk itself puts more of them into one commit of its journal.</summary>
    private const int Maximum = 16;

    private readonly BlockingCollection<Action> _work = [];
    private readonly Lock _gate = new();
    private readonly List<Thread> _threads = [];
    private int _busy;

    public Task<T> RunAsync<T>(Func<T> action, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        TaskCompletionSource<T> result = new(TaskCreationOptions.RunContinuationsAsynchronously);
        _work.Add(
            () =>
            {
                try
                {
                    result.SetResult(action());
                }
                catch (Exception e)
                {
                    result.SetException(e);
                }
            },
            CancellationToken.None);
        StartThread();
        return result.Task;
    }

    public Task RunAsync(Action action, CancellationToken cancellationToken) => RunAsync(
        () =>
        {
            action();
            return true;
        },
        cancellationToken);

    /// <summary>Waits for what was begun.</summary>
    public void Dispose()
    {
        _work.CompleteAdding();
        _threads.ForEach(thread => thread.Join());
        _work.Dispose();
    }

    private void StartThread()
    {
        lock (_gate)
        {
            if (_threads.Count < Maximum && _work.Count > _threads.Count - Volatile.Read(ref _busy))
            {
                Thread thread = new(Work) { IsBackground = true, Name = string.Create(CultureInfo.InvariantCulture, $"registry-disk-{_threads.Count}") };
                _threads.Add(thread);
                thread.Start();
            }
        }
    }

    private void Work()
    {
        foreach (Action action in _work.GetConsumingEnumerable())
        {
            Interlocked.Increment(ref _busy);
            action();
            Interlocked.Decrement(ref _busy);
        }
    }
}
