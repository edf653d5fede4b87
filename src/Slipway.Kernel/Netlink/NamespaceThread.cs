using Slipway.Kernel.Threading;

namespace Slipway.Kernel.Netlink;

/// <summary>
/// A named thread that lives in a network namespace and works off calls in the order they came. Whatever it opens (netlink
/// sessions, sockets, files below /proc/sys/net) belongs to that namespace. It never returns to the thread pool.
/// </summary>
public sealed class NamespaceThread : IAsyncDisposable
{
    private readonly WaitQueue<Action> _calls = new();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <param name="name">At most 15 bytes are seen by the kernel.</param>
    /// <param name="home">The namespace, or null for the one of the caller. Used only before this returns.</param>
    public NamespaceThread(string name, NetworkNamespace? home = null)
    {
        // The thread takes its place before the caller goes on: the namespace may be closed by then.
        using NetworkNamespace origin = home is null ? NetworkNamespace.OfThisThread() : NetworkNamespace.FromDescriptor(home.Duplicate());
        KernelException? failure = null;
        using ManualResetEventSlim placed = new();
        Thread thread = new(() =>
        {
            try
            {
                origin.Enter();
            }
            catch (KernelException e)
            {
                failure = e;
            }

            bool entered = failure is null;
            placed.Set();
            if (entered)
            {
                Run();
            }
        }, maxStackSize: 256 * 1024)
        {
            IsBackground = true,
            Name = name,
        };
        thread.Start();
        placed.Wait();
        if (failure is not null)
        {
            throw new KernelException($"thread {name} entering its network namespace", failure.Errno);
        }
    }

    /// <summary>Runs <paramref name="call"/> on the thread.</summary>
    /// <exception cref="ObjectDisposedException">The thread has ended.</exception>
    public Task<T> RunAsync<T>(Func<T> call, CancellationToken cancellationToken)
    {
        TaskCompletionSource<T> completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
        void Work()
        {
            if (cancellationToken.IsCancellationRequested)
            {
                completion.SetCanceled(cancellationToken);
                return;
            }

            try
            {
                completion.SetResult(call());
            }
#pragma warning disable CA1031 // Handed over to the awaiting caller, whatever it is.
            catch (Exception e)
#pragma warning restore CA1031
            {
                completion.SetException(e);
            }
        }

        return _calls.TryAdd(Work) ? completion.Task : throw new ObjectDisposedException(nameof(NamespaceThread));
    }

    /// <summary>Runs <paramref name="call"/> on the thread.</summary>
    /// <exception cref="ObjectDisposedException">The thread has ended.</exception>
    public Task RunAsync(Action call, CancellationToken cancellationToken) => RunAsync(
        () =>
        {
            call();
            return true;
        },
        cancellationToken);

    /// <summary>
    /// Runs <paramref name="call"/> with the calling thread, which is one of this kind, in a new namespace, and comes back
    /// to <paramref name="home"/> after it.
    /// </summary>
    /// <returns>What <paramref name="call"/> made; it gets the namespace and owns it.</returns>
    public static T InNewNamespace<T>(NetworkNamespace home, Func<NetworkNamespace, T> call)
    {
        NetworkNamespace? created = null;
        try
        {
            created = NetworkNamespace.Unshare();
            return call(created);
        }
        catch
        {
            created?.Dispose();
            throw;
        }
        finally
        {
            home.Enter();
        }
    }

    /// <summary>
    /// Runs <paramref name="call"/> with the calling thread, which is one of this kind, in a namespace that exists, and comes back to
    /// <paramref name="home"/> after it.
    /// </summary>
    public static T Within<T>(NetworkNamespace target, NetworkNamespace home, Func<T> call)
    {
        target.Enter();
        try
        {
            return call();
        }
        finally
        {
            home.Enter();
        }
    }

    /// <inheritdoc cref="Within{T}"/>
    public static void Within(NetworkNamespace target, NetworkNamespace home, Action call) => Within(
        target,
        home,
        () =>
        {
            call();
            return true;
        });

    /// <summary>Works off what was asked for, then ends the thread.</summary>
    public async ValueTask DisposeAsync()
    {
        _calls.Complete();
        await _ended.Task.ConfigureAwait(false);
    }

    private void Run()
    {
        while (_calls.TryTake(out Action? call))
        {
            call();
        }

        _ended.SetResult();
    }
}
