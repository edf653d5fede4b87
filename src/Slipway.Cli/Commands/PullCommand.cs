using System.CommandLine;
using Slipway.Api.Registries;
using Slipway.Cli.Credentials;
using Slipway.Cli.Output;
using Slipway.Client;
using Slipway.Oci;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway pull</c>.</summary>
internal static class PullCommand
{
    public static Command Create()
    {
        Option<bool> allTags = new("--all-tags", "-a") { Description = "Download all tagged images in the repository" };
        Option<bool> noTrust = new("--disable-content-trust") { Description = "Skip image verification", DefaultValueFactory = _ => true };
        Option<string?> platform = new("--platform") { Description = "Set platform if server is multi-platform capable" };
        Option<bool> quiet = new("--quiet", "-q") { Description = "Suppress verbose output" };
        Argument<string> image = new("NAME[:TAG|@DIGEST]");
        Command command = new("pull", "Download an image from a registry") { allTags, noTrust, platform, quiet, image };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            Reference name = ImageName.ParseTransferred(result.GetValue(image)!, result.GetValue(allTags), result.GetValue(quiet) ? TextWriter.Null : Console.Out);

            await EngineStarter.EnsureRunningAsync(client, cancellationToken).ConfigureAwait(false);
            await PullAsync(client, name, result.GetValue(platform), result.GetValue(quiet) ? TextWriter.Null : Console.Out, cancellationToken).ConfigureAwait(false);
            Console.WriteLine(name);
            return 0;
        });
        return command;
    }

    /// <summary>Pulls with the credentials the user has for the registry.</summary>
    /// <param name="name">All tags where it has neither tag nor digest.</param>
    /// <exception cref="CommandException">The pull failed on the way.</exception>
    public static async Task PullAsync(EngineClient client, Reference name, string? platform, TextWriter progress, CancellationToken cancellationToken)
    {
        AuthConfig? auth = await CredentialFile.Open().GetAsync(RegistryKey.Of(name), cancellationToken).ConfigureAwait(false);
        await ProgressDisplay.ShowAsync(
            client.PullImageAsync(name.FamiliarName, name.Digest.IsNone ? name.Tag : name.Digest.ToString(), platform, auth, cancellationToken), progress).ConfigureAwait(false);
    }
}
