using System.Formats.Tar;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance.Builds;

/// <summary>Extended attributes and capabilities of files: from a context through steps, a commit, a registry and an archive.</summary>
public sealed class XattrTests(SharedEngine engine) : BuildxTest(engine)
{
    private const string Mine = "user.mine";
    private const string Capability = "security.capability";

    /// <summary>Sets attributes; cap_net_raw=ep as the kernel keeps it (linux/capability.h, VFS_CAP_REVISION_2).</summary>
    private const string Attributing = """
        import os, struct, sys
        os.chdir(sys.argv[1])
        os.makedirs('tree/d', exist_ok=True)
        for name in ('tree/f', 'tree/p'):
            open(name, 'w').write(name)
        os.setxattr('tree/f', 'user.mine', b'value')
        os.setxattr('tree/d', 'user.mine', b'of a directory')
        os.setxattr('tree/p', 'security.capability', struct.pack('<IIIII', 0x02000001, 1 << 13, 0, 0, 0))
        """;

    [Fact]
    public async Task Attributes_are_in_the_files_of_an_output()
    {
        Requirement.Program("python3", "python3");
        (await Programs.Run("python3", ["-c", Attributing, Context])).Ok();
        var folder = $"{Folder()}/out";
        (await Build("FROM scratch\nCOPY tree /tree\n", "-o", $"type=local,dest={folder}")).Ok();
        var found = (await Programs.Run("getfattr", ["-R", "-d", "-m", "user", "--absolute-names", $"{folder}/tree"])).Ok().Lines;
        Assert.Equal(["user.mine=\"of a directory\"", "user.mine=\"value\""], found.Where(line => line.StartsWith("user.", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("classic")]
    [InlineData("buildx")]
    [InlineData("slipway")]
    public async Task Attributes_stay_with_their_files(string client)
    {
        Requirement.Program("python3", "python3");
        (await Programs.Run("python3", ["-c", Attributing, Context])).Ok();
        (await Programs.Run("tar", ["-C", Context, "--xattrs", "--xattrs-include=*", "-cf", $"{Context}/x.tar", "tree"])).Ok();
        Put("Dockerfile", """
            FROM alpine AS made
            COPY tree /copied
            ADD x.tar /added/
            RUN chmod 700 /copied/f /copied/p
            FROM alpine
            COPY --from=made /copied /copied
            COPY --from=made /added /added
            """);
        var image = Image();
        if (client == "classic")
        {
            // Docker's client leaves attributes of users out of what it packs for this builder.
            (await Programs.Run("sh", ["-c", "tar -C \"$1\" --xattrs --xattrs-include='*' -cf \"$2\" Dockerfile tree x.tar", "sh", Context, $"{Context}/context"])).Ok();
            using EngineHttp http = new(Docker.Socket);
            var built = await http.Send(HttpMethod.Post, $"v1.45/build?t={image}", new ByteArrayContent(await File.ReadAllBytesAsync($"{Context}/context", Cancellation)));
            Assert.Contains("Successfully built", built.Body, StringComparison.Ordinal);
        }
        else
        {
            (await (client == "buildx" ? Buildx("buildx", "build", "-t", image, Context) : Programs.Run(
                Repository.Executable!, ["build", "-t", image, Context], environment: new Dictionary<string, string> { ["SLIPWAY_HOST"] = $"unix://{Docker.Socket}" }))).Ok();
        }

        var expected = new[] { "added/tree", "copied" }.SelectMany(folder => new[] { $"{folder}/d {Mine}", $"{folder}/f {Mine}", $"{folder}/p {Capability}" }).Order(StringComparer.Ordinal).ToArray();
        Assert.Equal(expected, await Attributes(image));

        // A file that a container has changed keeps what it has.
        var container = (await Docker.Ok("run", "-d", image, "chmod", "711", "/copied/f", "/copied/d")).Trim();
        Cleanup(() => Docker.Run("rm", "-f", container));
        await Docker.Ok("wait", container);
        var committed = Image("committed");
        await Docker.Ok("commit", container, committed);
        Assert.Equal(expected, await Attributes(committed));

        await using var registry = await RegistryProcess.Start();
        var pushed = $"{registry.Host}/x:1";
        Cleanup(() => Docker.Run("rmi", "-f", pushed));
        await Docker.Ok("tag", committed, pushed);
        await Docker.Ok("push", pushed);

        // What the registry has, as another tool sees it.
        Requirement.Program("skopeo", "skopeo");
        var archive = $"{Folder()}/registry.tar";
        (await Programs.Run("skopeo", ["copy", "--insecure-policy", "--src-tls-verify=false", $"docker://{pushed}", $"docker-archive:{archive}:x:1"])).Ok();
        Assert.Equal(expected, await AttributesIn(archive));
    }

    /// <summary>Files of an image with the attributes they have, as its layers say.</summary>
    private async Task<string[]> Attributes(string image)
    {
        var archive = $"{Folder()}/image.tar";
        (await Docker.Run("save", "-o", archive, image)).Ok();
        return await AttributesIn(archive);
    }

    private static async Task<string[]> AttributesIn(string archive)
    {
        SortedDictionary<string, string[]> files = new(StringComparer.Ordinal);
        foreach (var layer in await Archive.Layers(archive, Cancellation))
        {
            using TarReader reader = new(new MemoryStream(layer));
            while (await reader.GetNextEntryAsync(copyData: false, Cancellation) is { } entry)
            {
                var values = (entry as PaxTarEntry)?.ExtendedAttributes ?? new Dictionary<string, string>();
                Assert.All(values.Where(value => value.Key == $"SCHILY.xattr.{Mine}"), value => Assert.Contains(value.Value, new[] { "value", "of a directory" }));
                files[entry.Name.Trim('/')] = [.. values.Keys.Where(name => name.StartsWith("SCHILY.xattr.", StringComparison.Ordinal)).Select(name => name["SCHILY.xattr.".Length..])];
            }
        }

        return [.. files.SelectMany(file => file.Value.Select(name => $"{file.Key} {name}")).Order(StringComparer.Ordinal)];
    }
}
