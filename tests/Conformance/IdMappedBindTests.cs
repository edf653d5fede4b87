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
}
