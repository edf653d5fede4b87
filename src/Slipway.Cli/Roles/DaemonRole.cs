using System.Globalization;
using System.Runtime.InteropServices;
using Slipway.Cli.Options;
using Slipway.Engine;
using Slipway.Server;
using Slipway.Server.Transport;
using Slipway.Storage;

namespace Slipway.Cli.Roles;

/// <summary>The engine and its API server in one process: the composition root.</summary>
internal static class DaemonRole
{
    /// <summary>Where certificates are looked for unless they are named.</summary>
    private const string TlsFolder = "/etc/slipway";

    public static async Task<int> RunAsync(DaemonConfiguration configuration, bool cleanUp, CancellationToken cancellationToken)
    {
        if (!Environment.IsPrivilegedProcess)
        {
            throw new CommandException("the engine needs to be started as root", 1);
        }

        using PidFile? pidFile = configuration.PidFile is { } path ? PidFile.Claim(path) : null;
        using CancellationTokenSource stopping = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using PosixSignalRegistration terminate = StopOn(PosixSignal.SIGTERM, stopping);
        using PosixSignalRegistration interrupt = StopOn(PosixSignal.SIGINT, stopping);
        try
        {
            DaemonLog log = new(configuration.Debug == true);
            SlipwayEngine engine = await SlipwayEngine.StartAsync(EngineOptions(configuration), TimeProvider.System, log, stopping.Token).ConfigureAwait(false);
            if (cleanUp)
            {
                await engine.CleanUpAsync(CancellationToken.None).ConfigureAwait(false);
                return 0;
            }

            await using (engine.ConfigureAwait(false))
            {
                Task idle = IdleMemory.WatchAsync(TimeProvider.System, stopping.Token);
                await ServerHost.RunAsync(engine, ServerOptions(configuration, log), stopping.Token).ConfigureAwait(false);
                await idle.ConfigureAwait(false);
            }

            return 0;
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            return 0;
        }
        catch (Exception exception) when (exception is EngineException or StorageException)
        {
            throw new CommandException($"failed to start the engine: {exception.Message}", 1);
        }
    }

    private static PosixSignalRegistration StopOn(PosixSignal signal, CancellationTokenSource stopping) => PosixSignalRegistration.Create(signal, context =>
    {
        context.Cancel = true;
        stopping.Cancel();
    });

    private static EngineOptions EngineOptions(DaemonConfiguration configuration)
    {
        EngineOptions options = new()
        {
            DataRoot = Path.GetFullPath(configuration.DataRoot ?? Engine.EngineOptions.DefaultDataRoot),
            ExecRoot = Path.GetFullPath(configuration.ExecRoot ?? Engine.EngineOptions.DefaultExecRoot),
            Bridge = configuration.Bridge ?? Engine.EngineOptions.DefaultBridge,
            BridgeAddress = configuration.BridgeAddress,
            CgroupParent = configuration.CgroupParent,
            Labels = configuration.Labels ?? [],
            Init = configuration.Init ?? false,
            DiskBudget = configuration.DiskBudget is { } budget ? Quantities.Bytes(budget) : null,
        };
        foreach ((string name, string value) in configuration.LogOptions ?? [])
        {
            options = name switch
            {
                "max-size" => options with { LogMaxSize = Quantities.Bytes(value) },
                "max-file" when int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int files) && files > 0 => options with { LogMaxFiles = files },
                _ => throw new CommandException($"unknown log opt '{name}' for json-file log driver", 1),
            };
        }

        return RegistryDirectives.Apply(configuration, options);
    }

    private static ServerOptions ServerOptions(DaemonConfiguration configuration, DaemonLog log)
    {
        ServerOptions options = new() { Logging = log, Listening = () => log.Started(configuration) };
        bool verify = configuration.TlsVerify ?? false;
        ServerTls? tls = verify || configuration.Tls == true
            ? new ServerTls(configuration.TlsCertificate ?? $"{TlsFolder}/cert.pem", configuration.TlsKey ?? $"{TlsFolder}/key.pem", verify ? configuration.TlsAuthority ?? $"{TlsFolder}/ca.pem" : null)
            : null;
        return options with { Tls = tls, Hosts = configuration.Hosts ?? options.Hosts, Groups = configuration.Group is { } group ? [group] : options.Groups };
    }
}
