using System.Globalization;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>Volumes that hold no more than they were given, on a file system of any kind.</summary>
public sealed class VolumeSizeTests(SharedEngine engine) : SlipwayVolumeTest(engine)
{
    [Fact]
    public async Task A_volume_of_a_size_holds_no_more_and_gives_back_what_is_deleted()
    {
        var volume = Volume();
        Assert.Equal(volume, await Slipway("volume", "create", "--size", "64m", volume));
        Assert.Equal("64m", await Docker.Ok("volume", "inspect", "-f", "{{.Options.size}}", volume));
        var (full, container) = (await Docker.Run("run", "--rm", "-v", $"{volume}:/data", "alpine", "sh", "-c", "ls -A /data; dd if=/dev/zero of=/data/big bs=1M count=100"), Container());
        Assert.Equal(1, full.ExitCode);
        Assert.Contains("No space left on device", full.Error, StringComparison.Ordinal);
        Assert.Equal("", full.Output);

        // Zeros that were written are kept by the volume's file system; the host's file shrinks again when they are deleted, also just before the last unmount.
        await Docker.Ok("run", "--rm", "-v", $"{volume}:/data", "alpine", "sh", "-c", "rm /data/big; echo kept > /data/small");
        await WithoutMount(volume);
        Assert.InRange(await Allocated(volume), 0, 8 << 20);
        await Docker.Ok("run", "-d", "--name", container, "-v", $"{volume}:/data", "alpine", "sleep", "1000");
        Assert.Equal("kept", await Docker.Ok("exec", container, "cat", "/data/small"));
        Assert.Equal("true", await Docker.Ok("exec", container, "sh", "-c", "[ $(df -Pk /data | awk 'NR==2{print $2}') -lt 65536 ] && echo true"));
        await Docker.Ok("rm", "-f", container);
        Assert.Equal(volume, await Docker.Ok("volume", "rm", volume));
        Assert.False(Directory.Exists(Directory.GetParent(PathOf(volume))!.FullName));
    }

    [Fact]
    public async Task The_ledger_says_what_its_file_takes()
    {
        var volume = Volume();
        await Docker.Ok("volume", "create", "-o", "size=64m", volume);
        await Docker.Ok("run", "--rm", "-v", $"{volume}:/data", "alpine", "dd", "if=/dev/urandom", "of=/data/x", "bs=1M", "count=5");
        await WithoutMount(volume);
        var directory = Directory.GetParent(PathOf(volume))!.FullName;
        var counted = (await Slipway("system", "df", "--ledger", "--format", "{{.Kind}} {{.ID}} {{.Bytes}}")).Split('\n').Single(line => line.Contains(volume, StringComparison.Ordinal)).Split(' ')[^1];
        var du = (await Programs.Run("du", ["-s", "--block-size=1", directory])).Ok().Line.Split('\t')[0];
        Assert.Equal(du, counted);
        Assert.InRange(long.Parse(du, CultureInfo.InvariantCulture), 5 << 20, 10 << 20);
    }

    [Fact]
    public async Task It_is_filled_from_the_image_as_any_other_and_shared_between_containers()
    {
        var (volume, first, second) = (Volume(), Container("a"), Container("b"));
        await Docker.Ok("volume", "create", "-o", "size=16m", volume);
        await Docker.Ok("run", "-d", "--name", first, "-v", $"{volume}:/etc/apk", "alpine", "sleep", "1000");
        await Docker.Ok("run", "-d", "--name", second, "-v", $"{volume}:/other", "alpine", "sleep", "1000");
        Assert.Contains("repositories", await Docker.Ok("exec", second, "ls", "/other"), StringComparison.Ordinal);
        await Docker.Ok("exec", first, "sh", "-c", "echo here > /etc/apk/new");
        Assert.Equal("here", await Docker.Ok("exec", second, "cat", "/other/new"));
        await Docker.Ok("rm", "-f", first);
        Assert.Equal("here", await Docker.Ok("exec", second, "cat", "/other/new"));
    }

    /// <summary>Two devices of one file would be two caches of one disk: each destroys what the other writes.</summary>
    [Fact]
    public async Task A_mount_that_a_container_has_kept_does_not_become_a_second_disk()
    {
        var (volume, keeper, user, again) = (Volume(), Container("keeper"), Container("user"), Container("again"));
        await Docker.Ok("volume", "create", "-o", "size=16m", volume);
        await Docker.Ok("run", "-d", "--name", user, "-v", $"{volume}:/data", "alpine", "sleep", "1000");

        // It has a copy of all of the host's mounts, as long as it lives.
        await Docker.Ok("run", "-d", "--name", keeper, "-v", $"{DataRoot}/volumes:/host", "alpine", "sleep", "1000");
        await Docker.Ok("rm", "-f", user);
        await WithoutMount(volume);
        await Docker.Ok("exec", keeper, "sh", "-c", $"echo one > /host/{volume}/_data/file");
        await Docker.Ok("run", "-d", "--name", again, "-v", $"{volume}:/data", "alpine", "sleep", "1000");
        Assert.Equal("one", await Docker.Ok("exec", again, "cat", "/data/file"));
        await Docker.Ok("exec", again, "sh", "-c", "echo two > /data/file");
        Assert.Equal("two", await Docker.Ok("exec", keeper, "cat", $"/host/{volume}/_data/file"));
    }

    [Theory]
    [InlineData("at least 4 MiB", "-o", "size=1m")]
    [InlineData("invalid size: '-5m'", "-o", "size=-5m")]
    [InlineData("option \"size\" cannot be combined", "-o", "size=8m", "-o", "type=tmpfs", "-o", "device=tmpfs")]
    public async Task Sizes_that_make_no_sense_are_refused_and_leave_nothing(string message, params string[] options)
    {
        var volume = Volume();
        (await Docker.Run(["volume", "create", .. options, volume])).Exited(1).Says(message);
        (await Docker.Run("volume", "inspect", volume)).Exited(1);
        Assert.False(Directory.Exists($"{DataRoot}/volumes/{volume}"));
    }

    private async Task<long> Allocated(string volume) =>
        long.Parse((await Programs.Run("stat", ["-c", "%b", $"{DataRoot}/volumes/{volume}/disk.img"])).Ok().Line, CultureInfo.InvariantCulture) * 512;
}
