using System.Runtime.ExceptionServices;
using Slipway.Kernel.Threading;

namespace Slipway.Kernel.Process;

/// <summary>
/// The thread that is the parent of every launch host and, by CLONE_PARENT, of every process they clone. A process may ask for a signal at the death of
/// its parent, and the kernel means the thread (prctl(2), PR_SET_PDEATHSIG): so this one lives as long as its <see cref="Launcher"/>, whatever
/// launching threads come and go.
/// </summary>
internal sealed unsafe class HostParent : IDisposable
{
    private const int StackBytes = 256 * 1024;

    private readonly WaitQueue<Request> _requests = new();

    public HostParent()
    {
        new Thread(Work, StackBytes) { IsBackground = true, Name = "launch parent" }.Start();
    }

    /// <summary>As <see cref="LaunchHost.Start"/>, by this thread. Blocks for about a millisecond.</summary>
    /// <exception cref="KernelException">No process can be had.</exception>
    /// <exception cref="ObjectDisposedException">The launcher has ended.</exception>
    public LaunchHost Start(PlanImageHeader* header, MemoryArea image, byte* preparation)
    {
        using Request request = new(header, image, preparation);
        ObjectDisposedException.ThrowIf(!_requests.TryAdd(request), this);
        return request.Wait();
    }

    public void Dispose() => _requests.Complete();

    private void Work()
    {
        while (_requests.TryTake(out Request? request))
        {
            request.Run();
        }
    }

    private sealed class Request(PlanImageHeader* header, MemoryArea image, byte* preparation) : IDisposable
    {
        private readonly ManualResetEventSlim _done = new(initialState: false, spinCount: 0);
        private LaunchHost? _host;
        private ExceptionDispatchInfo? _failure;

        public void Run()
        {
            try
            {
                _host = LaunchHost.Start(header, image, preparation);
            }
            catch (Exception exception) when (exception is KernelException or InvalidOperationException or FormatException)
            {
                _failure = ExceptionDispatchInfo.Capture(exception);
            }

            _done.Set();
        }

        public LaunchHost Wait()
        {
            _done.Wait();
            _failure?.Throw();
            return _host!;
        }

        public void Dispose() => _done.Dispose();
    }
}
