using System.CommandLine;
using Slipway.Cli.Options;
using Slipway.Cli.Roles;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway daemon</c>: dockerd's flag names.</summary>
internal static class DaemonCommand
{
    public static Command Create()
    {
        Option<string?> configFile = new("--config-file") { Description = $"Daemon configuration file (default \"{DaemonConfiguration.DefaultFile}\")" };
        Option<string?> dataRoot = new("--data-root") { Description = "Root directory of persistent state" };
        Option<string?> execRoot = new("--exec-root") { Description = "Root directory for execution state files" };
        Option<string?> pidFile = new("--pidfile", "-p") { Description = "Path to use for daemon PID file" };
        Option<string?> group = new("--group", "-G") { Description = "Group for the unix socket" };
        Option<string?> bridge = new("--bridge", "-b") { Description = "Bridge of the default network; 'none' for no default network" };
        Option<string?> bip = new("--bip") { Description = "IPv4 address (CIDR) for the default bridge" };
        Option<string?> cgroupParent = new("--cgroup-parent") { Description = "Set parent cgroup for all containers" };
        Option<string[]> labels = new("--label") { Description = "Set key=value labels to the daemon" };
        Option<string[]> logOptions = new("--log-opt") { Description = "Default log driver options for containers" };
        Option<string[]> mirrors = new("--registry-mirror") { Description = "Preferred registry mirror" };
        Option<string[]> insecure = new("--insecure-registry") { Description = "Enable insecure registry communication" };
        Option<int?> downloads = new("--max-concurrent-downloads") { Description = "Set the max concurrent downloads (default 3)" };
        Option<int?> uploads = new("--max-concurrent-uploads") { Description = "Set the max concurrent uploads (default 5)" };
        Option<int?> attempts = new("--max-download-attempts") { Description = "Set the max download attempts for each pull (default 5)" };
        Option<string?> httpProxy = new("--http-proxy") { Description = "HTTP proxy URL to use for outgoing traffic" };
        Option<string?> httpsProxy = new("--https-proxy") { Description = "HTTPS proxy URL to use for outgoing traffic" };
        Option<string?> noProxy = new("--no-proxy") { Description = "Comma-separated list of hosts or IP addresses for which the proxy is skipped" };
        Option<string?> diskBudget = new("--disk-budget") { Description = "Remove unused images, the longest unused first, when the data takes more than this (e.g. 20GB)" };
        Option<bool> tls = new("--tls") { Description = "Use TLS; implied by --tlsverify" };
        Option<bool> tlsVerify = new("--tlsverify") { Description = "Use TLS and verify the remote" };
        Option<string?> tlsAuthority = new("--tlscacert") { Description = "Trust certs signed only by this CA (default \"/etc/slipway/ca.pem\")" };
        Option<string?> tlsCertificate = new("--tlscert") { Description = "Path to TLS certificate file (default \"/etc/slipway/cert.pem\")" };
        Option<string?> tlsKey = new("--tlskey") { Description = "Path to TLS key file (default \"/etc/slipway/key.pem\")" };
        Option<string?> logDriver = new("--log-driver") { Description = "Default driver for container logs (default \"json-file\")" };
        Option<string?> logLevel = new("--log-level", "-l") { Description = "Set the logging level (\"debug\"|\"info\"|\"warn\"|\"error\")" };
        Option<string?> usernsRemap = new("--userns-remap") { Description = "User/Group setting for user namespaces" };
        Option<string?> usernsAccounts = new("--userns-accounts") { Description = "Folder of the passwd, group, subuid and subgid files for --userns-remap (default \"/etc\")" };
        Option<string[]> authorizationPlugins = new("--authorization-plugin") { Description = "Authorization plugins to load" };
        Option<string[]> runtimes = new("--add-runtime") { Description = "Register an additional OCI compatible runtime (NAME=PATH)" };
        Option<string?> defaultRuntime = new("--default-runtime") { Description = "Default OCI runtime for containers (default \"slipway\")" };
        Option<string[]> cdiDirectories = new("--cdi-spec-dir") { Description = "CDI specification directories to use" };
        Option<bool> init = new("--init") { Description = "Run an init in the container to forward signals and reap processes" };
        Option<bool> debug = new("--debug", "-D") { Description = "Enable debug mode" };
        Option<bool> cleanUp = new("--cleanup") { Description = "Stop all containers, remove what the engine made in the kernel, and end" };
        Command command = new("daemon", "Run the engine")
        {
            configFile, dataRoot, execRoot, pidFile, group, bridge, bip, cgroupParent, labels, logOptions,
            mirrors, insecure, downloads, uploads, attempts, httpProxy, httpsProxy, noProxy, diskBudget, logDriver, logLevel, usernsRemap, usernsAccounts, runtimes, defaultRuntime, cdiDirectories, init, tls, tlsVerify, tlsAuthority, tlsCertificate, tlsKey, authorizationPlugins, debug, cleanUp,
        };
        command.SetAction(async (result, cancellationToken) =>
        {
            try
            {
                string file = result.GetValue(configFile) ?? DaemonConfiguration.DefaultFile;
                DaemonConfiguration flags = new()
                {
                    DataRoot = result.GetValue(dataRoot),
                    ExecRoot = result.GetValue(execRoot),
                    Hosts = result.GetValue(Connection.Host) is { Length: > 0 } hosts ? [.. hosts] : null,
                    Group = result.GetValue(group),
                    PidFile = result.GetValue(pidFile),
                    Bridge = result.GetValue(bridge),
                    BridgeAddress = result.GetValue(bip),
                    CgroupParent = result.GetValue(cgroupParent),
                    Labels = result.GetValue(labels) is { Length: > 0 } values ? [.. values] : null,
                    LogOptions = result.GetValue(logOptions) is { Length: > 0 } options ? KeyValues.Pairs(options) : null,
                    RegistryMirrors = result.GetValue(mirrors) is { Length: > 0 } addresses ? [.. addresses] : null,
                    InsecureRegistries = result.GetValue(insecure) is { Length: > 0 } registries ? [.. registries] : null,
                    MaxConcurrentDownloads = result.GetValue(downloads),
                    MaxConcurrentUploads = result.GetValue(uploads),
                    MaxDownloadAttempts = result.GetValue(attempts),
                    Proxies = (result.GetValue(httpProxy), result.GetValue(httpsProxy), result.GetValue(noProxy)) is not (null, null, null) and var (http, https, exceptions)
                        ? new ProxyDirectives { Http = http, Https = https, Exceptions = exceptions }
                        : null,
                    DiskBudget = result.GetValue(diskBudget),
                    Tls = result.GetValue(tls) ? true : null,
                    TlsVerify = result.GetValue(tlsVerify) ? true : null,
                    TlsAuthority = result.GetValue(tlsAuthority),
                    TlsCertificate = result.GetValue(tlsCertificate),
                    TlsKey = result.GetValue(tlsKey),
                    AuthorizationPlugins = result.GetValue(authorizationPlugins) is { Length: > 0 } plugins ? [.. plugins] : null,
                    LogDriver = result.GetValue(logDriver),
                    LogLevel = result.GetValue(logLevel),
                    UsernsRemap = result.GetValue(usernsRemap),
                    UsernsAccounts = result.GetValue(usernsAccounts),
                    Runtimes = result.GetValue(runtimes) is { Length: > 0 } added ? RuntimeDirectives.Parse(added) : null,
                    CdiSpecDirectories = result.GetValue(cdiDirectories) is { Length: > 0 } directories ? [.. directories] : null,
                    DefaultRuntime = result.GetValue(defaultRuntime),
                    Init = result.GetValue(init) ? true : null,
                    Debug = result.GetValue(debug) ? true : null,
                };
                DaemonConfiguration Configuration() => flags.Over(DaemonConfiguration.Read(file, required: result.GetValue(configFile) is not null), file);
                return await DaemonRole.RunAsync(Configuration(), Configuration, result.GetValue(cleanUp), cancellationToken).ConfigureAwait(false);
            }
            catch (CommandException exception)
            {
                await Console.Error.WriteLineAsync(exception.Message).ConfigureAwait(false);
                return exception.ExitCode;
            }
        });
        return command;
    }
}
