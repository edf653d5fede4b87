using System.Diagnostics;
using System.Text.Json.Nodes;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>slipway update of what docker cannot change: mounts, environment, labels.</summary>
public sealed class UpdateMountTests(SharedEngine engine) : SlipwayVolumeTest(engine)
{
    [Fact]
    public async Task Mounts_come_into_a_running_container_and_go()
    {
        var (volume, folder, name) = (Volume(), Folder(), Container());
        await File.WriteAllTextAsync(Path.Combine(folder, "file"), "of the host", Cancellation);
        await Docker.Ok("run", "-d", "--name", name, "-v", $"{volume}:/first", "alpine", "sleep", "1000");
        var before = await Mounts(name);
        Assert.Equal(name, await Slipway(
            "update", "--mount-add", $"type=bind,src={folder},dst=/new/deep,ro", "--mount-add", $"type=bind,src={folder}/file,dst=/etc/one-file", "--mount-add", $"type=volume,src={volume},dst=/second",
            "--mount-add", "type=tmpfs,dst=/memory,tmpfs-size=1m", "--mount-add", "type=image,src=alpine,dst=/image", name));
        Assert.Equal("of the host", await Docker.Ok("exec", name, "cat", "/new/deep/file"));
        Assert.Equal("of the host", await Docker.Ok("exec", name, "cat", "/etc/one-file"));
        (await Docker.Run("exec", name, "sh", "-c", "echo x > /new/deep/file")).Exited(1).Says("Read-only file system");
        await Docker.Ok("exec", name, "sh", "-c", "echo shared > /second/x");
        Assert.Equal("shared", await Docker.Ok("exec", name, "cat", "/first/x"));
        (await Docker.Run("exec", name, "dd", "if=/dev/zero", "of=/memory/x", "bs=1M", "count=2")).Exited(1).Says("No space left on device");
        await Docker.Ok("exec", name, "test", "-x", "/image/bin/busybox");
        Assert.Equal("/etc/one-file /first /image /memory /new/deep /second", await Destinations(name));
        Assert.Equal("false", await Docker.Inspect(name, "{{range .Mounts}}{{if eq .Destination \"/new/deep\"}}{{.RW}}{{end}}{{end}}"));

        // What it has is what it starts with.
        await Docker.Ok("restart", "-t", "0", name);
        Assert.Equal("of the host", await Docker.Ok("exec", name, "cat", "/new/deep/file"));
        Assert.Equal("shared", await Docker.Ok("exec", name, "cat", "/second/x"));
        await Docker.Ok("exec", name, "test", "-x", "/image/bin/busybox");

        await Slipway("update", "--mount-rm", "/new/deep", "--mount-rm", "/etc/one-file", "--mount-rm", "/second", "--mount-rm", "/memory", "--mount-rm", "/image", name);
        Assert.Equal("/first", await Destinations(name));
        Assert.Equal("0", await Docker.Ok("exec", name, "sh", "-c", "ls -A /new/deep /second /memory | grep -c file || true"));
        Assert.Equal(before, await Mounts(name));
        Assert.Equal("shared", await Docker.Ok("exec", name, "cat", "/first/x"));
        (await Docker.Run("volume", "rm", volume)).Exited(1).Says("volume is in use");
        await Slipway("update", "--mount-rm", "/first", name);
        await Docker.Ok("volume", "rm", volume);
    }

    [Fact]
    public async Task A_stopped_container_is_changed_for_its_next_start()
    {
        var (volume, name) = (Volume(), Container());
        await Docker.Ok("create", "--name", name, "-e", "KEEP=1", "-e", "GONE=1", "-e", "SET=old", "--label", "a=1", "--label", "b=2", "--tmpfs", "/t", "-v", "/old", "alpine", "sh", "-c", "env; ls -d /new /old /t; mount");
        await Slipway("update", "-e", "SET=new value", "-e", "GONE", "-e", "MORE=2", "--label-add", "c=3", "--label-rm", "a", "--mount-add", $"type=volume,src={volume},dst=/new", "--mount-rm", "/t", name);
        Assert.Equal("map[b:2 c:3]", await Docker.Inspect(name, "{{.Config.Labels}}"));
        var output = (await Docker.Run("start", "-a", name)).Output;
        Assert.Contains("SET=new value", output, StringComparison.Ordinal);
        Assert.Contains("KEEP=1", output, StringComparison.Ordinal);
        Assert.Contains("MORE=2", output, StringComparison.Ordinal);
        Assert.DoesNotContain("GONE", output, StringComparison.Ordinal);
        Assert.Contains(" on /new ", output, StringComparison.Ordinal);
        Assert.DoesNotContain(" on /t ", output, StringComparison.Ordinal);
        Assert.Equal("0", await Docker.Inspect(name, "{{len .HostConfig.Tmpfs}}"));
        Assert.Equal(name, await Docker.Ok("ps", "-a", "--filter", "label=c=3", "--filter", $"name={name}", "--format", "{{.Names}}"));
    }

    [Theory]
    [InlineData("Duplicate mount point: /first", "--mount-add", "type=tmpfs,dst=/first")]
    [InlineData("nothing is mounted on /nothing", "--mount-rm", "/nothing")]
    [InlineData("bind source path does not exist", "--mount-add", "type=bind,src=/nonexistent-source,dst=/x")]
    [InlineData("inside /proc", "--mount-add", "type=tmpfs,dst=/proc/tty")]
    [InlineData("inside /proc", "--mount-add", "type=tmpfs,dst=/link/x")]
    [InlineData("not a directory", "--mount-add", "type=tmpfs,dst=/etc/passwd")]
    [InlineData("invalid environment variable", "-e", "=x")]
    public async Task What_cannot_be_is_refused_and_changes_nothing(string message, params string[] options)
    {
        var (volume, other, name) = (Volume(), Volume("other"), Container());
        await Docker.Ok("run", "-d", "--name", name, "-v", $"{volume}:/first", "alpine", "sh", "-c", "ln -s /proc /link; exec sleep 1000");
        await Docker.Until(text => text.Contains("link", StringComparison.Ordinal), ["exec", name, "ls", "/"]);
        var before = await Mounts(name);
        (await TrySlipway(["update", "--label-add", "x=y", "--mount-add", $"type=volume,src={other},dst=/a-first", .. options, name])).Exited(1).Says(message);
        Assert.Equal(before, await Mounts(name));
        Assert.Equal("/first", await Destinations(name));
        Assert.Equal("0", await Docker.Inspect(name, "{{len .Config.Labels}}"));
        await Docker.Run("volume", "rm", other);
        (await Docker.Run("volume", "inspect", other)).Exited(1);
    }

    /// <summary>The container exchanges the mount point for links to places outside; a mount lands inside its root or nowhere.</summary>
    [Fact]
    public async Task CVE_2021_30465_A_mount_point_that_is_exchanged_for_a_link_leads_nowhere_else()
    {
        var (folder, name) = (Folder(), Container());
        var victim = Path.Combine(folder, "victim");
        Directory.CreateDirectory(victim);
        await Docker.Ok("run", "-d", "--name", name, "alpine", "sh", "-c",
            $"mkdir /a /b; while :; do rm -rf /a; ln -s /../../../..{victim} /a; rm /a; ln -s /proc /a; rm /a; ln -s /proc/1/root/../..{victim} /a; rm /a; mkdir /a; done 2>/dev/null");
        var own = await Mounts(name);
        for (var clock = Stopwatch.StartNew(); clock.Elapsed < TimeSpan.FromSeconds(4);)
        {
            if ((await TrySlipway("update", "--mount-add", "type=tmpfs,dst=/a/x", name)).ExitCode == 0)
            {
                await TrySlipway("update", "--mount-rm", "/a/x", name);
            }

            if (await Destinations(name) != "")
            {
                // It was covered or moved; the container goes, and another takes its place in the race.
                // Where a link is at that moment, the mount point may be nowhere, and the start is refused.
                var restarted = await Docker.Run("restart", "-t", "0", name);
                await TrySlipway("update", "--mount-rm", "/a/x", name);
                if (restarted.ExitCode != 0)
                {
                    await Docker.Ok("start", name);
                }
            }
        }

        Assert.Empty(Directory.GetFileSystemEntries(victim));
        Assert.False(Directory.Exists("/proc/x"));
        Assert.DoesNotContain(File.ReadLines("/proc/self/mountinfo"), line => line.Contains(victim, StringComparison.Ordinal));
        Assert.Equal(own.Split('\n').Where(line => line.Contains("/proc", StringComparison.Ordinal)), (await Mounts(name)).Split('\n').Where(line => line.Contains("/proc", StringComparison.Ordinal)));
    }

    /// <summary>The path of a mount leads to one of the engine's own masks when it is to be taken off: the mask stays.</summary>
    [Fact]
    public async Task CVE_2025_31133_Masks_are_not_taken_off_in_the_place_of_a_mount()
    {
        var name = Container();
        await Docker.Ok("run", "-d", "--name", name, "alpine", "sleep", "1000");
        await Slipway("update", "--mount-add", "type=tmpfs,dst=/d/acpi", name);
        await Docker.Ok("exec", name, "sh", "-c", "mv /d /moved && ln -s /proc /d");
        var before = await Mounts(name);
        (await TrySlipway("update", "--mount-rm", "/d/acpi", name)).Exited(1).Says("moved, removed or covered");
        Assert.Equal(before, await Mounts(name));
        Assert.Equal("/d/acpi", await Destinations(name));
        await Docker.Ok("exec", name, "sh", "-c", "rm /d && mv /moved /d");
        await Slipway("update", "--mount-rm", "/d/acpi", name);
        Assert.Equal("", await Destinations(name));
    }

    private async Task<string> Destinations(string name) =>
        string.Join(' ', JsonNode.Parse(await Docker.Inspect(name, "{{json .Mounts}}"))!.AsArray().Select(mount => (string)mount!["Destination"]!).Order(StringComparer.Ordinal));

    /// <summary>What the container's first process has mounted, without the numbers.</summary>
    private async Task<string> Mounts(string name) =>
        string.Join('\n', File.ReadLines($"/proc/{await Docker.Inspect(name, "{{.State.Pid}}")}/mountinfo").Select(line => string.Join(' ', line.Split(' ')[3..6])));
}
