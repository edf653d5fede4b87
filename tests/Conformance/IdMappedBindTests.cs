using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>Binds whose files belong to others in the container than on disk (<c>-v source:target:idmap</c>), which Docker does not have.</summary>
public sealed class IdMappedBindTests(SharedEngine engine) : EngineTest(engine)
{
    [Fact]
    public async Task Files_show_with_other_ids_and_are_stored_with_the_disk_s()
    {
        Assert.SkipUnless(IsSlipway, "Docker has no such option");
        var folder = Folder();
        await File.WriteAllTextAsync(Path.Combine(folder, "file"), "x", Cancellation);
        (await Programs.Run("chown", ["-R", "4000:5000", folder])).Ok();
        var output = await Docker.Ok(
            "run", "--rm", "-v", $"{folder}:/data:idmap=uids=4000-0-10;gids=5000-0-10", "alpine", "sh", "-c", "stat -c %u:%g /data/file; touch /data/made; chown 3:4 /data/made; chown 20 /data/made 2>&1 | tail -c 17");
        Assert.StartsWith("0:0\n", output + "\n", StringComparison.Ordinal);
        Assert.Equal("4003:5004", (await Programs.Run("stat", ["-c", "%u:%g", Path.Combine(folder, "made")])).Ok().Line);
        Assert.Equal("0:0", await Docker.Ok("run", "--rm", "-v", $"{folder}:/data:ro,idmap=uids=4000-0-1#4003-3-1;gids=5000-0-1", "alpine", "stat", "-c", "%u:%g", "/data/file"));
    }

    [Fact]
    public async Task Ids_without_a_user_namespace_to_take_them_from_are_an_error()
    {
        Assert.SkipUnless(IsSlipway, "Docker has no such option");
        var result = await Docker.Run("run", "--rm", "-v", $"{Folder()}:/data:idmap", "alpine", "true");
        Assert.Contains("names no ids, and the container has no user namespace of its own", result.Error, StringComparison.Ordinal);
        result = await Docker.Run("run", "--rm", "-v", "volume:/data:idmap", "alpine", "true");
        Assert.Contains("idmap is for binds", result.Error, StringComparison.Ordinal);
        result = await Docker.Run("run", "--rm", "-v", $"{Folder()}:/data:idmap=uids=1", "alpine", "true");
        Assert.Contains("invalid idmap", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_system_that_cannot_is_named()
    {
        Assert.SkipUnless(IsSlipway, "Docker has no such option");
        var result = await Docker.Run("run", "--rm", "-v", "/proc:/data:ro,idmap=uids=0-0-1", "alpine", "true");
        Assert.Contains("does not support id-mapped mounts", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_volume_that_binds_a_directory_shows_it_with_other_ids()
    {
        Assert.SkipUnless(IsSlipway, "Docker has no such option");
        var folder = Folder();
        await File.WriteAllTextAsync(Path.Combine(folder, "file"), "x", Cancellation);
        (await Programs.Run("chown", ["-R", "4000:5000", folder])).Ok();
        var volume = Volume();
        await Docker.Ok("volume", "create", "-o", "type=none", "-o", $"device={folder}", "-o", "o=bind,idmap=uids=4000-0-10;gids=5000-0-10", volume);
        Assert.Equal("0:0", await Docker.Ok("run", "--rm", "-v", $"{volume}:/etc", "alpine", "sh", "-c", "touch /etc/made; chown 3:4 /etc/made; stat -c %u:%g /etc/file"));
        Assert.Equal("4003:5004", (await Programs.Run("stat", ["-c", "%u:%g", Path.Combine(folder, "made")])).Ok().Line);

        // A second container at the same time, and nothing of the image was copied where nobody could own it.
        var running = Container();
        await Docker.Ok("run", "-d", "--name", running, "-v", $"{volume}:/data", "alpine", "sleep", "1000");
        Assert.Equal("3:4", await Docker.Ok("run", "--rm", "-v", $"{volume}:/data:ro", "alpine", "stat", "-c", "%u:%g", "/data/made"));
        Assert.Equal("0:0", await Docker.Ok("exec", running, "stat", "-c", "%u:%g", "/data/file"));
        Assert.Equal(["file", "made"], Directory.GetFileSystemEntries(folder).Select(entry => Path.GetFileName(entry)).Where(name => name is not ("hosts" or "hostname" or "resolv.conf")).Order());
    }

    [Theory]
    [InlineData("type=tmpfs,device=tmpfs", "o=idmap=uids=0-0-1", "the option idmap is for volumes that bind a directory")]
    [InlineData("type=none,device=/tmp", "o=bind,idmap=uids=1", "invalid idmap")]
    public async Task An_idmap_that_cannot_be_meant_makes_no_volume(string options, string o, string expected)
    {
        Assert.SkipUnless(IsSlipway, "Docker has no such option");
        var volume = Volume();
        var result = await Docker.Run(["volume", "create", .. options.Split(',').SelectMany(option => new[] { "-o", option }), "-o", o, volume]);
        result.Says(expected).Exited(1);
        Assert.NotEqual(0, (await Docker.Run("volume", "inspect", volume)).ExitCode);
    }

    /// <summary>The texts are dockerd's; what is mounted and what the kernel said is in them.</summary>
    [Theory]
    [InlineData("type=nfs,device=:/share", "o=addr=no-such-host.invalid,rw", "error resolving passed in network volume address: ")]
    [InlineData("type=nosuchfs,device=x", "o=rw", "failed to mount local volume: mount x:")]
    [InlineData("type=none,device=/no/such/dir", "o=bind", "failed to mount local volume: mount /no/such/dir:")]
    [InlineData("type=tmpfs,device=tmpfs", "o=nosuchoption=1", "failed to mount local volume: mount tmpfs:")]
    public async Task A_mount_that_fails_names_what_and_why_and_leaves_nothing(string options, string o, string expected)
    {
        var volume = Volume();
        await Docker.Ok(["volume", "create", .. options.Split(',').SelectMany(option => new[] { "-o", option }), "-o", o, volume]);
        var result = await Docker.Run("run", "--rm", "-v", $"{volume}:/data", "alpine", "true");
        result.Says(expected);
        Assert.Contains(result.ExitCode, (int[])[125, 127]);
        await Docker.Ok("volume", "rm", volume);
    }

    /// <summary>A name that no other test uses; the volume is removed after the test.</summary>
    private string Volume()
    {
        var name = "t" + Guid.NewGuid().ToString("N")[..8] + "-idmap";
        Cleanup(async () => (await Docker.Run("volume", "rm", "-f", name)).Ok());
        return name;
    }
}
