using System.Diagnostics;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance.Builds;

/// <summary>Base of tests of the unmodified docker-buildx against the engine, with a folder for a context.</summary>
public abstract class BuildxTest(SharedEngine engine) : EngineTest(engine)
{
    private string? _context;

    protected string Context => _context ??= Folder();

    /// <summary>Writes a file of the context.</summary>
    protected string Put(string path, string content)
    {
        var full = $"{Context}/{path}";
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        File.WriteAllText(full, content);
        return full;
    }

    protected static async Task<Dictionary<string, string>> Variables(Docker docker) =>
        new(docker.Variables) { ["DOCKER_CONFIG"] = await CliPlugins.Configuration("docker-buildx"), ["BUILDX_GIT_INFO"] = "false" };

    /// <summary>Runs <c>docker ARGUMENTS</c> with the plugin.</summary>
    protected async Task<CliResult> Buildx(params string[] arguments) => await Programs.Run(Docker.Path, arguments, environment: await Variables(Docker));

    protected async Task<Process> Begin(params string[] arguments) => Programs.Start(Docker.Path, arguments, await Variables(Docker));

    /// <summary>Builds the context with a Dockerfile.</summary>
    protected Task<CliResult> Build(string dockerfile, params string[] options)
    {
        Put("Dockerfile", dockerfile);
        return Buildx(["buildx", "build", "--progress", "plain", .. options, Context]);
    }

    /// <summary>What a command prints in an image.</summary>
    protected async Task<string> Shown(string image, string command) => (await Docker.Run("run", "--rm", "--network", "none", image, "sh", "-c", command)).Ok().Output;

    /// <summary>The vertices of a plain progress, in its order.</summary>
    protected static string[] Vertices(CliResult built) =>
        [.. built.Error.Split('\n').Where(line => line.StartsWith('#') && line.Contains(" [", StringComparison.Ordinal)).Select(line => line[(line.IndexOf(' ', StringComparison.Ordinal) + 1)..])];

    /// <summary>Whether the vertex of a name was found in the cache.</summary>
    protected static bool IsCached(CliResult built, string vertex)
    {
        var lines = built.Error.Split('\n');
        var first = Array.FindIndex(lines, line => line.EndsWith(vertex, StringComparison.Ordinal));
        Assert.True(first >= 0, $"no vertex {vertex}\n{built}");
        return lines.Contains($"{lines[first].Split(' ')[0]} CACHED");
    }
}
