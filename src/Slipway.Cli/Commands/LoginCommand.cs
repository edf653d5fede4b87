using System.CommandLine;
using Slipway.Api.Registries;
using Slipway.Cli.Credentials;
using Slipway.Cli.Terminal;
using Slipway.Client;
using Slipway.Kernel.Terminal;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway login</c> and <c>slipway logout</c>.</summary>
internal static class LoginCommand
{
    public static Command CreateLogin()
    {
        Option<string?> user = new("--username", "-u") { Description = "Username" };
        Option<string?> password = new("--password", "-p") { Description = "Password or Personal Access Token (PAT)" };
        Option<bool> fromInput = new("--password-stdin") { Description = "Take the Password or Personal Access Token (PAT) from stdin" };
        Argument<string?> server = new("SERVER") { Arity = ArgumentArity.ZeroOrOne };
        Command command = new("login", "Authenticate to a registry") { user, password, fromInput, server };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            string registry = RegistryKey.OfServer(result.GetValue(server));
            CredentialFile file = CredentialFile.Open();
            AuthConfig auth = await ChooseAsync(file, registry, result.GetValue(user), result.GetValue(password), result.GetValue(fromInput), cancellationToken).ConfigureAwait(false);
            await EngineStarter.EnsureRunningAsync(client, cancellationToken).ConfigureAwait(false);
            LoginAnswer answer = await client.LoginAsync(auth, cancellationToken).ConfigureAwait(false);
            if (answer.IdentityToken.Length > 0)
            {
                auth = new AuthConfig { Username = auth.Username, IdentityToken = answer.IdentityToken, ServerAddress = registry };
            }

            await file.StoreAsync(registry, auth, cancellationToken).ConfigureAwait(false);
            if (file.HelperOf(registry) is null)
            {
                await Console.Error.WriteLineAsync(
                    $"\nWARNING! Your credentials are stored unencrypted in '{file.Path}'.\nConfigure a credential helper to remove this warning. See\nhttps://docs.docker.com/go/credential-store/\n").ConfigureAwait(false);
            }

            Console.WriteLine(answer.Status);
            return 0;
        });
        return command;
    }

    public static Command CreateLogout()
    {
        Argument<string?> server = new("SERVER") { Arity = ArgumentArity.ZeroOrOne };
        Command command = new("logout", "Log out from a registry") { server };
        command.SetAction(async (result, cancellationToken) =>
        {
            string registry = RegistryKey.OfServer(result.GetValue(server));
            try
            {
                Console.WriteLine($"Removing login credentials for {registry}");
                await CredentialFile.Open().EraseAsync(registry, cancellationToken).ConfigureAwait(false);
                return 0;
            }
            catch (Exception exception) when (exception is CommandException or IOException or UnauthorizedAccessException)
            {
                await Console.Error.WriteLineAsync(exception.Message).ConfigureAwait(false);
                return 1;
            }
        });
        return command;
    }

    /// <summary>What flags and input say; else what is kept for the registry; else what the user types.</summary>
    private static async Task<AuthConfig> ChooseAsync(
        CredentialFile file, string registry, string? user, string? password, bool fromInput, CancellationToken cancellationToken)
    {
        if (fromInput)
        {
            if (string.IsNullOrEmpty(user))
            {
                throw new CommandException("the --password-stdin option requires --username to be set", 1);
            }

            if (password is not null)
            {
                throw new CommandException("conflicting options: cannot specify both --password and --password-stdin", 1);
            }

            password = (await Console.In.ReadToEndAsync(cancellationToken).ConfigureAwait(false)).TrimEnd('\n').TrimEnd('\r');
        }
        else if (password is not null)
        {
            await Console.Error.WriteLineAsync("WARNING! Using --password via the CLI is insecure. Use --password-stdin.").ConfigureAwait(false);
        }

        if (user is null && password is null && await file.GetAsync(registry, cancellationToken).ConfigureAwait(false) is { } kept)
        {
            await Console.Error.WriteLineAsync($"Authenticating with existing credentials... [Username: {kept.Username}]").ConfigureAwait(false);
            return kept;
        }

        if ((string.IsNullOrEmpty(user) || string.IsNullOrEmpty(password)) && !TerminalMode.IsTerminal(0))
        {
            throw new CommandException("Error: Cannot perform an interactive login from a non TTY device", 1);
        }

        user = string.IsNullOrEmpty(user) ? Prompt.Text("Username: ") : user;
        password = string.IsNullOrEmpty(password) ? Prompt.Secret("Password: ") : password;
        return user.Length == 0 ? throw new CommandException("Error: Non-null Username Required", 1)
            : password.Length == 0 ? throw new CommandException("Error: Password Required", 1)
            : new AuthConfig { Username = user, Password = password, ServerAddress = registry };
    }
}
