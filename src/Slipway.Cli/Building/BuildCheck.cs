using Slipway.Build.Checks;
using Slipway.Build.Context;

namespace Slipway.Cli.Building;

/// <summary><c>slipway build --check</c>: what Docker's rules say about a Dockerfile. Needs no engine.</summary>
internal static class BuildCheck
{
    private const string BuildArgument = "build-arg:";

    /// <returns>The exit code: 1 where something was found.</returns>
    /// <exception cref="CommandException">The Dockerfile is not on this side.</exception>
    public static int Run(BuildInputs inputs, TextWriter output)
    {
        string path = inputs.DockerfilePath ?? throw new CommandException("--check looks at Dockerfiles in a folder of this machine", 1);
        CheckReport report = DockerfileChecker.Check(Path.GetFileName(path), File.ReadAllText(path), new CheckRequest
        {
            Arguments = inputs.Request.FrontendAttributes.Where(attribute => attribute.Key.StartsWith(BuildArgument, StringComparison.Ordinal))
                .ToDictionary(attribute => attribute.Key[BuildArgument.Length..], string? (attribute) => attribute.Value),
            Ignore = IgnoreFileOf(inputs.SharedKey, path),
        });
        output.WriteLine(report.Error is not null ? report.Display().TrimEnd() : report.Warnings.Count switch
        {
            0 => "Check complete, no warnings found.",
            1 => $"Check complete, 1 warning has been found!\n{report.Display().TrimEnd()}",
            int count => $"Check complete, {count} warnings have been found!\n{report.Display().TrimEnd()}",
        });
        return report.Error is null && report.Warnings.Count == 0 ? 0 : 1;
    }

    /// <summary>The Dockerfile's own goes before that of the context.</summary>
    private static IgnoreFile? IgnoreFileOf(string context, string dockerfile)
    {
        string? path = new[] { dockerfile + ".dockerignore", Path.Combine(context, ".dockerignore") }.FirstOrDefault(File.Exists);
        return path is null ? null : IgnoreFile.Parse(File.ReadAllText(path));
    }
}
