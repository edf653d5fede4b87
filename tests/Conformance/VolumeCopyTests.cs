using System.Diagnostics;
using System.Text.Json.Nodes;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>slipway volume clone, snapshot, rename and export.</summary>
public sealed class VolumeCopyTests(SharedEngine engine) : SlipwayVolumeTest(engine)
{
    private const string Fill =
        "cd /data; echo one > file; chown 12:34 file; chmod 4750 file; ln file hard; ln -s /etc/passwd soft; mkfifo pipe; mkdir -p deep/er; touch -d 2001-02-03 deep/er/old; dd if=/dev/zero of=holes bs=1 count=1 seek=9999999 2>/dev/null; chmod 1777 .";

    private const string List = "cd /data; stat -c '%n %f %u %g %h' . file hard pipe deep/er holes; stat -c %s holes; readlink soft; stat -c %Y deep/er/old; cat file; [ $(du -k holes | cut -f1) -le 64 ] && echo sparse";

    [Theory]
    [InlineData("", "")]
    [InlineData("32m", "")]
    [InlineData("", "32m")]
    public async Task A_clone_has_all_of_the_content_and_goes_its_own_way(string size, string cloneSize)
    {
        var (volume, clone) = (Volume(), Volume("clone"));
        await Slipway(["volume", "create", .. Size(size), volume]);
        await Docker.Ok("run", "--rm", "-v", $"{volume}:/data", "alpine", "sh", "-c", Fill);
        Assert.Equal(clone, await Slipway(["volume", "clone", .. Size(cloneSize), "--label", "a=b", volume, clone]));
        var original = await Docker.Ok("run", "--rm", "-v", $"{volume}:/data", "alpine", "sh", "-c", List);
        Assert.Contains("one", original, StringComparison.Ordinal);
        Assert.Equal(original, await Docker.Ok("run", "--rm", "-v", $"{clone}:/data", "alpine", "sh", "-c", List));
        await Docker.Ok("run", "--rm", "-v", $"{clone}:/data", "alpine", "sh", "-c", "echo two > /data/file");
        Assert.Equal("one", await Docker.Ok("run", "--rm", "-v", $"{volume}:/data", "alpine", "cat", "/data/file"));
        var shown = JsonNode.Parse(await Slipway("volume", "inspect", clone))![0]!;
        Assert.Equal("b", (string?)shown["Labels"]!["a"]);
        Assert.Equal(size.Length + cloneSize.Length > 0, shown["Options"]?["size"] is not null);
        (await TrySlipway("volume", "clone", volume, clone)).Exited(1).Says("there is a volume of this name");
    }

    [Fact]
    public async Task A_clone_that_does_not_fit_leaves_nothing()
    {
        var (volume, clone) = (Volume(), Volume("clone"));
        await Docker.Ok("run", "--rm", "-v", $"{volume}:/data", "alpine", "dd", "if=/dev/urandom", "of=/data/x", "bs=1M", "count=20");
        (await TrySlipway("volume", "clone", "--size", "8m", volume, clone)).Exited(1).Says("no space left on device");
        (await Docker.Run("volume", "inspect", clone)).Exited(1);
        Assert.False(Directory.Exists($"{DataRoot}/volumes/{clone}"));
        Assert.Equal(volume, await Docker.Ok("volume", "rm", volume));
        (await TrySlipway("volume", "clone", volume, clone)).Exited(1).Says("no such volume");
    }

    /// <summary>Two files are written in turn; a state in which the second is ahead never was.</summary>
    [Fact]
    public async Task A_snapshot_of_a_volume_in_use_is_of_one_instant_and_only_read()
    {
        var (volume, writer) = (Volume(), Container("writer"));
        await Docker.Ok("run", "-d", "--name", writer, "-v", $"{volume}:/data", "alpine", "sh", "-c",
            "cd /data; mkdir many; for i in $(seq 300); do echo > many/$i; done; i=0; while :; do i=$((i+1)); echo $i > z; echo $i > a; echo $i > ready; done");
        await Docker.Until(text => text.Length > 0, ["exec", writer, "sh", "-c", "cat /data/ready 2>/dev/null || true"]);
        for (var round = 0; round < 5; round++)
        {
            var snapshot = await Slipway("volume", "snapshot", volume);
            Cleanup(() => Docker.Run("volume", "rm", "-f", snapshot));
            Assert.StartsWith(volume + "-20", snapshot, StringComparison.Ordinal);
            var seen = (await Docker.Run("run", "--rm", "-v", $"{snapshot}:/s", "alpine", "sh", "-c", "cat /s/a /s/z; echo x > /s/a || echo refused")).Ok();

            // The shell truncates before it writes, so that the file of the step at hand may be empty.
            var numbers = seen.Lines.Where(line => line.All(char.IsAsciiDigit) && line.Length > 0).Select(int.Parse).ToList();
            Assert.InRange(numbers.Count, 1, 2);
            Assert.True(numbers.Count == 1 || numbers[1] - numbers[0] is 0 or 1, seen.ToString());
            Assert.Contains("refused", seen.Output, StringComparison.Ordinal);
            Assert.Contains("Read-only file system", seen.Error, StringComparison.Ordinal);
            Assert.Equal(snapshot, await Docker.Ok("volume", "ls", "-q", "--filter", $"label=io.slipway.snapshot.of={volume}", "--filter", $"name={snapshot}"));
        }

        Assert.Equal("running", await Docker.Inspect(writer, "{{.State.Status}}"));
        var before = int.Parse("0" + await Docker.Ok("exec", writer, "cat", "/data/ready"));
        await Docker.Until(text => int.TryParse(text, out var now) && now > before, ["exec", writer, "cat", "/data/ready"]);
    }

    [Fact]
    public async Task A_volume_is_renamed_when_no_container_names_it()
    {
        var (volume, other, renamed, container) = (Volume(), Volume("other"), Volume("renamed"), Container());
        await Slipway("volume", "create", "--label", "a=b", "--size", "8m", volume);
        await Docker.Ok("volume", "create", other);
        await Docker.Ok("run", "--name", container, "-v", $"{volume}:/data", "alpine", "sh", "-c", "echo kept > /data/file");
        (await TrySlipway("volume", "rename", volume, renamed)).Exited(1).Says("volume is in use");
        await Docker.Ok("rm", container);
        (await TrySlipway("volume", "rename", volume, other)).Exited(1).Says("there is a volume of this name");
        (await TrySlipway("volume", "rename", volume, volume)).Exited(1).Says("there is a volume of this name");
        (await TrySlipway("volume", "rename", volume, "../x")).Exited(1).Says("includes invalid characters");
        (await TrySlipway("volume", "rename", renamed, other)).Exited(1).Says("no such volume");
        await Slipway("volume", "rename", volume, renamed);
        (await Docker.Run("volume", "inspect", volume)).Exited(1).Says("no such volume");
        Assert.Equal($"b 8m {PathOf(renamed)}", await Docker.Ok("volume", "inspect", "-f", "{{.Labels.a}} {{.Options.size}} {{.Mountpoint}}", renamed));
        Assert.Equal("kept", await Docker.Ok("run", "--rm", "-v", $"{renamed}:/data", "alpine", "cat", "/data/file"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("16m")]
    public async Task An_export_is_a_tar_that_tar_and_cp_understand(string size)
    {
        var (volume, folder, copy) = (Volume(), Folder(), Container("copy"));
        await Slipway(["volume", "create", .. Size(size), volume]);
        await Docker.Ok("run", "--rm", "-v", $"{volume}:/data", "alpine", "sh", "-c", Fill);
        var archive = Path.Combine(folder, "volume.tar");
        await Slipway("volume", "export", "-o", archive, volume);
        var names = (await Programs.Run("tar", ["--numeric-owner", "-tvf", archive])).Ok().Output;
        Assert.Contains("hard link to file", names, StringComparison.Ordinal);
        Assert.Contains("soft -> /etc/passwd", names, StringComparison.Ordinal);
        Assert.Contains("-rwsr-x--- 12/34 ", names, StringComparison.Ordinal);
        Assert.DoesNotContain("lost+found", names, StringComparison.Ordinal);
        await Docker.Ok("create", "--name", copy, "-v", "/data", "alpine", "true");
        await using var stream = File.OpenRead(archive);
        (await Docker.RunWith(stream, "cp", "-a", "-", $"{copy}:/data")).Ok();
        var list = "cd /data; stat -c '%n %f %h %s' file hard pipe; cat file";
        Assert.Equal(
            await Docker.Ok("run", "--rm", "-v", $"{volume}:/data", "alpine", "sh", "-c", list),
            await Docker.Ok("run", "--rm", "--volumes-from", copy, "alpine", "sh", "-c", list));
        (await TrySlipway("volume", "export", "-o", archive, "nosuch")).Exited(1).Says("no such volume");
    }

    /// <summary>Who writes into the volume exchanges a directory for a link to the host's while it is read: neither a copy nor an export follows it.</summary>
    [Fact]
    public async Task CVE_2018_15664_Copies_follow_no_link_that_is_exchanged_meanwhile()
    {
        var (volume, attacker) = (Volume(), Container("attacker"));
        var secret = Path.Combine(Folder(), "host-secret-dir");
        Directory.CreateDirectory(secret);
        await File.WriteAllTextAsync(Path.Combine(secret, "secret"), "of the host", Cancellation);
        await Docker.Ok("run", "-d", "--name", attacker, "-v", $"{volume}:/data", "alpine", "sh", "-c",
            $"cd /data; mkdir d; echo mine > d/mine; while :; do mv d e; ln -s {secret} d; rm d; ln -s /proc/1/root{secret} d; rm d; mv e d; done");
        await Docker.Until(text => text.Contains("mine", StringComparison.Ordinal), ["exec", attacker, "sh", "-c", "cat /data/?/mine 2>/dev/null || true"]);
        for (var clock = Stopwatch.StartNew(); clock.Elapsed < TimeSpan.FromSeconds(3);)
        {
            var copy = await Slipway("volume", "snapshot", "--pause=false", volume);
            Cleanup(() => Docker.Run("volume", "rm", "-f", copy));
            Assert.Empty(Directory.GetFiles(PathOf(copy), "secret", new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint }));
            var export = Path.Combine(Folder(), "x.tar");
            if ((await TrySlipway("volume", "export", "-o", export, volume)).ExitCode == 0)
            {
                Assert.DoesNotContain("of the host", await File.ReadAllTextAsync(export, Cancellation), StringComparison.Ordinal);
            }
        }
    }

    private static string[] Size(string size) => size.Length > 0 ? ["--size", size] : [];
}
