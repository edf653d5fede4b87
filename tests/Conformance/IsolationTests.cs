using System.Globalization;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>What a container sees of the world, and what it does not.</summary>
public sealed class IsolationTests(SharedEngine engine) : EngineTest(engine)
{
    private Task<CliResult> Sh(string script, params string[] options) => Docker.Run(["run", "--rm", .. options, "alpine", "sh", "-c", script]);

    [Fact]
    public async Task Program_is_process_1_and_sees_only_its_own()
    {
        var lines = (await Sh("echo $$; ls -d /proc/[0-9]*")).Ok().Lines;
        Assert.Equal("1", lines[0]);
        Assert.InRange(lines.Length, 2, 3);
    }

    [Fact]
    public async Task Host_name_is_the_short_id_and_its_own()
    {
        var name = await Sleeper();
        var id = await Docker.Inspect(name, "{{.Id}}");
        Assert.Equal(id[..12], await Docker.Ok("exec", name, "hostname"));
        Assert.Equal("other", (await Sh("hostname", "-h", "other")).Ok().Line);
        Assert.NotEqual("other", Environment.MachineName);
    }

    [Fact]
    public async Task Mounts_are_its_own_and_complete()
    {
        var mounts = (await Sh("cut -d ' ' -f 5 /proc/self/mountinfo")).Ok().Lines;
        string[] expected = ["/", "/proc", "/dev", "/dev/pts", "/sys", "/sys/fs/cgroup", "/dev/mqueue", "/dev/shm", "/etc/resolv.conf", "/etc/hostname", "/etc/hosts", "/proc/sys", "/proc/keys", "/sys/firmware"];
        Assert.All(expected, path => Assert.Contains(path, mounts));
        Assert.DoesNotContain(mounts, path => path.StartsWith("/var/lib", StringComparison.Ordinal) || path.StartsWith("/run", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Only_the_listed_devices()
    {
        var lines = (await Sh("ls -1 /dev; cat /dev/null; head -c 4 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c; echo full > /dev/full")).Lines;
        Assert.Equal(["fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero", "4", "4"], lines.Where(line => line != "core"));
    }

    [Fact]
    public async Task Kernel_settings_and_masked_files_are_out_of_reach()
    {
        (await Sh("echo x > /proc/sys/kernel/hostname")).Exited(1).Says("Read-only file system");
        Assert.Equal("0", (await Sh("cat /proc/keys /proc/timer_list 2>/dev/null | wc -c")).Ok().Line);
        Assert.Equal("", (await Sh("ls /sys/firmware")).Ok().Line);
        (await Sh("cd /sys/fs/cgroup; if [ -d memory ]; then cd memory; fi; mkdir x")).Exited(1).Says("Read-only file system");
    }

    [Fact]
    public async Task Open_descriptors_are_the_three_standard_ones()
    {
        // 3 is the directory that ls itself reads.
        Assert.Equal(["0", "1", "2", "3"], (await Docker.Run("run", "--rm", "alpine", "ls", "/proc/self/fd")).Ok().Lines);
        var name = await Sleeper();
        Assert.Equal(["0", "1", "2"], (await Docker.Run("exec", name, "ls", "/proc/1/fd")).Ok().Lines);
        Assert.Equal(["0", "1", "2", "3"], (await Docker.Run("exec", name, "ls", "/proc/self/fd")).Ok().Lines);
    }

    [Fact]
    [RunOption("--shm-size")]
    public async Task Volatile_file_systems_have_dockers_options_and_sizes()
    {
        var mounts = (await Sh("cat /proc/self/mounts")).Ok().Lines.Select(line => line.Split(' ')).ToLookup(fields => fields[1], fields => (Type: fields[2], Options: fields[3].Split(',')));
        Assert.Contains("size=65536k", mounts["/dev/shm"].First().Options);
        Assert.All(["nosuid", "nodev", "noexec"], option => Assert.Contains(option, mounts["/dev/shm"].First().Options));
        Assert.All(["nosuid", "nodev", "noexec"], option => Assert.Contains(option, mounts["/proc"].First().Options));
        Assert.Contains("ro", mounts["/sys"].First().Options);
        Assert.Contains("nosuid", mounts["/dev"].First().Options);
        Assert.Equal("overlay", mounts["/"].First().Type);
        Assert.Contains("size=131072k", (await Sh("grep /dev/shm /proc/mounts", "--shm-size", "128m")).Ok().Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Processes_of_others_cannot_be_signalled()
    {
        var pid = Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
        (await Sh($"kill -0 {pid}")).Says("No such process").Exited(1);
    }

    [Fact]
    [RunOption("--read-only", "--tmpfs")]
    public async Task Read_only_root()
    {
        (await Sh("touch /x", "--read-only")).Exited(1).Says("Read-only file system");
        (await Sh("touch /dev/shm/x /run/x", "--read-only", "--tmpfs", "/run")).Ok();
    }

    [Fact]
    [RunOption("--volume")]
    public async Task Bind_mounts_and_volumes()
    {
        var folder = Folder();
        await File.WriteAllTextAsync(Path.Combine(folder, "from-host"), "host", Cancellation);
        Assert.Equal("host", (await Sh("cat /b/from-host; echo container > /b/from-container", "-v", $"{folder}:/b")).Ok().Output);
        Assert.Equal("container\n", await File.ReadAllTextAsync(Path.Combine(folder, "from-container"), Cancellation));
        (await Sh("touch /b/x", "-v", $"{folder}:/b:ro")).Exited(1).Says("Read-only file system");
    }
}
