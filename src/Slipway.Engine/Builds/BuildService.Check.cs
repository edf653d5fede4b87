using Slipway.Build.Checks;
using Slipway.Build.Context;
using Slipway.Build.Syntax;
using Slipway.Engine.Builds.Sources;
using Slipway.Oci;

namespace Slipway.Engine.Builds;

/// <summary>Build checks: before a build, and instead of one.</summary>
internal sealed partial class BuildService
{
    public async Task<CheckReport> CheckAsync(BuildRequest request, IBuildProgress progress, CancellationToken cancellationToken)
    {
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using BuildReport report = new(progress, services.Time, stop);
        await using BuildContexts contexts = new(services, request, report);
        (string text, string name) = await contexts.DockerfileAsync(stop.Token);
        return DockerfileChecker.Check(name, text, Checks(request, contexts.Ignored));
    }

    private CheckRequest Checks(BuildRequest request, IgnoreFile ignored) => new()
    {
        Arguments = request.Arguments,
        Ignore = ignored,
        // Only of an image that is here: nothing is pulled to be looked at.
        EnvironmentOf = image => request.NamedContexts.ContainsKey(image) || !Reference.TryParse(image, out _) ? null : services.Data.Images.Find(image)?.Config is { } config ? config.Config?.Env ?? [] : null,
    };

    /// <exception cref="DockerfileException">The Dockerfile says that warnings are errors.</exception>
    private static async Task WarnAsync(CheckReport checks, BuildReport report)
    {
        foreach (CheckWarning warning in checks.Warnings)
        {
            await report.WarnAsync(new BuildWarning(default, $"{warning.Rule.Name}: {warning.Detail}", checks.File, warning.Lines.First) { Detail = warning.Rule.Description, Url = warning.Rule.Url });
        }

        if (checks.IsError && checks.Warnings.Count > 0)
        {
            throw new DockerfileException(checks.Violations);
        }
    }
}
