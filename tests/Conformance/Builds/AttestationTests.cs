using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance.Builds;

/// <summary>Provenance (slsa.dev/provenance/v0.2) and bills of materials (SPDX 2.3) of results, as BuildKit's docs say they are stored.</summary>
public sealed class AttestationTests(SharedEngine engine) : BuildxTest(engine)
{
    private const string Dockerfile = """
        FROM alpine
        ARG PASSED=no
        COPY node /app/node_modules/@scope/part/package.json
        COPY deps /app/App.deps.json
        COPY dpkg /var/lib/dpkg/status
        RUN echo ran
        """;

    [Theory]
    [InlineData("max")]
    [InlineData("min")]
    public async Task A_layout_has_statements_about_each_image(string mode)
    {
        PutPackages();
        var (folder, name) = (Folder(), Image("attested"));
        string[] options = ["--no-cache", "--build-arg", "PASSED=yes", "--build-arg", "SOURCE_DATE_EPOCH=1700000000", "--label", "l=m", "-t", name];
        (await Build(Dockerfile, [.. options, "--provenance", $"mode={mode},builder-id=https://example.org/b", "--sbom=true", "-o", $"type=oci,dest={folder}/one.tar"])).Ok();
        (await Programs.Run("tar", ["-xf", $"{folder}/one.tar", "-C", folder])).Ok();
        var index = Blob(folder, (string)Json($"{folder}/index.json")["manifests"]![0]!["digest"]!);
        var (image, told) = (index["manifests"]![0]!, index["manifests"]![1]!);
        Assert.Equal(2, index["manifests"]!.AsArray().Count);
        Assert.Equal(("unknown", "unknown"), ((string?)told["platform"]!["os"], (string?)told["platform"]!["architecture"]));
        Assert.Equal("attestation-manifest", (string?)told["annotations"]!["vnd.docker.reference.type"]);
        Assert.Equal((string?)image["digest"], (string?)told["annotations"]!["vnd.docker.reference.digest"]);

        var layers = Blob(folder, (string)told["digest"]!)["layers"]!.AsArray();
        Assert.All(layers, layer => Assert.Equal("application/vnd.in-toto+json", (string?)layer!["mediaType"]));
        Assert.Equal(["https://spdx.dev/Document", "https://slsa.dev/provenance/v0.2"], layers.Select(layer => (string?)layer!["annotations"]!["in-toto.io/predicate-type"]));
        foreach (var statement in layers.Select(layer => (Type: (string?)layer!["annotations"]!["in-toto.io/predicate-type"], Content: Blob(folder, (string)layer["digest"]!))))
        {
            Assert.Equal(("https://in-toto.io/Statement/v0.1", statement.Type), ((string?)statement.Content["_type"], (string?)statement.Content["predicateType"]));
            var subject = Assert.Single(statement.Content["subject"]!.AsArray())!;
            Assert.Equal((string?)image["digest"], "sha256:" + (string?)subject["digest"]!["sha256"]);
            Assert.StartsWith("pkg:docker/", (string?)subject["name"], StringComparison.Ordinal);
            Assert.EndsWith("?platform=linux%2Famd64", (string?)subject["name"], StringComparison.Ordinal);
        }

        CheckBill(Blob(folder, (string)layers[0]!["digest"]!)["predicate"]!);
        CheckProvenance(Blob(folder, (string)layers[1]!["digest"]!)["predicate"]!, mode == "max");

        // With a time of its own the same build tells the same.
        (await Build(Dockerfile, [.. options, "--provenance", $"mode={mode},builder-id=https://example.org/b", "--sbom=true", "-o", $"type=oci,dest={folder}/two.tar"])).Ok();
        Assert.Equal(SHA256.HashData(await File.ReadAllBytesAsync($"{folder}/one.tar", Cancellation)), SHA256.HashData(await File.ReadAllBytesAsync($"{folder}/two.tar", Cancellation)));
    }

    [Fact]
    public async Task A_registry_gets_them_and_buildx_reads_them()
    {
        await using var registry = await RegistryProcess.Start();
        var image = $"{registry.Host}/attested:1";
        PutPackages();
        (await Build(Dockerfile, "--provenance", "mode=max", "--sbom=true", "-t", image)).Ok();
        Cleanup(() => Docker.Run("rmi", "-f", image));
        Assert.Equal("ran", await Docker.Ok("run", "--rm", "--network", "none", image, "echo", "ran"));
        (await Docker.Run("push", image)).Ok();
        var provenance = JsonNode.Parse((await Buildx("buildx", "imagetools", "inspect", "--format", "{{json .Provenance}}", image)).Ok().Output)!;
        Assert.Equal("https://mobyproject.org/buildkit@v1", (string?)provenance["SLSA"]!["buildType"]);
        var bill = JsonNode.Parse((await Buildx("buildx", "imagetools", "inspect", "--format", "{{json .SBOM}}", image)).Ok().Output)!;
        Assert.Equal("SPDX-2.3", (string?)bill["SPDX"]!["spdxVersion"]);
    }

    [Fact]
    public async Task Slipway_build_tells_of_each_platform()
    {
        Requirement.Check(Repository.Executable is not null, "needs the built slipway: dotnet build src/Slipway.Cli, or set SLIPWAY_BIN");
        var folder = Folder();
        Put("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
        Dictionary<string, string> variables = new() { ["SLIPWAY_HOST"] = $"unix://{Docker.Socket}" };
        (await Programs.Run(
            Repository.Executable!, ["build", "--platform", "linux/amd64,linux/arm64", "--provenance", "mode=max", "--sbom", "true", "-o", $"type=oci,dest={folder}/x.tar", Context], environment: variables)).Ok();
        (await Programs.Run("tar", ["-xf", $"{folder}/x.tar", "-C", folder])).Ok();
        var manifests = Blob(folder, (string)Json($"{folder}/index.json")["manifests"]![0]!["digest"]!)["manifests"]!.AsArray();
        Assert.Equal(["amd64", "arm64", "unknown", "unknown"], manifests.Select(manifest => (string?)manifest!["platform"]!["architecture"]));
        Assert.Equal(manifests.Take(2).Select(manifest => (string?)manifest!["digest"]), manifests.Skip(2).Select(manifest => (string?)manifest!["annotations"]!["vnd.docker.reference.digest"]));

        (await Programs.Run(Repository.Executable!, ["build", "--attest", "type=nosuch", Context], environment: variables)).Exited(1).Says("invalid attestation type \"nosuch\"");
        (await Programs.Run(Repository.Executable!, ["build", "--provenance", "mode=most", Context], environment: variables)).Exited(1).Says("invalid mode \"most\"");
    }

    [Fact]
    public async Task Without_being_asked_an_image_stays_one()
    {
        var folder = Folder();
        Put("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
        (await Buildx("buildx", "build", "-t", Image("plain"), "-o", $"type=oci,dest={folder}/x.tar", Context)).Ok();
        (await Programs.Run("tar", ["-xf", $"{folder}/x.tar", "-C", folder])).Ok();
        Assert.Equal("application/vnd.oci.image.manifest.v1+json", (string?)Json($"{folder}/index.json")["manifests"]![0]!["mediaType"]);
    }

    private void PutPackages()
    {
        Put("node", """{"name":"@scope/part","version":"2.1.0"}""");
        Put("deps", """{"libraries":{"Some.Library/4.5.6":{"type":"package"}}}""");
        Put("dpkg", "Package: hello\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.10-3\n");
    }

    private static void CheckBill(JsonNode bill)
    {
        Assert.Equal(
            ("SPDX-2.3", "CC0-1.0", "SPDXRef-DOCUMENT", "2023-11-14T22:13:20Z"),
            ((string?)bill["spdxVersion"], (string?)bill["dataLicense"], (string?)bill["SPDXID"], (string?)bill["creationInfo"]!["created"]));
        Assert.StartsWith("Tool: slipway-", (string?)Assert.Single(bill["creationInfo"]!["creators"]!.AsArray()), StringComparison.Ordinal);
        Assert.True(Uri.IsWellFormedUriString((string?)bill["documentNamespace"], UriKind.Absolute));
        var packages = bill["packages"]!.AsArray();
        string?[] urls = [.. packages.Select(package => (string?)package!["externalRefs"]?[0]!["referenceLocator"])];
        Assert.Contains("pkg:npm/%40scope/part@2.1.0", urls);
        Assert.Contains("pkg:nuget/Some.Library@4.5.6", urls);
        Assert.Contains("pkg:deb/alpine/hello@2.10-3?arch=amd64", urls);
        Assert.All(packages, package => Assert.Matches("^SPDXRef-[A-Za-z0-9.-]+$", (string?)package!["SPDXID"]));
        Assert.All(packages, package => Assert.NotNull(package!["downloadLocation"]));

        // Each is in a relationship, and what describes is the document.
        var related = bill["relationships"]!.AsArray().Select(relationship => ((string?)relationship!["spdxElementId"], (string?)relationship["relationshipType"], (string?)relationship["relatedSpdxElement"])).ToArray();
        Assert.Contains(("SPDXRef-DOCUMENT", "DESCRIBES", (string?)packages[0]!["SPDXID"]), related);
        Assert.Equal(packages.Select(package => (string?)package!["SPDXID"]), related.Select(relationship => relationship.Item3));
    }

    private void CheckProvenance(JsonNode provenance, bool isMaximal)
    {
        Assert.Equal(("https://example.org/b", "https://mobyproject.org/buildkit@v1"), ((string?)provenance["builder"]!["id"], (string?)provenance["buildType"]));
        var material = Assert.Single(provenance["materials"]!.AsArray())!;
        Assert.Equal("pkg:docker/alpine@latest?platform=linux%2Famd64", (string?)material["uri"]);
        Assert.Matches("^[0-9a-f]{64}$", (string?)material["digest"]!["sha256"]);
        var invocation = provenance["invocation"]!;
        Assert.Equal(("Dockerfile", "dockerfile.v0", "linux/amd64"), ((string?)invocation["configSource"]!["entryPoint"], (string?)invocation["parameters"]!["frontend"], (string?)invocation["environment"]!["platform"]));
        Assert.Equal(isMaximal ? ("yes", "m") : (null, null), ((string?)invocation["parameters"]!["args"]!["build-arg:PASSED"], (string?)invocation["parameters"]!["args"]!["label:l"]));
        var metadata = provenance["metadata"]!;
        Assert.Equal(("2023-11-14T22:13:20Z", "2023-11-14T22:13:20Z"), ((string?)metadata["buildStartedOn"], (string?)metadata["buildFinishedOn"]));
        Assert.Equal((isMaximal, true, false), ((bool)metadata["completeness"]!["parameters"]!, (bool)metadata["completeness"]!["environment"]!, (bool)metadata["completeness"]!["materials"]!));
        Assert.Equal(isMaximal, provenance["buildConfig"] is not null);
        if (isMaximal)
        {
            Assert.Contains(provenance["buildConfig"]!["steps"]!.AsArray(), step => ((string)step!["createdBy"]!).Contains("echo ran", StringComparison.Ordinal));
            var source = Convert.FromBase64String((string)metadata["https://mobyproject.org/buildkit@v1#metadata"]!["source"]!["infos"]![0]!["data"]!);
            Assert.Equal(File.ReadAllBytes($"{Context}/Dockerfile"), source);
        }
    }

    private static JsonNode Json(string path) => JsonNode.Parse(File.ReadAllText(path))!;

    /// <summary>A blob of a layout, of the digest it is named by.</summary>
    private static JsonNode Blob(string folder, string digest)
    {
        var bytes = File.ReadAllBytes($"{folder}/blobs/{digest.Replace(':', '/')}");
        Assert.Equal(digest, $"sha256:{Convert.ToHexStringLower(SHA256.HashData(bytes))}");
        return JsonNode.Parse(bytes)!;
    }
}
