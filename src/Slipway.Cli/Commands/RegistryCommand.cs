using System.CommandLine;
using Slipway.Cli.Roles;
using Slipway.Engine;
using Slipway.Registry.Server;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway registry</c>: a registry server in this executable.</summary>
internal static class RegistryCommand
{
    private static readonly Option<string?> s_config = new("--config") { Description = "Configuration file (JSON)" };
    private static readonly Option<string?> s_root = new("--root") { Description = "Directory that holds the registry" };

    public static Command Create() => new("registry", "Run a registry") { CreateServe(), CreateCollect() };

    private static Command CreateServe()
    {
        Option<string[]> listen = new("--listen") { Description = "Address to listen on (IP:PORT or :PORT); may be repeated" };
        Option<bool> readOnly = new("--read-only") { Description = "Refuse pushes and deletions" };
        Option<string?> certificate = new("--tls-cert") { Description = "PEM file with the certificate; with --tls-key" };
        Option<string?> key = new("--tls-key") { Description = "PEM file with the private key" };
        Option<string?> htpasswd = new("--htpasswd") { Description = "File of users with bcrypt hashes (htpasswd -B)" };
        Command command = new("serve", "Serve a registry until interrupted") { s_config, s_root, listen, readOnly, certificate, key, htpasswd };
        command.SetRegistryAction(async (result, cancellationToken) =>
        {
            RegistryServerConfiguration configuration = Read(result);
            if (result.GetValue(listen) is { Length: > 0 } addresses)
            {
                configuration = configuration with { Listen = addresses };
            }

            if (result.GetValue(certificate) is { } file)
            {
                configuration = configuration with
                {
                    Tls = new TlsConfiguration { Certificate = file, Key = result.GetValue(key) ?? throw new RegistryConfigurationException("--tls-cert without --tls-key") },
                };
            }

            if (result.GetValue(htpasswd) is { } users)
            {
                configuration = configuration with { Auth = (configuration.Auth ?? new AuthConfiguration()) with { Htpasswd = users } };
            }

            await RegistryRole.RunAsync(configuration with { ReadOnly = configuration.ReadOnly || result.GetValue(readOnly) }, cancellationToken).ConfigureAwait(false);
        });
        return command;
    }

    private static Command CreateCollect()
    {
        Option<bool> untagged = new("--untagged") { Description = "Remove manifests that no tag leads to" };
        Command command = new("gc", "Collect the garbage of a registry that is not being served; one that is collects by itself, or at POST /-/gc")
        {
            s_config, s_root, untagged,
        };
        command.SetRegistryAction(async (result, cancellationToken) =>
        {
            RegistryServerConfiguration configuration = Read(result);
            configuration = configuration with { Collection = configuration.Collection with { Untagged = configuration.Collection.Untagged || result.GetValue(untagged) } };
            Console.WriteLine(await RegistryServer.CollectAsync(configuration, new RegistryEnvironment { Logging = new DaemonLog(EngineLogLevel.Information) }, cancellationToken).ConfigureAwait(false));
        });
        return command;
    }

    private static RegistryServerConfiguration Read(ParseResult result)
    {
        RegistryServerConfiguration configuration = result.GetValue(s_config) is { } file ? RegistryServerConfiguration.Read(file) : new RegistryServerConfiguration();
        return result.GetValue(s_root) is { } root ? configuration with { Root = Path.GetFullPath(root) } : configuration;
    }

    private static void SetRegistryAction(this Command command, Func<ParseResult, CancellationToken, Task> action) =>
        command.SetAction(async (result, cancellationToken) =>
        {
            try
            {
                await action(result, cancellationToken).ConfigureAwait(false);
                return 0;
            }
            catch (RegistryConfigurationException exception)
            {
                await Console.Error.WriteLineAsync($"slipway registry: {exception.Message}").ConfigureAwait(false);
                return 1;
            }
        });
}
