using Slipway.Kernel.Security;

namespace Slipway.Storage.Threading;

/// <summary>
/// Runs work that blocks in system calls on a thread of its own, with a name, and never on the pool. Such a thread may not do without a bound: what it writes into a volume or a layer of
/// a size counts like what the container writes.
/// </summary>
public static class WorkerThread
{
    /// <summary>With it ext4 takes blocks beyond a quota (capabilities(7)).</summary>
    private static readonly ulong s_exempt = Capability.Mask(["CAP_SYS_RESOURCE"]);

    public static Task<T> RunAsync<T>(string name, Func<T> work)
    {
        var completion = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        var thread = new Thread(() =>
        {
            try
            {
                ThreadCapabilities.Lower(s_exempt);
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
