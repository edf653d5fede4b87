namespace Slipway.Engine.Containers.Health;

/// <summary>The probing of one run of a container.</summary>
internal sealed class HealthWatch
{
    private readonly CancellationTokenSource _end;
    private readonly Task _probing;

    /// <param name="probe">Probes until its token is cancelled.</param>
    /// <param name="stopping">The engine ends.</param>
    public HealthWatch(Func<CancellationToken, Task> probe, CancellationToken stopping)
    {
        _end = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        _probing = ProbeAsync(probe);
    }

    /// <summary>Asks for the end of probing, and does not wait for it: a probe that runs is killed.</summary>
    public async Task EndAsync()
    {
        try
        {
            await _end.CancelAsync();
        }
        catch (ObjectDisposedException)
        {
            // It has ended by itself.
        }
    }

    /// <summary>Completes when no probe of this watch runs any more.</summary>
    public Task Ended => _probing;

    private async Task ProbeAsync(Func<CancellationToken, Task> probe)
    {
        await Task.Yield();
        try
        {
            await probe(_end.Token);
        }
        finally
        {
            _end.Dispose();
        }
    }
}
