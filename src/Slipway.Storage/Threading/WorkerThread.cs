namespace Slipway.Storage.Threading;

/// <summary>Runs work that blocks in system calls on a thread of its own, with a name, and never on the pool.</summary>
internal static class WorkerThread
{
    public static Task<T> RunAsync<T>(string name, Func<T> work)
    {
        var completion = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        var thread = new Thread(() =>
        {
            try
            {
                completion.SetResult(work());
            }
            catch (OperationCanceledException error)
            {
                completion.SetCanceled(error.CancellationToken);
            }
#pragma warning disable CA1031 // The caller gets whatever it was.
            catch (Exception error)
#pragma warning restore CA1031
            {
                completion.SetException(error);
            }
        })
        {
            Name = name,
            IsBackground = true,
        };
        thread.Start();
        return completion.Task;
    }
}
