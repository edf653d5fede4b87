using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>Capabilities, seccomp and no_new_privs: Docker's defaults, and the options that change them.</summary>
public sealed class SecurityTests(SharedEngine engine) : EngineTest(engine)
{
    // chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap, net_bind_service, net_raw, sys_chroot, mknod, audit_write, setfcap.
    private const ulong DefaultCapabilities = 0xa80425fb;
    private const ulong NetAdmin = 1UL << 12;
    private const ulong Chown = 1UL << 0;

    private async Task<ulong> Capabilities(string set, params string[] options) =>
        Convert.ToUInt64(await Docker.Ok(["run", "--rm", .. options, "alpine", "sh", "-c", $"grep {set}: /proc/self/status | cut -f 2"]), 16);

    [Theory]
    [InlineData("CapEff", DefaultCapabilities)]
    [InlineData("CapPrm", DefaultCapabilities)]
    [InlineData("CapBnd", DefaultCapabilities)]
    [InlineData("CapInh", 0)]
    [InlineData("CapAmb", 0)]
    public async Task Default_capability_sets_are_dockers(string set, ulong expected) => Assert.Equal(expected, await Capabilities(set));

    [Fact]
    [RunOption("--cap-add", "--cap-drop")]
    public async Task Cap_add_and_cap_drop()
    {
        Assert.Equal(DefaultCapabilities | NetAdmin, await Capabilities("CapEff", "--cap-add", "NET_ADMIN"));
        Assert.Equal(DefaultCapabilities & ~Chown, await Capabilities("CapEff", "--cap-drop", "CAP_CHOWN"));
        Assert.Equal(NetAdmin, await Capabilities("CapBnd", "--cap-drop", "ALL", "--cap-add", "net_admin"));
        Assert.Equal(0UL, await Capabilities("CapEff", "--cap-drop", "all"));
    }

    [Fact]
    public async Task CVE_2022_24769_CVE_2022_29162_inheritable_and_ambient_capabilities_are_empty_in_run_and_exec()
    {
        string[] show = ["grep", "-E", "^Cap(Inh|Amb):", "/proc/self/status"];
        string[] none = ["CapInh:\t0000000000000000", "CapAmb:\t0000000000000000"];
        Assert.Equal(none, (await Docker.Run(["run", "--rm", "alpine", .. show])).Ok().Lines);
        Assert.Equal(none, (await Docker.Run(["run", "--rm", "--privileged", "-u", "1000", "alpine", .. show])).Ok().Lines);
        var sleeper = await Sleeper();
        Assert.Equal(none, (await Docker.Run(["exec", sleeper, .. show])).Ok().Lines);
        Assert.Equal(none, (await Docker.Run(["exec", "--privileged", "-u", "1000", sleeper, .. show])).Ok().Lines);
    }

    [Fact]
    public async Task User_other_than_root_has_none_but_keeps_the_bounding_set()
    {
        Assert.Equal(0UL, await Capabilities("CapEff", "-u", "1000"));
        Assert.Equal(DefaultCapabilities, await Capabilities("CapBnd", "-u", "1000"));
    }

    [Fact]
    [RunOption("--privileged")]
    public async Task Privileged_has_all_that_the_host_has_no_filter_and_writable_kernel_settings()
    {
        var host = (await Programs.Run("sh", ["-c", "grep CapEff: /proc/self/status | cut -f 2"])).Ok().Line;
        Assert.Equal(Convert.ToUInt64(host, 16), await Capabilities("CapEff", "--privileged"));
        var lines = (await Docker.Run("run", "--rm", "--privileged", "alpine", "sh", "-c", "grep Seccomp: /proc/self/status; mount -t tmpfs none /mnt && echo mounted; grep ' /sys ' /proc/mounts; ls /dev | wc -l")).Ok().Lines;
        Assert.Equal("Seccomp:\t0", lines[0]);
        Assert.Equal("mounted", lines[1]);
        Assert.StartsWith("sysfs /sys sysfs rw", lines[2], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Seccomp_filter_is_on_by_default_and_can_be_taken_off()
    {
        const string mode = "grep Seccomp: /proc/self/status | cut -f 2";
        Assert.Equal("2", await Docker.Ok("run", "--rm", "alpine", "sh", "-c", mode));
        Assert.Equal("0", await Docker.Ok("run", "--rm", "--security-opt", "seccomp=unconfined", "alpine", "sh", "-c", mode));
        Assert.Equal("2", await Docker.Ok("exec", await Sleeper(), "sh", "-c", mode));
    }

    [Fact]
    public async Task Default_filter_denies_a_user_namespace()
    {
        (await Docker.Run("run", "--rm", "alpine", "unshare", "-U", "true")).Exited(1).Says("Operation not permitted");
        await Docker.Ok("run", "--rm", "--security-opt", "seccomp=unconfined", "alpine", "unshare", "-U", "true");
    }

    [Fact]
    public async Task Default_filter_denies_mount_until_the_capability_is_given()
    {
        (await Docker.Run("run", "--rm", "alpine", "mount", "-t", "tmpfs", "none", "/mnt")).Says("ermission denied");
        await Docker.Ok("run", "--rm", "--cap-add", "SYS_ADMIN", "--security-opt", "apparmor=unconfined", "alpine", "mount", "-t", "tmpfs", "none", "/mnt");
    }

    [Fact]
    [RunOption("--security-opt")]
    public async Task Own_seccomp_profile()
    {
        var profile = Path.Combine(Folder(), "no-mkdir.json");
        await File.WriteAllTextAsync(profile, """{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":13}]}""", Cancellation);
        (await Docker.Run("run", "--rm", "--security-opt", $"seccomp={profile}", "alpine", "mkdir", "/x")).Exited(1).Says("Permission denied");
        await Docker.Ok("run", "--rm", "--security-opt", $"seccomp={profile}", "alpine", "touch", "/x");
    }

    [Theory]
    [InlineData("{")]
    [InlineData("{\"defaultAction\":\"SCMP_ACT_NOPE\"}")]
    [InlineData("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],\"action\":\"NOPE\"}]}")]
    public async Task Bad_seccomp_profile_is_an_error(string json)
    {
        var profile = Path.Combine(Folder(), "bad.json");
        await File.WriteAllTextAsync(profile, json, Cancellation);
        (await Docker.Run("run", "--rm", "--security-opt", $"seccomp={profile}", "alpine", "true")).Exited(125);
    }

    [Fact]
    public async Task No_new_privileges()
    {
        const string flag = "grep NoNewPrivs: /proc/self/status | cut -f 2";
        Assert.Equal("0", await Docker.Ok("run", "--rm", "alpine", "sh", "-c", flag));
        Assert.Equal("1", await Docker.Ok("run", "--rm", "--security-opt", "no-new-privileges", "alpine", "sh", "-c", flag));
    }

    [Fact]
    [RunOption("--group-add")]
    public async Task Groups_of_the_user_are_set_and_can_be_added()
    {
        Assert.Contains("10", (await Docker.Ok("run", "--rm", "alpine", "id", "-G")).Split(' '));
        Assert.Equal("1000 7 8", await Docker.Ok("run", "--rm", "-u", "1:1000", "--group-add", "7", "--group-add", "8", "alpine", "id", "-G"));
    }

    [Fact]
    public async Task CVE_2024_40635_user_number_beyond_the_range_is_refused()
    {
        foreach (var user in new[] { "4294967296", "2147483648", "-1", "0:4294967296" })
        {
            (await Docker.Run("run", "--rm", "-u", user, "alpine", "id")).Exited(125);
        }
    }

    [Theory]
    [InlineData("run")]
    [InlineData("exec")]
    public async Task CVE_2024_21626_working_directory_through_a_descriptor_is_refused(string verb)
    {
        var name = verb == "exec" ? await Sleeper() : "";
        foreach (var number in Enumerable.Range(3, 30))
        {
            var folder = $"/proc/self/fd/{number}";
            var result = verb == "exec"
                ? await Docker.Run("exec", "-w", folder, name, "cat", "../../../../etc/hostname")
                : await Docker.Run("run", "--rm", "-w", folder, "alpine", "cat", "../../../../etc/hostname");
            Assert.NotEqual(0, result.ExitCode);
        }
    }

    [Fact]
    public async Task CVE_2022_0492_release_agent_is_out_of_reach()
    {
        const string attack = "mkdir /tmp/cg; mount -t cgroup -o rdma cgroup /tmp/cg || mount -t cgroup -o memory cgroup /tmp/cg; unshare -UrmC sh -c 'mount -t cgroup -o memory cgroup /tmp/cg && echo pwn > /tmp/cg/release_agent && echo ESCAPED'; find / -xdev -name release_agent -writable 2>/dev/null; for f in $(find /sys/fs/cgroup -name release_agent 2>/dev/null); do echo x > $f && echo ESCAPED; done; true";
        Assert.DoesNotContain("ESCAPED", (await Docker.Run("run", "--rm", "alpine", "sh", "-c", attack)).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task CVE_2019_5736_program_of_the_host_cannot_be_opened_for_writing()
    {
        const string attack = "for i in $(seq 200); do for p in /proc/[0-9]*; do (: >> $p/exe) 2>/dev/null && readlink $p/exe; done; done | sort -u | grep -v -e busybox -e '^$'; true";
        var name = Container();
        await Docker.Ok("run", "-d", "--name", name, "alpine", "sh", "-c", attack + "; sleep 1000");
        for (var i = 0; i < 20; i++)
        {
            await Docker.Run("exec", name, "/proc/self/exe", "--help");
        }
        Assert.Equal("", (await Docker.Run("logs", name)).Output);
    }
}
