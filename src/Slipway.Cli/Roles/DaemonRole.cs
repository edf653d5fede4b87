using System.Globalization;
using System.Runtime.InteropServices;
using Slipway.Cli.Options;
using Slipway.Engine;
using Slipway.Engine.Plugins;
using Slipway.Server;
using Slipway.Server.Authorization.Plugins;
using Slipway.Server.Transport;
using Slipway.Storage;

namespace Slipway.Cli.Roles;

/// <summary>The engine and its API server in one process: the composition root.</summary>
internal static class DaemonRole
{
    /// <summary>Where certificates are looked for unless they are named.</summary>
    private const string TlsFolder = "/etc/slipway";

    /// <param name="reread">Reads flags and configuration file again, for SIGHUP.</param>
    public static async Task<int> RunAsync(DaemonConfiguration configuration, Func<DaemonConfiguration> reread, bool cleanUp, CancellationToken cancellationToken)
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
            DaemonLog log = Log(configuration);
            AuthorizationPlugins plugins = new(new PluginDirectory());
            plugins.Replace(configuration.AuthorizationPlugins ?? []);
            await plugins.ActivateAsync(stopping.Token).ConfigureAwait(false);
            ServerOptions(configuration, log).Validate();
            WarnOfOpenAddresses(configuration, log);
            SlipwayEngine engine = await SlipwayEngine.StartAsync(EngineOptions(configuration), TimeProvider.System, log, stopping.Token).ConfigureAwait(false);
            if (cleanUp)
            {
                await engine.CleanUpAsync(CancellationToken.None).ConfigureAwait(false);
                return 0;
            }

            await using (engine.ConfigureAwait(false))
            {
                using PosixSignalRegistration hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, context =>
                {
                    context.Cancel = true;
                    Reload(engine, plugins, reread, log);
                });
                Task idle = IdleMemory.WatchAsync(TimeProvider.System, stopping.Token);
                await ServerHost.RunAsync(engine, ServerOptions(configuration, log) with { Plugins = plugins }, stopping.Token).ConfigureAwait(false);
                await idle.ConfigureAwait(false);
            }

            return 0;
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            return 0;
        }
        catch (Exception exception) when (exception is EngineException or StorageException or IOException or UnauthorizedAccessException)
        {
            throw new CommandException($"failed to start the engine: {exception.Message}", 1);
        }
    }

    /// <summary>Looks at all that can be known to be wrong without starting anything.</summary>
    /// <exception cref="CommandException">The first that is.</exception>
    public static void Validate(DaemonConfiguration configuration)
    {
        try
        {
            EngineOptions(configuration);
            ServerOptions(configuration, Log(configuration)).Validate();
        }
        catch (EngineException exception)
        {
            throw new CommandException($"unable to configure the Slipway engine: {exception.Message}", 1);
        }
    }

    /// <summary>
    /// By TCP without TLS the loopback interface alone is listened on, and that is told. dockerd warns of any address in these words, and starts after a delay; what it
    /// has the delay for, other addresses, is refused here (<see cref="ListenAddress"/>).
    /// </summary>
    private static void WarnOfOpenAddresses(DaemonConfiguration configuration, DaemonLog log)
    {
        foreach (string host in (configuration.Hosts ?? []).Where(host => host.StartsWith("tcp://", StringComparison.Ordinal) && configuration is not ({ Tls: true } or { TlsVerify: true })))
        {
            log.Write(EngineLogLevel.Warning, $"{host}: Binding to an IP address, even on localhost, can also give access to scripts run in a browser. Use TLS (--tlsverify) or a unix socket");
        }
    }

    private static DaemonLog Log(DaemonConfiguration configuration) => new(LogLevel(configuration), configuration.LogFormat switch
    {
        null or "" or "text" => false,
        "json" => true,
        var other => throw new CommandException($"invalid log format: {other}", 1),
    });

    private static PosixSignalRegistration StopOn(PosixSignal signal, CancellationTokenSource stopping) => PosixSignalRegistration.Create(signal, context =>
    {
        context.Cancel = true;
        stopping.Cancel();
    });

    /// <summary>A configuration that cannot be meant changes nothing; the daemon goes on with the one it has.</summary>
    private static void Reload(SlipwayEngine engine, AuthorizationPlugins plugins, Func<DaemonConfiguration> reread, DaemonLog log)
    {
        log.Write(EngineLogLevel.Information, "Got signal to reload configuration");
        try
        {
            DaemonConfiguration configuration = reread();
            EngineLogLevel level = LogLevel(configuration);
            EngineOptions options = EngineOptions(configuration);
            plugins.Replace(configuration.AuthorizationPlugins ?? []);
            engine.Reload(options);
            log.Lowest = level;
        }
        catch (Exception exception) when (exception is CommandException or EngineException or FormatException)
        {
            log.Write(EngineLogLevel.Error, $"Error reconfiguring the daemon: {exception.Message}");
        }
    }

    private static EngineLogLevel LogLevel(DaemonConfiguration configuration) => configuration.Debug == true ? EngineLogLevel.Debug : configuration.LogLevel switch
    {
        "debug" or "trace" => EngineLogLevel.Debug,
        null or "" or "info" => EngineLogLevel.Information,
        "warn" or "warning" => EngineLogLevel.Warning,
        "error" or "fatal" or "panic" => EngineLogLevel.Error,
        var other => throw new CommandException($"invalid logging level: {other}", 1),
    };

    private static Dictionary<string, RuntimeDefinition> Runtimes(DaemonConfiguration configuration)
    {
        Dictionary<string, RuntimeDefinition> runtimes = [];
        foreach ((string name, RuntimeDirectives runtime) in configuration.Runtimes ?? [])
        {
            runtimes[name] = Engine.EngineOptions.IsOwnRuntime(name)
                ? throw new CommandException($"runtime name '{name}' is reserved", 1)
                : new RuntimeDefinition(runtime.Path ?? throw new CommandException($"runtimes: {name}: a path is needed", 1), runtime.Arguments ?? []);
        }

        return configuration.DefaultRuntime is not { Length: > 0 } preferred || Engine.EngineOptions.IsOwnRuntime(preferred) || runtimes.ContainsKey(preferred)
            ? runtimes
            : throw new CommandException($"specified default runtime '{preferred}' does not exist", 1);
    }

    /// <summary>Shorter than the pauses after which they are made, they would be made in vain.</summary>
    private static TimeSpan SpareRetention(string text) => Quantities.Duration(text) is var retention && retention >= TimeSpan.FromSeconds(1) && retention <= TimeSpan.FromDays(1)
        ? retention
        : throw new CommandException($"spare-retention: {text}: it must be between 1s and 24h", 1);

    private static List<string> CdiDirectories(DaemonConfiguration configuration)
    {
        List<string> directories = configuration.CdiSpecDirectories ?? [.. new EngineOptions().CdiSpecDirectories];
        return configuration.Features?.GetValueOrDefault("cdi", true) == false ? []
            : directories.Find(directory => !Path.IsPathFullyQualified(directory)) is { } relative ? throw new CommandException($"cdi-spec-dirs: {relative}: it must be absolute", 1)
            : directories;
    }

    private static EngineOptions EngineOptions(DaemonConfiguration configuration)
    {
        EngineOptions options = new()
        {
            DataRoot = Path.GetFullPath(configuration.DataRoot ?? Engine.EngineOptions.DefaultDataRoot),
            ExecRoot = Path.GetFullPath(configuration.ExecRoot ?? Engine.EngineOptions.DefaultExecRoot),
            Bridge = configuration.Bridge ?? Engine.EngineOptions.DefaultBridge,
            BridgeAddress = configuration.BridgeAddress,
            CgroupParent = configuration.CgroupParent,
            UsernsRemap = configuration.UsernsRemap ?? "",
            UsernsAccounts = configuration.UsernsAccounts ?? "/etc",
            Labels = configuration.Labels ?? [],
            AuthorizationPlugins = configuration.AuthorizationPlugins ?? [],
            ShutdownTimeout = configuration.ShutdownTimeout ?? Engine.EngineOptions.DefaultShutdownTimeout,
            Features = configuration.Features ?? [],
            Init = configuration.Init ?? false,
            Experimental = configuration.Experimental ?? false,
            Debug = LogLevel(configuration) == EngineLogLevel.Debug,
            Runtimes = Runtimes(configuration),
            CdiSpecDirectories = CdiDirectories(configuration),
            LogDriver = configuration.LogDriver ?? "json-file",
            SecretsKeyFile = configuration.SecretsKeyFile is { } key ? Path.GetFullPath(key) : Engine.EngineOptions.DefaultSecretsKeyFile,
            BuildCacheLimit = BuilderDirectives.CacheLimit(configuration.Builder),
            DiskBudget = configuration.DiskBudget is { } budget ? Quantities.Bytes(budget) : null,
            SpareRetention = configuration.SpareRetention is { } retention ? SpareRetention(retention) : new EngineOptions().SpareRetention,
        };
        if (options.LogDriver is not "json-file")
        {
            options = options with { LogDriverOptions = configuration.LogOptions ?? [] };
        }

        foreach ((string name, string value) in options.LogDriver is "json-file" ? configuration.LogOptions ?? [] : [])
        {
            options = name switch
            {
                "max-size" => options with { LogMaxSize = Quantities.Bytes(value) },
                "max-file" when int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int files) && files > 0 => options with { LogMaxFiles = files },
                "compress" or "mode" or "max-buffer-size" or "labels" or "labels-regex" or "env" or "env-regex" or "tag" =>
                    options with { LogDriverOptions = new Dictionary<string, string>(options.LogDriverOptions) { [name] = value } },
                _ => throw new CommandException($"unknown log opt '{name}' for json-file log driver", 1),
            };
        }

        return RegistryDirectives.Apply(configuration, ClusterDirectives.Apply(configuration, NetworkDirectives.Apply(configuration, ContainerDirectives.Apply(configuration, options))));
    }

    private static ServerOptions ServerOptions(DaemonConfiguration configuration, DaemonLog log)
    {
        ServerOptions options = new()
        {
            Logging = log,
            Listening = () => log.Started(configuration),
            MetricsAddress = string.IsNullOrEmpty(configuration.MetricsAddress) ? null : configuration.MetricsAddress,
        };
        bool verify = configuration.TlsVerify ?? false;
        ServerTls? tls = verify || configuration.Tls == true
            ? new ServerTls(configuration.TlsCertificate ?? $"{TlsFolder}/cert.pem", configuration.TlsKey ?? $"{TlsFolder}/key.pem", verify ? configuration.TlsAuthority ?? $"{TlsFolder}/ca.pem" : null)
            : null;
        AuditDirectives? audit = configuration.Audit ?? (configuration.Sockets is { Count: > 0 } ? new AuditDirectives() : null);
        options = options with { Sockets = [.. (configuration.Sockets ?? []).Select(socket => socket.ToSocket())], Audit = audit?.ToOptions() };
        return options with { Tls = tls, Hosts = configuration.Hosts ?? options.Hosts, Groups = configuration.Group is { } group ? [group] : options.Groups };
    }
}
