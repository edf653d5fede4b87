using System.Text.Json.Nodes;
using Slipway.Tests.Harness;
using Slipway.Tests.Harness.Registries;

namespace Slipway.Tests.Conformance.Registries;

/// <summary>Base of the tests that run against a registry: each kind of server gets a class of its own, with the same tests.</summary>
public abstract class RegistryTest(SharedEngine engine, RegistryServer registry) : EngineTest(engine)
{
    private readonly string _prefix = "r" + Guid.NewGuid().ToString("N")[..8];

    protected RegistryServer Registry => registry;

    protected RegistryHttp Http => registry.Http;

    /// <summary>A repository no other test uses; its images are removed from the engine after the test.</summary>
    protected string Repository(string name = "app")
    {
        var repository = $"{_prefix}/{name}";
        Cleanup(() => Forget(repository));
        return repository;
    }

    protected string Remote(string repository, string tag = "1") => $"{registry.Host}/{repository}:{tag}";

    /// <summary>Takes all images of a repository from the engine, whatever registry they are from.</summary>
    protected async Task Forget(string repository)
    {
        var rows = (await Docker.Run("images", "--digests", "--format", "{{.Repository}} {{.Tag}} {{.Digest}}")).Lines.Select(line => line.Split(' '))
            .Where(row => row[0].EndsWith("/" + repository, StringComparison.Ordinal)).ToArray();
        string[] names = [.. rows.Where(row => row[1] != "<none>").Select(row => $"{row[0]}:{row[1]}"), .. rows.Where(row => row[2] != "<none>").Select(row => $"{row[0]}@{row[2]}")];
        foreach (var name in names.Distinct())
        {
            await Docker.Run("rmi", "-f", name);
        }
    }

    /// <summary>The digest under which the engine knows an image of this repository.</summary>
    protected async Task<string> RepoDigest(string image) =>
        (await Docker.Inspect(image, "{{range .RepoDigests}}{{println .}}{{end}}")).Split('\n')
            .Single(digest => digest.StartsWith(image[..image.LastIndexOf(':')] + "@", StringComparison.Ordinal)).Split('@')[1];

    /// <summary>Loads one of the archives that others made; its images go after the test.</summary>
    /// <returns>Names, or ids where they have none.</returns>
    protected async Task<string[]> Load(string archive)
    {
        var loaded = (await Docker.Run("load", "-i", Path.Combine(Requirement.Shared(), "images", archive))).Ok().Lines
            .Where(line => line.StartsWith("Loaded image", StringComparison.Ordinal)).Select(line => line.Split(": ", 2)[1]).ToArray();
        foreach (var name in loaded)
        {
            Cleanup(() => Docker.Run("rmi", "-f", name));
        }
        return loaded;
    }

    /// <summary>The JSON lines that the engine answers a pull or push with.</summary>
    protected async Task<List<JsonNode>> Stream(string path)
    {
        using var http = new EngineHttp(Docker.Socket);
        var answer = (await http.Post(path)).Is(200);
        return [.. answer.Body.Split("\r\n", StringSplitOptions.RemoveEmptyEntries).Select(line => JsonNode.Parse(line)!)];
    }
}
