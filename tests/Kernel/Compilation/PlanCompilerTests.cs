using Slipway.Kernel.Files;
using Slipway.Oci.Runtime;
using Slipway.Runtime.Compilation;
using Slipway.Tests.Kernel.Mounts;
using Xunit;

namespace Slipway.Tests.Kernel.Compilation;

public sealed class PlanCompilerTests : IDisposable
{
    private readonly TestContainer _container = new();

    public void Dispose() => _container.Dispose();

    private async Task<string> Output(Spec spec)
    {
        Ended ended = await _container.Run(spec);
        Assert.Null(ended.Failure);
        Assert.Equal(0, ended.ExitCode);
        return ended.Output;
    }

    [Fact]
    public async Task A_container_has_its_own_processes_name_and_root()
    {
        string output = await Output(TestContainer.Shell("echo $$; hostname; ls /; id -u; pwd"));
        Assert.StartsWith("1\nweb\nbin\ndev\netc\nproc\nroot\nsys\ntmp\n0\n/\n", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_exit_code_is_the_programs() => Assert.Equal(42, (await _container.Run(TestContainer.Shell("exit 42"))).ExitCode);

    [Fact]
    public async Task Mounts_are_those_of_the_specification_and_no_others()
    {
        string output = await Output(TestContainer.Shell("cut -d' ' -f5,6 /proc/self/mountinfo | sort; cut -d' ' -f5- /proc/self/mountinfo | sed 's/.* - //' | sort -u"));
        string[] lines = output.Split('\n');
        foreach (string mount in new[]
        {
            "/ rw,relatime", "/proc rw,nosuid,nodev,noexec,relatime", "/dev rw,nosuid", "/dev/pts rw,nosuid,noexec,relatime",
            "/sys ro,nosuid,nodev,noexec,relatime", "/dev/mqueue rw,nosuid,nodev,noexec,relatime", "/dev/shm rw,nosuid,nodev,noexec,relatime",
            "/proc/sys ro,nosuid,nodev,noexec,relatime", "/proc/bus ro,nosuid,nodev,noexec,relatime",
        })
        {
            Assert.Contains(mount, lines);
        }

        Assert.Contains("devpts devpts rw,gid=5,mode=620,ptmxmode=666", lines);
        Assert.Contains("tmpfs shm rw,size=65536k", lines);
        Assert.Contains("tmpfs tmpfs rw,size=65536k,mode=755", lines);
        Assert.DoesNotContain(lines, line => line.Contains("ext4", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Devices_and_links_are_dockers()
    {
        string output = await Output(TestContainer.Shell("cd /dev; for f in *; do stat -c '%F %a %t:%T %N' $f; done"));
        foreach (string line in new[]
        {
            "character special file 666 1:3 null", "character special file 666 1:5 zero", "character special file 666 1:7 full",
            "character special file 666 1:8 random", "character special file 666 1:9 urandom", "character special file 666 5:0 tty",
            "symbolic link 777 0:0 'fd' -> '/proc/self/fd'", "symbolic link 777 0:0 'ptmx' -> 'pts/ptmx'", "symbolic link 777 0:0 'stderr' -> '/proc/self/fd/2'",
        })
        {
            Assert.Contains(line, output, StringComparison.Ordinal);
        }

        Assert.DoesNotContain("console", output, StringComparison.Ordinal);
        Assert.Equal("ok\n", await Output(TestContainer.Shell("echo x > /dev/null && head -c 4 /dev/zero | wc -c | grep -q 4 && echo ok")));
    }

    [Fact]
    public async Task Masked_paths_are_empty_and_read_only_paths_cannot_be_written()
    {
        string output = await Output(TestContainer.Shell(
            "ls /sys/firmware /proc/acpi | grep -v : ; cat /proc/keys /proc/timer_list | wc -c; "
            + "touch /sys/firmware/x /proc/acpi/x 2>&1 | grep -c Read-only; (echo x > /proc/sys/kernel/hostname) 2>&1; touch /sys/x 2>&1; true"));
        Assert.Contains("\n0\n", "\n" + output, StringComparison.Ordinal);
        Assert.Contains("can't create /proc/sys/kernel/hostname: Read-only file system", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task No_descriptor_but_the_standard_streams_reaches_the_program()
    {
        Assert.Equal("0 1 2 3\n", await Output(TestContainer.Shell("cd /proc/self/fd; echo *"))); // 3 is the shell's own directory handle.
        Assert.Equal("0\n1\n2\n", await Output(TestContainer.Shell("for i in $(seq 0 64); do [ -e /proc/$$/fd/$i ] && echo $i; done; true")));
    }

    [Fact]
    public async Task Credentials_are_set()
    {
        Spec spec = TestContainer.Shell("grep -E '^(Cap|NoNew|Groups|Uid|Gid)' /proc/self/status; umask");
        string root = await Output(spec);
        Assert.Contains("CapPrm:\t00000000a80425fb\nCapEff:\t00000000a80425fb\nCapBnd:\t00000000a80425fb\nCapAmb:\t0000000000000000\n", root, StringComparison.Ordinal);
        Assert.Contains("NoNewPrivs:\t0", root, StringComparison.Ordinal);
        Assert.EndsWith("0022\n", root, StringComparison.Ordinal);

        string user = await Output(spec with
        {
            Process = spec.Process with { User = new UserSpec(1000, 1001) { AdditionalGids = [1001, 7, 9], Umask = 0x3F }, NoNewPrivileges = true },
        });
        Assert.Contains("Uid:\t1000\t1000\t1000\t1000\nGid:\t1001\t1001\t1001\t1001\n", user, StringComparison.Ordinal);
        Assert.Contains("Groups:\t7 9 1001", user, StringComparison.Ordinal);
        Assert.Contains("CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t00000000a80425fb\n", user, StringComparison.Ordinal);
        Assert.Contains("NoNewPrivs:\t1", user, StringComparison.Ordinal);
        Assert.EndsWith("0077\n", user, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Ambient_capabilities_reach_an_ordinary_user()
    {
        Spec spec = TestContainer.Shell("grep -E '^Cap(Eff|Amb)' /proc/self/status");
        string[] one = ["CAP_NET_BIND_SERVICE"];
        string output = await Output(spec with
        {
            Process = spec.Process with
            {
                User = new UserSpec(1000, 1000),
                Capabilities = new CapabilitySets { Bounding = one, Effective = one, Permitted = one, Inheritable = one, Ambient = one },
            },
        });
        Assert.Equal("CapEff:\t0000000000000400\nCapAmb:\t0000000000000400\n", output);
    }

    [Fact]
    public async Task Binds_of_files_and_directories_with_their_options()
    {
        File.WriteAllText(Path.Combine(_container.Scratch, "hosts"), "from the host\n");
        Directory.CreateDirectory(Path.Combine(_container.Scratch, "data/sub"));
        Spec spec = TestContainer.Shell("cat /etc/hosts; touch /data/x; touch /ro/y 2>&1; ls /deep/er; grep -o '/ro r[ow],[a-z,]*' /proc/self/mountinfo");
        string output = await Output(spec with
        {
            Mounts =
            [
                .. spec.Mounts,
                new MountSpec("/etc/hosts", "bind", Path.Combine(_container.Scratch, "hosts"), ["rbind", "rprivate"]),
                new MountSpec("/data", "bind", Path.Combine(_container.Scratch, "data"), ["rbind", "rprivate"]),
                new MountSpec("/ro", "bind", Path.Combine(_container.Scratch, "data"), ["rbind", "ro", "nosuid", "noexec"]),
                new MountSpec("/deep/er", "bind", Path.Combine(_container.Scratch, "data"), ["bind"]),
            ],
        });
        Assert.StartsWith("from the host\ntouch: /ro/y: Read-only file system\nsub\nx\n/ro ro,nosuid,noexec", output, StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Combine(_container.Scratch, "data/x")));
    }

    [Fact]
    public async Task Mount_points_inside_other_mounts_are_made_there()
    {
        Directory.CreateDirectory(Path.Combine(_container.Scratch, "data"));
        File.WriteAllText(Path.Combine(_container.Scratch, "file"), "nested\n");
        Spec spec = TestContainer.Shell("cat /t/a/file /dev/shm/here/file /link/file");
        DirectoryEntry.CreateSymbolicLink(_container.Upper.Descriptor, "link", "/data/inner");
        string output = await Output(spec with
        {
            Mounts =
            [
                .. spec.Mounts,
                new MountSpec("/t", "tmpfs", "tmpfs", ["size=1m"]),
                new MountSpec("/t/a/file", "bind", Path.Combine(_container.Scratch, "file"), ["bind"]),
                new MountSpec("/dev/shm/here/file", "bind", Path.Combine(_container.Scratch, "file"), ["bind"]),
                new MountSpec("/data", "bind", Path.Combine(_container.Scratch, "data"), ["bind"]),
                new MountSpec("/link/file", "bind", Path.Combine(_container.Scratch, "file"), ["bind"]),
            ],
        });
        Assert.Equal("nested\nnested\nnested\n", output);
        Assert.True(File.Exists(Path.Combine(_container.Scratch, "data/inner/file")));
    }

    [Fact]
    public async Task A_dangling_link_gets_its_target_made()
    {
        File.WriteAllText(Path.Combine(_container.Scratch, "resolv.conf"), "nameserver 10.0.0.1\n");
        _container.Upper.EnsureDirectory("etc").Descriptor!.Dispose();
        using (var etc = _container.Upper.Open("etc", OpenFlags.Path))
        {
            DirectoryEntry.CreateSymbolicLink(etc, "resolv.conf", "../run/systemd/resolve/stub-resolv.conf");
        }

        Spec spec = TestContainer.Shell("cat /etc/resolv.conf; readlink /etc/resolv.conf");
        string output = await Output(spec with { Mounts = [.. spec.Mounts, new MountSpec("/etc/resolv.conf", "bind", Path.Combine(_container.Scratch, "resolv.conf"), ["bind"])] });
        Assert.Equal("nameserver 10.0.0.1\n../run/systemd/resolve/stub-resolv.conf\n", output);
    }

    [Fact]
    public async Task A_read_only_root_still_gets_its_mount_points()
    {
        Spec spec = TestContainer.Shell("touch /x 2>&1; touch /new/x && echo written");
        Ended ended = await _container.Run(spec with { Root = new RootSpec("", true), Mounts = [.. spec.Mounts, new MountSpec("/new", "tmpfs", "tmpfs", [])] });
        Assert.Equal("touch: /x: Read-only file system\nwritten\n", ended.Output);
    }

    [Fact]
    public async Task Sysctls_reach_the_containers_namespaces_only()
    {
        string before = File.ReadAllText("/proc/sys/net/ipv4/ip_unprivileged_port_start");
        Spec spec = TestContainer.Shell("cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ping_group_range /proc/sys/kernel/shm_rmid_forced");
        string output = await Output(spec with
        {
            Linux = spec.Linux with
            {
                Sysctl = new Dictionary<string, string>
                {
                    ["net.ipv4.ip_unprivileged_port_start"] = "7", ["net.ipv4.ping_group_range"] = "0 2147483647", ["kernel.shm_rmid_forced"] = "1",
                },
            },
        });
        Assert.Equal("7\n0\t2147483647\n1\n", output);
        Assert.Equal(before, File.ReadAllText("/proc/sys/net/ipv4/ip_unprivileged_port_start"));
    }

    [Fact]
    public void Settings_that_the_network_namespace_has_are_not_written_again()
    {
        Spec spec = TestContainer.Spec("true");
        Dictionary<string, string> wanted = new()
        {
            ["net.ipv4.ip_unprivileged_port_start"] = "0", ["net.ipv4.ping_group_range"] = "0 7", ["kernel.shm_rmid_forced"] = "1",
        };
        Dictionary<string, string> present = new() { ["net.ipv4.ip_unprivileged_port_start"] = "0", ["net.ipv4.ping_group_range"] = "0 2147483647" };
        Assert.Equal(["ping_group_range \"0 7\"", "shm_rmid_forced \"1\""], Written(present));
        Assert.Equal(["ip_unprivileged_port_start \"0\"", "ping_group_range \"0 7\"", "shm_rmid_forced \"1\""], Written(null));

        string[] Written(Dictionary<string, string>? settings)
        {
            using CompiledPlan plan = PlanCompiler.Compile(
                spec with { Linux = spec.Linux with { Sysctl = wanted } }, _container.Context() with { NetworkSettings = settings });
            return [.. plan.Plan.Steps.Select(step => step.Description).Where(text => text.StartsWith("write sys/", StringComparison.Ordinal)).Select(text => text[(text.LastIndexOf('/') + 1)..]).Order(StringComparer.Ordinal)];
        }
    }

    [Fact]
    public async Task Limits_and_working_directory()
    {
        Spec spec = TestContainer.Shell("ulimit -n; ulimit -Hn; pwd; stat -c %a /made/here");
        string output = await Output(spec with { Process = spec.Process with { Cwd = "/made/here", Rlimits = [new RlimitSpec("RLIMIT_NOFILE", 100, 200)] } });
        Assert.Equal("100\n200\n/made/here\n755\n", output);
    }

    [Fact]
    public async Task A_limit_of_files_that_the_plan_itself_would_pass_holds_for_the_program()
    {
        Spec spec = TestContainer.Shell("ulimit -n");
        Assert.Equal("4\n", await Output(spec with { Process = spec.Process with { Rlimits = [new RlimitSpec("RLIMIT_NOFILE", 4, 4)] } }));
    }

    [Fact]
    public async Task The_loopback_of_a_new_network_is_up() =>
        Assert.Contains("LOOPBACK,UP", await Output(TestContainer.Shell("ip link")), StringComparison.Ordinal);

    [Fact]
    public async Task A_terminal_is_the_containers_own()
    {
        Spec spec = TestContainer.Shell("tty > /out; stat -c '%t:%T' /dev/console >> /out; stty size >> /out; ls /dev/pts >> /out; cut -d' ' -f5 /proc/self/mountinfo | grep console >> /out");
        CompiledPlan plan = _container.Compile(spec with { Process = spec.Process with { Terminal = true, ConsoleSize = new ConsoleSize(33, 77) } });
        using var terminal = plan.Terminal;
        Assert.NotNull(terminal);
        await using Running running = await _container.Start(plan);
        Assert.Equal(0, (await running.Wait()).ExitCode);
        Assert.Equal("/dev/pts/0\n88:0\n33 77\n0\nptmx\n/dev/console\n", System.Text.Encoding.UTF8.GetString(_container.Upper.ReadFile("out", 1000)));
    }

    [Fact]
    public async Task Nothing_is_left_on_the_host()
    {
        string[] mounts = HostMounts.Besides(_container.Scratch);
        await Output(TestContainer.Shell("true"));
        Assert.Equal(mounts, HostMounts.Besides(_container.Scratch));
    }
}
