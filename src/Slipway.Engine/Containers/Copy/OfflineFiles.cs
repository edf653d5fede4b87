using Slipway.Kernel.Mounts;

namespace Slipway.Engine.Containers.Copy;

/// <summary>
/// The root file system of a container that does not run, mounted for as long as somebody copies. All who copy at the same time share one
/// mount, because two over one upper directory would be undefined (overlayfs.rst, "Sharing and copying layers"). The container's lock is held to
/// open it and not while clients send and receive, which may take as long as they like; who needs the upper directory for itself ends the copies.
/// </summary>
internal sealed class OfflineFiles
{
    /// <summary>A copy that has stood still for this long is not waited for.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(250);

    private readonly Lock _gate = new();
    private readonly List<OfflineCopy> _copies = [];
    private OfflineView? _view;
    private TaskCompletionSource? _closed;

    /// <summary>Whether somebody copies, or the mount of somebody who did is being taken away.</summary>
    public bool InUse
    {
        get
        {
            lock (_gate)
            {
                return _closed is not null;
            }
        }
    }

    /// <summary>Only for the holder of the container's lock.</summary>
    /// <param name="open">Mounts, where nobody has.</param>
    /// <returns>To be disposed when its copy is done.</returns>
    public async Task<OfflineCopy> ShareAsync(Func<Task<OfflineView>> open)
    {
        Task? closing;
        lock (_gate)
        {
            if (_view is { } shared)
            {
                return Add(shared);
            }

            closing = _closed?.Task;
        }

        await (closing ?? Task.CompletedTask);
        OfflineView view = await open();
        lock (_gate)
        {
            _view = view;
            _closed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return Add(view);
        }
    }

    /// <summary>Waits until nobody copies; only for the holder of the container's lock, without which nobody begins to.</summary>
    /// <param name="patience">Copies that stand still for this long are interrupted.</param>
    public async Task EndAsync(TimeProvider time, TimeSpan patience)
    {
        Task? closed;
        lock (_gate)
        {
            closed = _closed?.Task;
        }

        while (closed is { IsCompleted: false })
        {
            OfflineCopy[] copies;
            lock (_gate)
            {
                copies = [.. _copies];
            }

            foreach (OfflineCopy copy in copies)
            {
                await copy.InterruptIdleAsync(time, patience);
            }

            await Task.WhenAny(closed, Task.Delay(s_look, time));
        }
    }

    private OfflineCopy Add(OfflineView view)
    {
        OfflineCopy copy = new(view.View, ReleaseAsync);
        _copies.Add(copy);
        return copy;
    }

    /// <summary>The last one unmounts.</summary>
    private async Task ReleaseAsync(OfflineCopy copy)
    {
        OfflineView view;
        TaskCompletionSource closed;
        lock (_gate)
        {
            _copies.Remove(copy);
            if (_copies.Count > 0)
            {
                return;
            }

            (view, closed) = (_view!, _closed!);
            _view = null;
        }

        try
        {
            await view.Close();
        }
        finally
        {
            lock (_gate)
            {
                _closed = null;
            }

            closed.SetResult();
        }
    }
}

/// <param name="Close">Unmounts.</param>
internal sealed record OfflineView(NamespaceView View, Func<Task> Close);
