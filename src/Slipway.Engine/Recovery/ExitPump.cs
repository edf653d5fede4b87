using Slipway.Engine.Containers;
using Slipway.Engine.Exec;
using Slipway.Runtime.Supervision;

namespace Slipway.Engine.Recovery;

/// <summary>
/// Brings the exits the supervisor reports to where they belong, and lets the supervisor forget each once it is stored. The
/// containers are served side by side: one whose lock is held does not delay the exits of others.
/// </summary>
internal sealed class ExitPump(EngineServices services, ContainerService containers, ExecService execs)
{
    /// <summary>Runs until the supervisor is lost or the engine ends.</summary>
    public async Task RunAsync(ISupervisor supervisor, CancellationToken cancellationToken)
    {
        await foreach (ProcessExit exit in supervisor.ExitsAsync(cancellationToken))
        {
            _ = HandleAsync(supervisor, exit);
        }
    }

    private async Task HandleAsync(ISupervisor supervisor, ProcessExit exit)
    {
        try
        {
            if (services.Steps.Expects(exit.Id))
            {
                // Sent before anybody hears of the end: a shell of the same id may follow at once.
                Task acknowledged = supervisor.AcknowledgeExitAsync(exit.Id, CancellationToken.None);
                services.Steps.End(exit);
                await acknowledged;
            }
            else if (exit.ContainerId is null)
            {
                await containers.HandleExitAsync(exit, () => supervisor.AcknowledgeExitAsync(exit.Id, CancellationToken.None));
            }
            else
            {
                execs.HandleExit(exit);
                await supervisor.AcknowledgeExitAsync(exit.Id, CancellationToken.None);
            }
        }
        catch (SupervisorLostException)
        {
            // The exit is stored; a supervisor that is gone has nothing to forget.
        }
        catch (Exception exception)
        {
            // Not acknowledged: the next engine handles it again.
            services.Log.Write(EngineLogLevel.Error, $"recording the exit of {exit.Id} failed", exception);
        }
    }
}
