using System.Runtime.InteropServices;
using Slipway.Engine;
using Slipway.Registry.Server;

namespace Slipway.Cli.Roles;

/// <summary>A registry server as a process: its log on standard error, its access log on standard output, an orderly end on signals.</summary>
internal static class RegistryRole
{
    public static async Task RunAsync(RegistryServerConfiguration configuration, CancellationToken cancellationToken)
    {
        using CancellationTokenSource stopping = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using PosixSignalRegistration terminate = StopOn(PosixSignal.SIGTERM, stopping);
        using PosixSignalRegistration interrupt = StopOn(PosixSignal.SIGINT, stopping);
        DaemonLog log = new(EngineLogLevel.Information);
        RegistryEnvironment environment = new()
        {
            Logging = log,
            AccessLog = Console.OpenStandardOutput(),
            Listening = endPoints => log.Write(EngineLogLevel.Information, $"registry listens on {string.Join(", ", endPoints)}"),
        };
        Task idle = IdleMemory.WatchAsync(TimeProvider.System, stopping.Token);
        try
        {
            await RegistryServer.RunAsync(configuration, environment, stopping.Token).ConfigureAwait(false);
        }
        finally
        {
            await stopping.CancelAsync().ConfigureAwait(false);
            await idle.ConfigureAwait(false);
        }
    }

    private static PosixSignalRegistration StopOn(PosixSignal signal, CancellationTokenSource stopping) => PosixSignalRegistration.Create(signal, context =>
    {
        context.Cancel = true;
        stopping.Cancel();
    });
}
