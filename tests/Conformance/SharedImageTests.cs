using System.Formats.Tar;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>Images made by others, where they lie beside the repository: all load, and give the trees that are expected.</summary>
[Collection(nameof(SharedNames))]
public sealed class SharedImageTests(SharedEngine engine) : EngineTest(engine)
{
    /// <summary>Archives that are broken on purpose, or name an invalid tag.</summary>
    private static readonly string[] Refused = ["save/null_manifest.tar", "save/test_bundle.tar", "edge/oci/bad-digests.tar", "edge/oci/squashfs-layer.tar"];

    /// <summary>OCI layouts without a docker manifest, and hard links across layers: Slipway loads them, dockerd 26 does not.</summary>
    private static readonly string[] BeyondDocker = ["oci/dive-test-oci-", "oci/oci-", "oci/regclient-", "oci/stereoscope-", "edge/oci/hard-link-2", "edge/oci/hard-link-delete-3", "edge/oci/hard-link-delete-4"];

    /// <summary>The format before Docker 1.10 (2016), without a manifest: refused, as newer Docker does; dockerd 26 ignores it.</summary>
    private static readonly string[] BeforeManifests = ["save/no_manifest.tar", "save/v1-emptyLayer.tar"];

    public static TheoryData<string> Archives() => Rows("oci", "save", "edge/oci");

    public static TheoryData<string> Expected() => Rows("edge/expected");

    private static TheoryData<string> Rows(params string[] folders) => Repository.Shared is not { } shared
        ? ["none"]
        : [.. from folder in folders from file in Directory.EnumerateFiles(Path.Combine(shared, "images", folder)).Order() where !file.EndsWith(".md", StringComparison.Ordinal) select $"{folder}/{Path.GetFileName(file)}"];

    [Theory]
    [MemberData(nameof(Archives))]
    public async Task Load(string archive)
    {
        var shared = Requirement.Shared();
        if (!IsSlipway && BeyondDocker.Any(prefix => archive.StartsWith(prefix, StringComparison.Ordinal)))
        {
            Assert.Skip("dockerd 26 does not load it");
        }
        var before = (await Docker.Ok("images", "-aq", "--no-trunc")).Split('\n').ToHashSet();
        var result = await Docker.Run("load", "-i", Path.Combine(shared, "images", archive));
        Cleanup(async () =>
        {
            // What this archive added, and nothing of other tests: its own lines name it.
            foreach (var line in result.Lines.Where(line => line.StartsWith("Loaded image", StringComparison.Ordinal)))
            {
                await Docker.Run("rmi", "-f", line.Split(": ", 2)[1]);
            }
        });
        if (Refused.Contains(archive) || (IsSlipway && BeforeManifests.Contains(archive)))
        {
            Assert.NotEqual(0, result.ExitCode);
            Assert.NotEmpty(result.Error);
            return;
        }
        result.Ok();
        foreach (var name in result.Lines.Where(line => line.StartsWith("Loaded image", StringComparison.Ordinal)).Select(line => line.Split(": ", 2)[1]))
        {
            Assert.Matches("^sha256:[0-9a-f]{64}$", await Docker.Inspect(name, "{{.Id}}"));
        }
    }

    [Theory]
    [MemberData(nameof(Expected))]
    public async Task Tree_is_the_expected_one(string archive)
    {
        var shared = Requirement.Shared();
        var name = Path.GetFileNameWithoutExtension(archive);
        if (!IsSlipway && BeyondDocker.Any(prefix => $"edge/oci/{name}.tar".StartsWith(prefix, StringComparison.Ordinal)))
        {
            Assert.Skip("dockerd 26 does not load it");
        }
        (await Docker.Run("load", "-i", Path.Combine(shared, "images/edge/oci", name + ".tar"))).Ok();
        Cleanup(() => Docker.Run("rmi", "-f", $"edge/{name}:latest"));

        // The image has no program: one is mounted into it, and lists what is there.
        const string list = "cd /; for f in $(/busybox find . -xdev | /busybox sort); do if [ -L $f ]; then echo \"$f -> $(/busybox readlink $f)\"; elif [ -d $f ]; then echo $f/; else echo \"$f $(/busybox sha256sum < $f | /busybox cut -c 1-64)\"; fi; done";
        var output = (await Docker.Run("run", "--rm", "--network", "none", "-v", "/bin/busybox:/busybox:ro", $"edge/{name}:latest", "/busybox", "sh", "-c", list)).Ok().Lines;
        string[] ofTheEngine = ["./.dockerenv", "./busybox", "./dev", "./proc", "./sys", "./etc"];
        var actual = output.Where(line => !ofTheEngine.Any(path => line == path + "/" || line.StartsWith(path + " ", StringComparison.Ordinal) || line.StartsWith(path + "/", StringComparison.Ordinal)));
        Assert.Equal(await Listing(Path.Combine(shared, "images", archive)), actual.Where(line => line != "./"));
    }

    private static async Task<IEnumerable<string>> Listing(string tar)
    {
        var lines = new List<string>();
        var contents = new Dictionary<string, string>();
        await using var stream = File.OpenRead(tar);
        await using var reader = new TarReader(stream);
        while (await reader.GetNextEntryAsync(copyData: true, Cancellation) is { } entry)
        {
            var name = "./" + entry.Name.TrimStart('.').Trim('/');
            if (name == "./" || name.Split('/')[1] is ".dockerenv" or "dev" or "proc" or "sys" or "etc")
            {
                continue;
            }
            switch (entry.EntryType)
            {
                case TarEntryType.Directory:
                    lines.Add(name + "/");
                    break;
                case TarEntryType.SymbolicLink:
                    lines.Add($"{name} -> {entry.LinkName}");
                    break;
                case TarEntryType.HardLink:
                    // One expected archive links to a name that is deleted: its other name stands before it.
                    contents[name] = contents.GetValueOrDefault("./" + entry.LinkName.TrimStart('.').Trim('/')) ?? contents.Values.Last();
                    lines.Add($"{name} {contents[name]}");
                    break;
                default:
                    contents[name] = Convert.ToHexStringLower(await System.Security.Cryptography.SHA256.HashDataAsync(entry.DataStream ?? Stream.Null, Cancellation));
                    lines.Add($"{name} {contents[name]}");
                    break;
            }
        }
        return lines.OrderBy(line => line.Split(' ')[0].TrimEnd('/'), StringComparer.Ordinal);
    }

    [Fact]
    public async Task Fifty_layers_are_all_there()
    {
        var shared = Requirement.Shared();
        (await Docker.Run("load", "-i", Path.Combine(shared, "images/edge/oci/many-layers.tar"))).Ok();
        Cleanup(() => Docker.Run("rmi", "-f", "edge/many-layers:latest"));
        var count = await Docker.Ok("run", "--rm", "--network", "none", "-v", "/bin/busybox:/busybox:ro", "edge/many-layers", "/busybox", "sh", "-c", "/busybox find / -xdev -type f ! -path '/etc/*' ! -path /busybox ! -path /.dockerenv ! -path '/dev/*' | /busybox wc -l");
        Assert.Equal("50", count);
    }
}
