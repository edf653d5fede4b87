using System.Runtime.InteropServices;
using Slipway.Kernel;
using Slipway.Kernel.Cgroups;
using Slipway.Kernel.Files;
using Slipway.Kernel.Process;
using Slipway.Oci.Runtime;
using Slipway.Runtime.Compilation;
using Slipway.Runtime.Confinement;
using Slipway.Tests.Kernel.Mounts;
using Xunit;

namespace Slipway.Tests.Kernel.Compilation;

/// <summary>Plans with control groups, seccomp filters and namespaces of others; and what a plan that fails leaves.</summary>
public sealed class ConfinedPlanTests : IDisposable
{
    private readonly TestContainer _container = new();

    public void Dispose() => _container.Dispose();

    [Theory]
    [InlineData(0u, false)]
    [InlineData(1000u, false)]
    [InlineData(0u, true)]
    [InlineData(1000u, true)]
    public async Task The_default_filter_is_installed_for_any_user(uint uid, bool noNewPrivileges)
    {
        SeccompSpec profile = SeccompProfile.Default.Resolve(TestContainer.DefaultCapabilities, RuntimeInformation.ProcessArchitecture, Environment.OSVersion.Version)!;
        Spec spec = TestContainer.Shell("grep -E '^(Seccomp|CapEff|NoNewPrivs):' /proc/self/status; unshare -n true 2>&1");
        spec = spec with { Process = spec.Process with { User = new UserSpec(uid, uid), NoNewPrivileges = noNewPrivileges } };
        Ended ended = await _container.Run(PlanCompiler.Compile(spec, _container.Context() with { Seccomp = SeccompCompiler.Build(profile) }));
        Assert.Null(ended.Failure);
        Assert.Equal(
            $"CapEff:\t{(uid == 0 ? "00000000a80425fb" : "0000000000000000")}\nNoNewPrivs:\t{(noNewPrivileges ? 1 : 0)}\nSeccomp:\t2\nunshare: unshare(0x40000000): Operation not permitted\n",
            ended.Output);
    }

    [Fact]
    public async Task A_filter_that_forbids_execve_fails_the_last_step_and_leaves_nothing()
    {
        string[] mounts = HostMounts.Besides(_container.Scratch);
        var profile = new SeccompSpec
        {
            DefaultAction = "SCMP_ACT_ALLOW",
            Syscalls = [new SeccompRule { Names = ["execve"], Action = "SCMP_ACT_ERRNO", ErrnoRet = Errno.EPERM }],
        };
        Ended ended = await _container.Run(PlanCompiler.Compile(TestContainer.Spec("true"), _container.Context() with { Seccomp = SeccompCompiler.Build(profile) }));
        PlanFailure failure = Assert.IsType<PlanFailure>(ended.Failure);
        Assert.Equal((failure.StepCount, "execve \"/bin/true\"", Errno.EPERM), (failure.Step, failure.Description, failure.Errno));
        Assert.Equal(mounts, HostMounts.Besides(_container.Scratch));
    }

    [Fact]
    public async Task The_container_is_in_its_control_groups_and_sees_only_those()
    {
        using CgroupHierarchy hierarchy = CgroupHierarchy.Detect();
        using CgroupRoot parent = CgroupRoot.Open(hierarchy, "slipway-compile-test");
        using Cgroup group = parent.Create("one");
        try
        {
            const string Path = "slipway-compile-test/one";
            Spec spec = TestContainer.Shell("cat /proc/self/cgroup; ls /sys/fs/cgroup; touch /sys/fs/cgroup/x /sys/fs/cgroup/*/x 2>&1 | grep -c Read-only");
            CompiledPlan plan = PlanCompiler.Compile(
                spec, _container.Context() with { Cgroup = group.Prepare(), CgroupDirectories = CgroupDirectory.Of(hierarchy.Mounts, Path) });
            Ended ended = await _container.Run(plan);
            Assert.Null(ended.Failure);
            foreach (CgroupMount mount in hierarchy.Mounts.Where(m => !m.IsUnified))
            {
                string name = mount.Name is null ? string.Join(',', mount.Controllers) : $"name={mount.Name}";
                Assert.Contains($":{name}:/{Path}\n", ended.Output, StringComparison.Ordinal);
                Assert.Contains($"\n{mount.Name ?? string.Join(',', mount.Controllers)}\n", ended.Output, StringComparison.Ordinal);
            }

            Assert.Contains($"0::/{Path}\n", ended.Output, StringComparison.Ordinal);

            // With a namespace of its own it is at the root.
            spec = spec with { Linux = spec.Linux with { Namespaces = [.. spec.Linux.Namespaces, new NamespaceSpec("cgroup")] } };
            ended = await _container.Run(PlanCompiler.Compile(
                spec, _container.Context() with { Cgroup = group.Prepare(), CgroupDirectories = CgroupDirectory.Of(hierarchy.Mounts, Path) }));
            Assert.Null(ended.Failure);
            Assert.Contains("0::/\n", ended.Output, StringComparison.Ordinal);
            Assert.DoesNotContain(Path, ended.Output, StringComparison.Ordinal);
        }
        finally
        {
            await group.DeleteAsync(TimeProvider.System, CancellationToken.None);
            parent.TryDelete();
        }
    }

    [Fact]
    public async Task Namespaces_of_another_container_are_joined()
    {
        await using Running first = await _container.Start(_container.Compile(TestContainer.Shell("echo ready; exec sleep 1000")));
        await first.Wrote("ready");
        string proc = $"/proc/{first.Outcome.Pid}/ns/";
        Spec spec = TestContainer.Shell("readlink /proc/self/ns/net; readlink /proc/self/ns/ipc; ps -o args | grep -c '^sleep 1000'; hostname");
        spec = spec with
        {
            Hostname = null,
            Linux = spec.Linux with { Namespaces = [new("mount"), new("pid", proc + "pid"), new("network", proc + "net"), new("ipc", proc + "ipc"), new("uts", proc + "uts")] },
        };
        Ended ended = await _container.Run(spec);
        Assert.Null(ended.Failure);
        Assert.Equal(
            $"{File.ResolveLinkTarget(proc + "net", false)!.Name}\n{File.ResolveLinkTarget(proc + "ipc", false)!.Name}\n1\nweb\n",
            ended.Output);
    }

    [Theory]
    [InlineData("user", null)]
    [InlineData("time", null)]
    [InlineData("network", "/nonexistent")]
    [InlineData("ipc", "relative")]
    public void Namespaces_that_cannot_be_had_are_refused(string type, string? path)
    {
        Spec spec = TestContainer.Spec("true");
        Assert.Throws<PlanException>(() => _container.Compile(spec with { Linux = spec.Linux with { Namespaces = [new("mount"), new(type, path)] } }));
        Assert.Throws<PlanException>(() => _container.Compile(spec with { Linux = spec.Linux with { Namespaces = [new("pid")] } }));
    }

    [Fact]
    public void A_refused_specification_leaves_no_descriptor_open()
    {
        Spec spec = TestContainer.Spec("true");
        Spec[] refused =
        [
            spec with { Process = spec.Process with { Args = ["nosuch"] } },
            spec with { Process = spec.Process with { Cwd = "/etc/passwd" } },
            spec with { Process = spec.Process with { Cwd = "rel" } },
            spec with { Process = spec.Process with { Rlimits = [new RlimitSpec("RLIMIT_NONE", 1, 1)] } },
            spec with { Process = spec.Process with { Terminal = true }, Mounts = [] },
            spec with { Mounts = [.. spec.Mounts, new MountSpec("/x", "tmpfs", "tmpfs", ["nosuchoption"])] },
            spec with { Mounts = [.. spec.Mounts, new MountSpec("/x", "bind", "/nonexistent", ["bind"])] },
            spec with { Mounts = [.. spec.Mounts, new MountSpec("/etc", "bind", "/dev/null", ["bind"])] },
            spec with { Mounts = [.. spec.Mounts, new MountSpec("relative", "tmpfs", "tmpfs", [])] },
            spec with { Mounts = [.. spec.Mounts, new MountSpec("/x", "nosuchfs", "x", [])] },
            spec with { Linux = spec.Linux with { RootfsPropagation = "sideways" } },
            spec with { Linux = spec.Linux with { Devices = [new DeviceSpec("/dev/x", "z", 1, 3)] } },
        ];
        Array.ForEach(refused, s => Assert.Throws<PlanException>(() => _container.Compile(s)));

        // Other tests open descriptors in this process too: a leak shows every time, they do not.
        int grown = int.MaxValue;
        for (int round = 0; round < 10 && grown > 2; round++)
        {
            int before = Count();
            for (int i = 0; i < 3; i++)
            {
                Array.ForEach(refused, s => Assert.Throws<PlanException>(() => _container.Compile(s)));
            }

            grown = Count() - before;
        }

        Assert.InRange(grown, int.MinValue, 2);

        static int Count() => Directory.GetFileSystemEntries("/proc/self/fd").Length;
    }

    [Fact]
    public void Messages_are_those_clients_know()
    {
        Spec spec = TestContainer.Spec("true");
        Assert.Equal("Cannot mkdir: /etc/passwd is not a directory", Message(spec with { Process = spec.Process with { Cwd = "/etc/passwd" } }));
        Assert.Equal("the working directory 'rel' is invalid, it needs to be an absolute path", Message(spec with { Process = spec.Process with { Cwd = "rel" } }));
        Assert.Contains(
            "Are you trying to mount a directory onto a file (or vice-versa)?",
            Message(spec with { Mounts = [new MountSpec("/etc", "bind", "/dev/null", ["bind"])] }),
            StringComparison.Ordinal);
        Assert.Equal(
            "sysctl \"net.ipv4.ip_forward\" not allowed in host network namespace",
            Message(spec with { Linux = spec.Linux with { Namespaces = [new("mount"), new("pid")], Sysctl = new Dictionary<string, string> { ["net.ipv4.ip_forward"] = "1" } }, Hostname = null }));

        string Message(Spec refused) => Assert.Throws<PlanException>(() => _container.Compile(refused)).Message;
    }
}
