using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance.Builds;

/// <summary>Base of tests of <c>docker build</c> by the classic API, with a folder for a context.</summary>
public abstract class BuildTest(SharedEngine engine) : EngineTest(engine)
{
    private string? _context;

    protected string Context => _context ??= Folder();

    /// <summary>Writes a file of the context.</summary>
    protected void Put(string path, string content)
    {
        var full = $"{Context}/{path}";
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        File.WriteAllText(full, content);
    }

    /// <summary>Builds the context with a Dockerfile.</summary>
    protected Task<CliResult> Build(string dockerfile, params string[] options)
    {
        Put("Dockerfile", dockerfile);
        return Programs.Run(Docker.Path, ["build", .. options, Context], environment: Variables);
    }

    protected Dictionary<string, string> Variables => new(Docker.Variables) { ["DOCKER_BUILDKIT"] = "0" };

    /// <summary>Builds, and returns what a command prints in the image.</summary>
    protected async Task<string> Shown(string dockerfile, string command, params string[] options)
    {
        var image = Image("shown" + Guid.NewGuid().ToString("N")[..6]);
        (await Build(dockerfile, ["-t", image, .. options])).Ok();
        return (await Docker.Run("run", "--rm", "--network", "none", image, "sh", "-c", command)).Ok().Output;
    }
}
