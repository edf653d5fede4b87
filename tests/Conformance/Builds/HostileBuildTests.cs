using System.Formats.Tar;
using System.IO.Compression;
using System.Security.Cryptography;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance.Builds;

/// <summary>Contexts and Dockerfiles that want out.</summary>
public sealed class HostileBuildTests(SharedEngine engine) : BuildTest(engine)
{
    /// <summary>A file of the host that no build may read or change.</summary>
    private string Secret()
    {
        var path = $"{Folder()}/secret";
        File.WriteAllText(path, "of the host");
        return path;
    }

    [Fact]
    public async Task Links_of_a_context_lead_nowhere()
    {
        var secret = Secret();
        File.CreateSymbolicLink($"{Context}/link", secret);
        File.CreateSymbolicLink($"{Context}/folder", Path.GetDirectoryName(secret)!);
        (await Build("FROM alpine\nCOPY link /x")).Exited(1).Says("file does not exist");
        (await Build("FROM alpine\nCOPY folder/secret /x")).Exited(1).Says("file does not exist");
        (await Build($"FROM alpine\nCOPY ../../../../../../..{secret} /x")).Exited(1).Says("forbidden path outside the build context");
    }

    [Fact]
    public async Task CVE_2024_1753_a_link_of_a_stage_is_no_way_to_the_host()
    {
        var secret = Secret();
        var folder = Path.GetDirectoryName(secret)!;
        (await Build($"FROM alpine AS s\nRUN ln -s {folder} /link && ln -s / /root-link\nFROM alpine\nRUN --mount=type=bind,from=s,source=/link,target=/m cat /m/secret")).Exited(1);
        (await Build($"FROM alpine AS s\nRUN ln -s {folder} /link\nFROM alpine\nRUN --mount=type=bind,from=s,source=/link,target=/m,rw rm /m/secret")).Exited(1);
        (await Build($"FROM alpine AS s\nRUN ln -s {secret} /link\nFROM alpine\nCOPY --from=s /link /x")).Exited(1);
        Assert.Equal("of the host", File.ReadAllText(secret));
    }

    [Fact]
    public async Task CVE_2024_23651_a_part_of_a_cache_stays_in_the_cache()
    {
        var secret = Secret();
        var cache = Guid.NewGuid().ToString("N");
        (await Build($"FROM alpine\nRUN --mount=type=cache,id={cache},target=/c ln -s {Path.GetDirectoryName(secret)} /c/part")).Ok();
        (await Build($"FROM alpine\nRUN --mount=type=cache,id={cache},source=part,target=/c rm /c/secret")).Exited(1);
        (await Build($"FROM alpine\nRUN --mount=type=cache,id={cache},source=../../..,target=/c ls /c/containers")).Exited(1);
        Assert.Equal("of the host", File.ReadAllText(secret));
    }

    [Fact]
    public async Task CVE_2024_23652_what_was_mounted_on_is_removed_in_the_layer_only()
    {
        var secret = Secret();
        File.WriteAllText(secret, "");
        var folder = Path.GetDirectoryName(secret)!;
        Directory.CreateDirectory($"{folder}/empty");

        // The step moves what it can of the way to its mounts, and puts links there.
        (await Build($"FROM alpine\nRUN --mount=type=tmpfs,target=/a/b/empty --mount=type=tmpfs,target=/a/b/secret (mv /a/b /a/c; ln -s {folder} /a/b; mv /a /d; ln -s {folder} /a) || true")).Ok();
        Assert.True(File.Exists(secret));
        Assert.True(Directory.Exists($"{folder}/empty"));
    }

    [Fact]
    public async Task CVE_2024_23653_no_step_gets_what_was_not_granted()
    {
        (await Build("FROM alpine\nRUN --security=insecure id")).Exited(1).Says("security.insecure is not allowed");
        (await Build("FROM alpine\nONBUILD RUN --security=insecure id", "-t", Image())).Ok();
        Assert.Equal("0000000000000000\n", await Shown("FROM alpine\nRUN awk '/CapInh/ {print $2}' /proc/self/status > /caps", "cat /caps"));
    }

    [Theory]
    [InlineData("WORKDIR /proc/self/fd/8\nRUN cat ../../../etc/hostname")]
    [InlineData("COPY Dockerfile /proc/self/cwd/x/\nRUN false")]
    [InlineData("USER 4294967296\nRUN true")]
    [InlineData("COPY --chown=4294967296 Dockerfile /")]
    [InlineData("RUN --mount=type=cache,target=/c,uid=4294967296 true")]
    public async Task What_wraps_or_leads_through_procfs_is_refused(string instructions) => (await Build($"FROM alpine\n{instructions}")).Exited(1);

    [Fact]
    public async Task A_destination_that_is_a_link_to_the_host_stays_in_the_image()
    {
        var secret = Secret();
        Put("new", "new");
        Assert.Equal("new", await Shown($"FROM alpine\nRUN mkdir -p {Path.GetDirectoryName(secret)} && ln -s {secret} /link\nCOPY new /link", $"cat {secret}"));
        Assert.Equal("of the host", File.ReadAllText(secret));
    }

    [Fact]
    public async Task A_file_that_would_take_away_another_is_refused()
    {
        Put("d/.wh.passwd", "");
        (await Build("FROM alpine\nCOPY d /etc/")).Exited(1).Says(".wh.");
    }

    [Fact]
    public async Task A_secret_is_in_no_layer_and_no_history()
    {
        // The classic API has no secrets: what a step asks for and nobody has is not there, and an error where it is required.
        (await Build("FROM alpine\nRUN --mount=type=secret,id=s [ ! -e /run/secrets/s ]")).Ok();
        (await Build("FROM alpine\nRUN --mount=type=secret,id=s,required=true true")).Exited(1).Says("secret s: not found");
    }

    /// <summary>What a build says to each, and that nothing else happens, whatever the engine would have to keep in its memory for it.</summary>
    [Theory]
    [InlineData("ARG", false)]
    [InlineData("ARG", true)]
    [InlineData("ENV", true)]
    public async Task Variables_that_multiply_each_other_end_the_build(string keyword, bool inStage)
    {
        var lines = string.Concat(Enumerable.Range(1, 30).Select(i => $"{keyword} A{i}={string.Concat(Enumerable.Repeat($"$A{i - 1}", 10))}\n"));
        (await Build(inStage ? $"FROM alpine\n{keyword} A0=xxxxxxxxxx\n{lines}RUN true" : $"ARG A0=xxxxxxxxxx\n{lines}FROM alpine")).Exited(1).Says("replaced by too much text");
    }

    [Fact]
    public async Task A_Dockerfile_of_a_gigabyte_ends_its_build()
    {
        var archive = $"{Folder()}/context.tar.gz";
        await using (var file = File.Create(archive))
        {
            await using GZipStream gzip = new(file, CompressionLevel.Fastest);
            await using TarWriter tar = new(gzip);

            // A megabyte in the archive, and no block on the disk: only who reads it has a gigabyte.
            await using var dockerfile = File.Create($"{Path.GetDirectoryName(archive)}/Dockerfile");
            dockerfile.SetLength(1L << 30);
            await tar.WriteEntryAsync(new PaxTarEntry(TarEntryType.RegularFile, "Dockerfile") { DataStream = dockerfile }, Cancellation);
        }

        await using var context = File.OpenRead(archive);
        (await Programs.Run(Docker.Path, ["build", "-"], context, environment: Variables)).Exited(1).Says("Dockerfile has more than 67108864 bytes");
        await Docker.Ok("version");
    }

    [Fact]
    public async Task An_archive_that_expands_a_thousand_times_ends_its_build()
    {
        var name = $"{Folder()}/zeros";
        await using (var zeros = File.Create(name))
        {
            zeros.SetLength(1200L << 20);
        }

        // zstd makes a ten-thousandth of zeros, where gzip ends at a thousandth.
        Requirement.Program("zstd", "zstd");
        (await Programs.Run("sh", ["-c", "tar -C \"$1\" -c zeros | zstd -q > \"$2\"", "sh", Path.GetDirectoryName(name)!, $"{Context}/bomb.tar.zst"])).Ok();
        (await Build("FROM alpine\nADD bomb.tar.zst /x/")).Exited(1).Says("failed to unpack bomb.tar.zst: compressed data expands beyond the limit of 1000 times its size");

        // As a context it is refused in the same way.
        await using var context = File.OpenRead($"{Context}/bomb.tar.zst");
        (await Programs.Run(Docker.Path, ["build", "-"], context, environment: Variables)).Exited(1).Says("compressed data expands beyond the limit of 1000 times its size");
    }

    /// <summary>An archive of a kilobyte may say that a file has a terabyte, all of it a hole.</summary>
    [Fact]
    public async Task Files_with_holes_are_bounded_by_the_archive_they_come_in()
    {
        var folder = Folder();
        foreach (var (name, size) in new[] { ("large", 1L << 40), ("small", 1L << 20) })
        {
            await using var holes = File.Create($"{folder}/{name}");
            holes.SetLength(size);
        }

        (await Programs.Run("tar", ["-C", folder, "--sparse", "-cf", $"{Context}/large.tar", "large"])).Ok();
        (await Programs.Run("tar", ["-C", folder, "--sparse", "-cf", $"{Context}/small.tar", "small"])).Ok();
        (await Build("FROM alpine\nADD large.tar /x/")).Exited(1).Says("failed to unpack large.tar: the archive expands too far: files with holes have more than 1000 times its");
        Assert.Equal("1048576\n", await Shown("FROM alpine\nADD small.tar /x/", "stat -c %s /x/small"));
    }

    /// <summary>Docker's rule: what begins as a tar is unpacked or fails, and what does not is copied.</summary>
    [Fact]
    public async Task An_archive_that_ends_early_ends_its_build_and_what_is_no_archive_is_copied()
    {
        Requirement.Program("gzip", "gzip");
        await File.WriteAllBytesAsync($"{Context}/whole.tar", Archive.Of(Archive.Bytes("file", RandomNumberGenerator.GetBytes(1 << 20))), Cancellation);
        (await Programs.Run("sh", ["-c", "cd \"$1\" && gzip -c whole.tar | head -c 500000 > cut.tar.gz && echo text | gzip > text.gz && head -c 500000 whole.tar > cut.tar", "sh", Context])).Ok();
        (await Build("FROM alpine\nADD cut.tar.gz /x/")).Exited(1).Says("failed to unpack cut.tar.gz: ");
        (await Build("FROM alpine\nADD cut.tar /x/")).Exited(1).Says("failed to unpack cut.tar: ");
        Assert.Equal("text\n", await Shown("FROM alpine\nADD text.gz /x/", "gunzip -c /x/text.gz"));
    }

    [Fact]
    public async Task A_replacement_that_multiplies_a_value_ends_the_build()
    {
        var thousand = new string('a', 1000);
        (await Build($"FROM alpine\nENV A={thousand}\nENV B=${{A//a/{thousand}}}")).Exited(1).Says("makes more than");
    }

    [Fact]
    public async Task A_chain_of_very_many_stages_ends_nothing_but_its_build()
    {
        // 100,000 stages, each from the one before, and the last cannot be meant.
        Put("Dockerfile", "FROM scratch AS s0\n" + string.Concat(Enumerable.Range(1, 100_000).Select(i => $"FROM s{i - 1} AS s{i}\n")) + "FROM s100000\nCOPY --from=nosuch/nowhere:none / /x\nRNU");
        (await Programs.Run(Docker.Path, ["build", Context], environment: Variables)).Exited(1).Says("unknown instruction: RNU");
        await Docker.Ok("version");
    }

    [Theory]
    [InlineData("ssh://-oProxyCommand=touch$IFS$MARK/x.git")]
    [InlineData("ssh://git@-oProxyCommand=touch$IFS$MARK/x.git")]
    [InlineData("git@-oProxyCommand=touch$IFS$MARK:x.git")]
    [InlineData("https://127.0.0.1:1/x.git#--upload-pack=touch$IFS$MARK")]
    [InlineData("https://127.0.0.1:1/x.git#main:../../../etc")]
    [InlineData("https://127.0.0.1:1/x.git#main:--output=$MARK")]
    public async Task Addresses_of_repositories_are_no_options(string address)
    {
        var mark = $"{Folder()}/mark";
        Put("Dockerfile", $"FROM alpine\nADD {address.Replace("$MARK", mark, StringComparison.Ordinal).Replace("$IFS", "${IFS}", StringComparison.Ordinal)} /x/");
        (await Programs.Run(Docker.Path, ["build", Context], environment: Variables)).Exited(1).Says("invalid git address");
        Assert.False(File.Exists(mark));
    }
}
