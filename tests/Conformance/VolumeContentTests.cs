using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>What is in a volume when it is first used: what the image has at its place. Green against dockerd as well.</summary>
public sealed class VolumeContentTests(SharedEngine engine) : EngineTest(engine)
{
    /// <summary>An image with something of each kind in /data.</summary>
    private async Task<string> Filled()
    {
        var (image, container) = (Image(), Container("filled"));
        const string script = """
            mkdir -p /data/sub /data/sub/deep && cd /data && echo hi > f && ln f hard && ln f sub/hard2 && ln -s f soft && ln -s /etc/passwd absolute && mkfifo fifo && mknod dev c 1 3
            chown 12:34 f && chmod 4750 f && chown -h 7:8 soft && chmod 2755 sub && head -c 100000 /dev/zero > zeros && echo end >> zeros
            touch -d 2001-02-03 f && chown 5:6 /data && chmod 1770 /data
            ln -s data /linked && ln -s /nowhere /dangling && echo x > /file
            """;
        await Docker.Ok("run", "--name", container, "alpine", "sh", "-ec", script);
        await Docker.Ok("commit", "-c", "CMD [\"true\"]", container, image);
        return image;
    }

    [Fact]
    public async Task An_empty_volume_is_filled_with_everything_the_image_has_there()
    {
        var (image, volume) = (await Filled(), VolumeTests.Volume(Docker, Cleanup, "v"));
        const string look = "cd /data; stat -c '%n %u:%g %a %h %F' . f soft fifo dev sub sub/deep zeros; readlink soft; readlink absolute; stat -c '%y' f | cut -c1-10; [ f -ef hard ] && [ f -ef sub/hard2 ] && tail -c 4 zeros";
        var output = (await Docker.Run("run", "--rm", "-v", $"{volume}:/data", image, "sh", "-c", look)).Ok().Lines;
        Assert.Equal(
            [
                ". 5:6 1770 3 directory", "f 12:34 4750 3 regular file", "soft 7:8 777 1 symbolic link", "fifo 0:0 644 1 fifo", "dev 0:0 644 1 character special file",
                "sub 0:0 2755 3 directory", "sub/deep 0:0 755 2 directory", "zeros 0:0 644 1 regular file", "f", "/etc/passwd", "2001-02-03", "end",
            ],
            output);
    }

    [Fact]
    public async Task It_is_filled_when_the_container_is_created_and_only_while_it_is_empty()
    {
        var (image, volume, first, second) = (await Filled(), VolumeTests.Volume(Docker, Cleanup, "v"), Container("first"), Container("second"));
        await Docker.Ok("create", "--name", first, "-v", $"{volume}:/data", image);
        Assert.Equal("hi", await Docker.Ok("run", "--rm", "-v", $"{volume}:/other", "alpine", "sh", "-c", "cat /other/f; rm -rf /other/*; echo mine > /other/own"));
        await Docker.Ok("run", "--name", second, "-v", $"{volume}:/data", image);
        Assert.Equal("own", await Docker.Ok("run", "--rm", "-v", $"{volume}:/other", "alpine", "ls", "/other"));
    }

    [Fact]
    public async Task Anonymous_and_read_only_volumes_are_filled_and_nocopy_ones_are_not()
    {
        var (image, volume) = (await Filled(), VolumeTests.Volume(Docker, Cleanup, "v"));
        Assert.Equal("hi", await Docker.Ok("run", "--rm", "-v", "/data", image, "cat", "/data/f"));
        Assert.Equal("hi", await Docker.Ok("run", "--rm", "--mount", "type=volume,dst=/data", image, "cat", "/data/f"));
        Assert.Equal("", await Docker.Ok("run", "--rm", "-v", $"{volume}:/data:nocopy", image, "ls", "/data"));
        Assert.Equal("0:0 755", await Docker.Ok("run", "--rm", "--mount", $"type=volume,src={volume},dst=/data,volume-nocopy", image, "stat", "-c", "%u:%g %a", "/data"));
        Assert.Equal("hi", await Docker.Ok("run", "--rm", "-v", $"{volume}:/data:ro", image, "cat", "/data/f"));
    }

    [Fact]
    public async Task Links_to_the_place_are_followed_inside_the_image()
    {
        var (image, linked, dangling, file) =
            (await Filled(), VolumeTests.Volume(Docker, Cleanup, "linked"), VolumeTests.Volume(Docker, Cleanup, "dangling"), VolumeTests.Volume(Docker, Cleanup, "file"));
        Assert.Equal("hi", await Docker.Ok("run", "--rm", "-v", $"{linked}:/linked", image, "cat", "/linked/f"));
        Assert.Equal("", await Docker.Ok("run", "--rm", "-v", $"{dangling}:/dangling", image, "ls", "/dangling/"));
        (await Docker.Run("run", "--rm", "-v", $"{file}:/file", image)).Exited(125).Says("is not directory");
    }

    [Fact]
    public async Task A_volume_that_another_container_has_mounted_is_filled_in_place()
    {
        var (image, volume) = (await Filled(), VolumeTests.Volume(Docker, Cleanup, "v"));
        var first = await Sleeper("-v", $"{volume}:/shared");
        Assert.Equal("hi", await Docker.Ok("run", "--rm", "-v", $"{volume}:/data", image, "cat", "/data/f"));
        Assert.Equal("hi", await Docker.Ok("exec", first, "cat", "/shared/f"));
        await Docker.Ok("rm", "-f", first);
    }

    [Fact]
    public async Task Links_of_an_image_lead_no_copy_out_of_it()
    {
        // The place of the volume is a link to the host's /etc, as seen from the image's root or from the volume's directory.
        var image = Image();
        var layer = Archive.Of(Archive.Link("up", "../../../../../../../../etc"), Archive.Link("absolute", "/etc"), Archive.Folder("etc/"), Archive.Text("etc/own", "the image's"), Archive.Folder("bin/"));
        (await Docker.RunWith(new MemoryStream(Archive.Image(image, [layer])), "load")).Ok();
        foreach (var place in new[] { "/up", "/absolute" })
        {
            var (volume, container) = (VolumeTests.Volume(Docker, Cleanup, "v" + place[1..]), Container(place[1..]));
            await Docker.Ok("create", "--name", container, "-v", $"{volume}:{place}", image, "/x");
            var copied = (await Docker.Run("run", "--rm", "-v", $"{volume}:/v", "alpine", "ls", "/v")).Ok().Lines;
            Assert.Contains("own", copied);
            Assert.DoesNotContain("passwd", copied);
        }
    }
}
