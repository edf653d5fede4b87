using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization;
using Slipway.Api.Registries;

namespace Slipway.Cli.Credentials;

/// <summary>
/// A program <c>docker-credential-NAME</c> that keeps credentials (docker-credential-helpers, README, "Development"): called with a verb,
/// it reads a server's address or a document from its input and answers with a document.
/// </summary>
internal sealed class CredentialHelper(string name)
{
    /// <summary>The user name under which helpers keep identity tokens.</summary>
    private const string TokenUser = "<token>";

    /// <summary>What helpers say, on standard output, where they have nothing; they end with 1 then.</summary>
    private const string NotFound = "credentials not found in native keychain";

    private string Program => $"docker-credential-{name}";

    /// <returns>Null where the helper has nothing for the server.</returns>
    /// <exception cref="CommandException">The helper is not there or failed.</exception>
    public async Task<AuthConfig?> GetAsync(string server, CancellationToken cancellationToken)
    {
        (int code, string output) = await RunAsync("get", server, cancellationToken).ConfigureAwait(false);
        if (code != 0)
        {
            return output == NotFound ? null : throw Failed("getting", output);
        }

        HelperDocument? found = JsonSerializer.Deserialize(output, CredentialJson.Default.HelperDocument);
        return found is null ? null
            : found.Username == TokenUser ? new AuthConfig { IdentityToken = found.Secret, ServerAddress = server }
            : new AuthConfig { Username = found.Username, Password = found.Secret, ServerAddress = server };
    }

    public async Task StoreAsync(string server, AuthConfig auth, CancellationToken cancellationToken)
    {
        HelperDocument document = string.IsNullOrEmpty(auth.IdentityToken)
            ? new HelperDocument(server, auth.Username, auth.Password)
            : new HelperDocument(server, TokenUser, auth.IdentityToken);
        (int code, string output) = await RunAsync("store", JsonSerializer.Serialize(document, CredentialJson.Default.HelperDocument), cancellationToken).ConfigureAwait(false);
        if (code != 0)
        {
            throw Failed("storing", output);
        }
    }

    public async Task EraseAsync(string server, CancellationToken cancellationToken)
    {
        (int code, string output) = await RunAsync("erase", server, cancellationToken).ConfigureAwait(false);
        if (code != 0 && output != NotFound)
        {
            throw Failed("erasing", output);
        }
    }

    private async Task<(int Code, string Output)> RunAsync(string verb, string input, CancellationToken cancellationToken)
    {
        try
        {
            using Process helper = Process.Start(new ProcessStartInfo(Program, [verb]) { RedirectStandardInput = true, RedirectStandardOutput = true })!;
            Task<string> output = helper.StandardOutput.ReadToEndAsync(cancellationToken);
            try
            {
                await helper.StandardInput.WriteAsync(input.AsMemory(), cancellationToken).ConfigureAwait(false);
                helper.StandardInput.Close();
            }
            catch (IOException)
            {
                // A helper that ends without reading tells by its code what it thinks.
            }

            await helper.WaitForExitAsync(cancellationToken).ConfigureAwait(false);
            return (helper.ExitCode, (await output.ConfigureAwait(false)).Trim());
        }
        catch (System.ComponentModel.Win32Exception exception)
        {
            throw new CommandException($"error getting credentials - err: exec: \"{Program}\": {exception.Message}", 1);
        }
    }

    private CommandException Failed(string what, string output) => new($"error {what} credentials - err: {Program} failed, out: `{output}`", 1);
}

/// <summary>What helpers read and write.</summary>
internal sealed record HelperDocument([property: JsonPropertyName("ServerURL")] string? Server, string? Username, string? Secret)
{
    public override string ToString() => $"credentials for {Server}";
}

[JsonSerializable(typeof(HelperDocument))]
internal sealed partial class CredentialJson : JsonSerializerContext;
