using System.CommandLine;
using Slipway.Api.Registries;
using Slipway.Cli.Credentials;
using Slipway.Cli.Output;
using Slipway.Oci;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway push</c>.</summary>
internal static class PushCommand
{
    public static Command Create()
    {
        Option<bool> allTags = new("--all-tags", "-a") { Description = "Push all tags of an image to the repository" };
        Option<bool> noTrust = new("--disable-content-trust") { Description = "Skip image signing", DefaultValueFactory = _ => true };
        Option<string?> platform = new("--platform") { Description = "Push a platform-specific manifest as a single-platform image to the registry (os[/arch[/variant]])" };
        Option<bool> quiet = new("--quiet", "-q") { Description = "Suppress verbose output" };
        Argument<string> image = new("NAME[:TAG]") { CompletionSources = { Completion.Images } };
        Command command = new("push", "Upload an image to a registry") { allTags, noTrust, platform, quiet, image };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            Reference name = ImageName.ParseTransferred(result.GetValue(image)!, result.GetValue(allTags), result.GetValue(quiet) ? TextWriter.Null : Console.Out);

            AuthConfig? auth = await CredentialFile.Open().GetAsync(RegistryKey.Of(name), cancellationToken).ConfigureAwait(false);
            await ProgressDisplay.ShowAsync(
                client.PushImageAsync(name.FamiliarName, name.Tag, PlatformDocument(result.GetValue(platform)), auth, cancellationToken),
                result.GetValue(quiet) ? TextWriter.Null : Console.Out).ConfigureAwait(false);
            if (result.GetValue(quiet))
            {
                Console.WriteLine(name);
            }

            return 0;
        });
        return command;
    }

    /// <summary>The API takes the platform of a push as a document.</summary>
    private static string? PlatformDocument(string? text)
    {
        try
        {
            return text is null ? null : System.Text.Json.JsonSerializer.Serialize(Platform.Parse(text), OciJson.Default.Platform);
        }
        catch (OciException exception)
        {
            throw new CommandException(exception.Message, 1);
        }
    }
}
