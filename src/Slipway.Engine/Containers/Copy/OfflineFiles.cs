using Slipway.Kernel.Mounts;

namespace Slipway.Engine.Containers.Copy;

/// <summary>
/// The root file system of a container that does not run, mounted for as long as somebody copies. All who copy at the same time share one
/// mount, because two over one upper directory would be undefined (overlayfs.rst, "Sharing and copying layers"); it comes with the container's
/// lock, so that nobody starts or removes the container meanwhile.
/// </summary>
internal sealed class OfflineFiles
{
    private readonly Lock _gate = new();
    private Task<LockedView?>? _opening;
    private int _users;

    /// <param name="open">Takes the lock and mounts; null where the container turned out to run.</param>
    /// <returns>The view, to be given back with <see cref="ReleaseAsync"/>; null where the container runs.</returns>
    public async Task<NamespaceView?> ShareAsync(Func<Task<LockedView?>> open, CancellationToken cancellationToken)
    {
        Task<LockedView?> opening;
        lock (_gate)
        {
            _users++;
            opening = _opening ??= open();
        }

        try
        {
            if (await opening.WaitAsync(cancellationToken) is { } opened)
            {
                return opened.View;
            }
        }
        catch
        {
            await ReleaseAsync();
            throw;
        }

        await ReleaseAsync();
        return null;
    }

    /// <summary>The last one unmounts and lets go of the container.</summary>
    public async Task ReleaseAsync()
    {
        Task<LockedView?>? last;
        lock (_gate)
        {
            if (--_users > 0)
            {
                return;
            }

            (last, _opening) = (_opening, null);
        }

        await ((Task)last!).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
        if (last.IsCompletedSuccessfully && await last is { } opened)
        {
            await opened.Close();
        }
    }

    /// <param name="Close">Unmounts, and lets go of the container's lock.</param>
    internal sealed record LockedView(NamespaceView View, Func<Task> Close);
}
