using Slipway.Tests.Harness;

namespace Slipway.Tests.Differential;

/// <summary>One of the two engines, and how a case of the script runs against it.</summary>
/// <param name="docker">The client, pointed at the engine.</param>
/// <param name="folder">Where the cases have their folders; deleted with the side.</param>
/// <param name="dataRoot">The engine's data root, which some outputs name.</param>
/// <param name="buildx">The plugin, which is called by itself: a client that has it would send other commands through it, too.</param>
internal sealed class Side(Docker docker, string folder, string dataRoot, string buildx)
{
    /// <summary>The older of both engines' versions: what an answer holds depends on it.</summary>
    private const string ApiVersion = "1.45";

    private static readonly TimeSpan s_limit = Programs.Limit(20);

    public Docker Docker => docker;

    /// <summary>Runs a case and returns every command with its output and, unless it is 0, its exit code, normalised.</summary>
    public async Task<IReadOnlyList<string>> Run(Case @case)
    {
        var place = Directory.CreateDirectory(Path.Combine(folder, "case")).FullName;
        var environment = new Dictionary<string, string>(docker.Variables)
        {
            ["DOCKER_API_VERSION"] = ApiVersion,
            ["PATH"] = $"{Path.Combine(folder, "bin")}:{Environment.GetEnvironmentVariable("PATH")}",
            ["HOME"] = place,
            ["BUILT_WITH"] = buildx,
            ["BUILDX_CONFIG"] = Path.Combine(folder, "buildx"),
            ["BUILDX_GIT_INFO"] = "false",
            ["TZ"] = "UTC",
        };
        var normalisation = new Normalisation(place, dataRoot);
        var transcript = new List<string>();
        foreach (var command in @case.Commands)
        {
            transcript.Add($"$ {command}");
            transcript.AddRange(normalisation.Apply(await Run(command, place, environment)));
        }

        await CleanUp(place);
        return transcript;
    }

    /// <summary>The client by the name the script uses, and what tells of builds.</summary>
    public void LinkPrograms()
    {
        var bin = Directory.CreateDirectory(Path.Combine(folder, "bin")).FullName;
        var program = Docker.Path.Contains('/', StringComparison.Ordinal)
            ? Docker.Path
            : (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Select(directory => Path.Combine(directory, Docker.Path)).First(File.Exists);
        File.CreateSymbolicLink(Path.Combine(bin, "docker"), Path.GetFullPath(program));
        File.CreateSymbolicLink(Path.Combine(bin, "built"), Path.Combine(Script.Folder, "script", "built"));
    }

    private static async Task<string> Run(string command, string place, Dictionary<string, string> environment)
    {
        try
        {
            var result = await Programs.Run("sh", ["-c", $"cd '{place}'; {command}"], limit: s_limit, environment: environment);
            return $"{Complete(result.Output)}{Complete(result.Error)}{(result.ExitCode == 0 ? "" : $"(exit code {result.ExitCode})\n")}";
        }
        catch (TimeoutException)
        {
            return "(no end)\n";
        }
    }

    /// <summary>Ended by a newline, so that the next thing begins on a line of its own.</summary>
    private static string Complete(string text) => text.Length == 0 || text.EndsWith('\n') ? text : text + "\n";

    private async Task CleanUp(string place)
    {
        if ((await docker.Run("ps", "-aq")).Lines is { Length: > 0 } containers)
        {
            await docker.Run(["rm", "-f", "-v", .. containers]);
        }
        if ((await docker.Run("volume", "ls", "-q")).Lines is { Length: > 0 } volumes)
        {
            await docker.Run(["volume", "rm", "-f", .. volumes]);
        }
        if ((await docker.Run("network", "ls", "-q", "--filter", "type=custom")).Lines is { Length: > 0 } networks)
        {
            await docker.Run(["network", "rm", .. networks]);
        }
        if ((await docker.Run("images", "-q", "--filter", "reference=made*")).Lines is { Length: > 0 } images)
        {
            await docker.Run(["rmi", "-f", .. images]);
        }
        Directory.Delete(place, recursive: true);
    }
}
