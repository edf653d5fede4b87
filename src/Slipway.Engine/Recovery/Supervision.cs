using Slipway.Engine.Containers;
using Slipway.Engine.Exec;
using Slipway.Runtime.Supervision;

namespace Slipway.Engine.Recovery;

/// <summary>Follows the supervisor as long as the engine lives: its exits, and its loss.</summary>
internal sealed class Supervision(EngineServices services, ContainerService containers, ExecService execs) : IAsyncDisposable
{
    private static readonly TimeSpan RetryPause = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource _stopping = new();
    private Task _following = Task.CompletedTask;

    /// <summary>Recovers, then follows in the background.</summary>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await new Recovery(services, containers).RunAsync(cancellationToken);
        _following = FollowAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _following.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stopping.Dispose();
    }

    private async Task FollowAsync()
    {
        ExitPump pump = new(services, containers, execs);
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                await pump.RunAsync(services.Supervisor.Current, _stopping.Token);
            }
            catch (SupervisorLostException)
            {
                // As when the sequence just ends.
            }
            catch (OperationCanceledException)
            {
                return;
            }

            if (!_stopping.IsCancellationRequested)
            {
                await ReplaceAsync();
            }
        }
    }

    /// <summary>
    /// The supervisor is gone: what it watched can no longer be watched and is ended, and a new one is started; then the restart policies
    /// bring back what they are to.
    /// </summary>
    private async Task ReplaceAsync()
    {
        services.Log.Write(EngineLogLevel.Error, "the supervisor is gone; its containers are ended, and a new one is started");
        ISupervisor lost = services.Supervisor.Current;
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                services.Supervisor.Replace(await services.ConnectSupervisorAsync(_stopping.Token));
                break;
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
            {
                services.Log.Write(EngineLogLevel.Error, "the supervisor cannot be started; trying again", exception);
                await Task.Delay(RetryPause, services.Time, _stopping.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        await lost.DisposeAsync();
        execs.EndAll(Recovery.LostExitCode);
        services.Steps.Lose();
        await new Recovery(services, containers).EndAllAsync();
    }
}
