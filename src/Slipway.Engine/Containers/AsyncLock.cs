namespace Slipway.Engine.Containers;

/// <summary>A lock that is waited for without a thread; first come, first served. Small: every container has one.</summary>
internal sealed class AsyncLock
{
    private readonly Lock _gate = new();
    private Queue<TaskCompletionSource>? _waiting;
    private bool _held;

    public ValueTask<Holder> AcquireAsync(CancellationToken cancellationToken)
    {
        TaskCompletionSource turn;
        lock (_gate)
        {
            if (!_held)
            {
                _held = true;
                return ValueTask.FromResult(new Holder(this));
            }

            turn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            (_waiting ??= new Queue<TaskCompletionSource>()).Enqueue(turn);
        }

        return WaitAsync(turn, cancellationToken);
    }

    private async ValueTask<Holder> WaitAsync(TaskCompletionSource turn, CancellationToken cancellationToken)
    {
        // Who gives up stays in the queue, and is passed over when its turn comes.
        await using (cancellationToken.UnsafeRegister(static (state, token) => ((TaskCompletionSource)state!).TrySetCanceled(token), turn))
        {
            await turn.Task;
        }

        return new Holder(this);
    }

    private void Release()
    {
        lock (_gate)
        {
            while (_waiting?.TryDequeue(out TaskCompletionSource? next) == true)
            {
                if (next.TrySetResult())
                {
                    return;
                }
            }

            _held = false;
        }
    }

    /// <summary>Lets go of the lock when disposed.</summary>
    internal readonly struct Holder(AsyncLock owner) : IDisposable
    {
        public void Dispose() => owner.Release();
    }
}
