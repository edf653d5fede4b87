using Slipway.Api.Containers;

namespace Slipway.Engine.Containers;

/// <summary>Those who wait for a container to end or to be gone.</summary>
internal sealed class ContainerWaits
{
    private readonly Lock _gate = new();
    private List<Waiter>? _waiters;
    private ContainerWaitResponse? _removed;

    /// <summary>Registers a wait; the caller then checks whether what it waits for has already happened.</summary>
    public Task<ContainerWaitResponse> Register(WaitCondition condition, CancellationToken cancellationToken)
    {
        Waiter waiter = new(condition);
        lock (_gate)
        {
            if (_removed is { } removed)
            {
                return Task.FromResult(removed);
            }

            (_waiters ??= []).Add(waiter);
        }

        return AwaitAsync(waiter, cancellationToken);
    }

    /// <summary>The container ended: completes those who do not wait for its removal.</summary>
    public void Exited(int exitCode) => Complete(new ContainerWaitResponse(exitCode), waiter => waiter.Condition != WaitCondition.Removed);

    /// <summary>The container is gone, or could not be removed: completes all.</summary>
    public void Removed(int exitCode, string? error = null)
    {
        ContainerWaitResponse response = new(exitCode) { Error = error is null ? null : new WaitError(error) };
        if (error is null)
        {
            lock (_gate)
            {
                _removed = response;
            }
        }

        Complete(response, _ => true);
    }

    private async Task<ContainerWaitResponse> AwaitAsync(Waiter waiter, CancellationToken cancellationToken)
    {
        try
        {
            return await waiter.Completion.Task.WaitAsync(cancellationToken);
        }
        finally
        {
            lock (_gate)
            {
                _waiters?.Remove(waiter);
            }
        }
    }

    private void Complete(ContainerWaitResponse response, Func<Waiter, bool> concerned)
    {
        Waiter[] waiters;
        lock (_gate)
        {
            waiters = _waiters is null ? [] : [.. _waiters.Where(concerned)];
        }

        foreach (Waiter waiter in waiters)
        {
            waiter.Completion.TrySetResult(response);
        }
    }

    private sealed class Waiter(WaitCondition condition)
    {
        public WaitCondition Condition { get; } = condition;

        public TaskCompletionSource<ContainerWaitResponse> Completion { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
