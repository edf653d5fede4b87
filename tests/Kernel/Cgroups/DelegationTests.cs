using Slipway.Kernel;
using Slipway.Kernel.Cgroups;
using Slipway.Oci.Runtime;
using Slipway.Runtime.Confinement;
using Xunit;
using HostProcess = System.Diagnostics.Process;

namespace Slipway.Tests.Kernel.Cgroups;

/// <summary>Passing controllers down, which only cgroup v2 needs. tests/vm/cgroup-tests runs these.</summary>
public sealed class DelegationTests : CgroupFixture
{
    private void NeedsV2() => Assert.SkipUnless(Root.Mode == CgroupMode.V2, "cgroup v2 only: run tests/vm/cgroup-tests");

    [Fact]
    public void A_parent_that_holds_processes_is_a_clear_error()
    {
        NeedsV2();
        using Cgroup group = Root.Create("a");
        using HostProcess process = Start(group, "exec sleep 1000");
        Assert.True(SpinWait.SpinUntil(() => group.ProcessIds().Count > 0, TimeSpan.FromSeconds(20)));
        KernelException exception = Assert.Throws<KernelException>(() => CgroupRoot.Open(Cgroups.Hierarchy, $"{group.Path}/below"));
        Assert.Equal(Errno.EBUSY, exception.Errno);
        Assert.Contains("it holds processes of its own", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_threaded_parent_is_a_clear_error()
    {
        NeedsV2();
        string name = $"slipway-confine-threaded-{Environment.ProcessId}";
        string directory = $"{Cgroups.Hierarchy.Mounts[0].MountPoint}/{name}";
        Directory.CreateDirectory(directory);
        try
        {
            File.WriteAllText($"{directory}/cgroup.type", "threaded");
            KernelException exception = Assert.Throws<KernelException>(() => CgroupRoot.Open(Cgroups.Hierarchy, $"{name}/below"));
            Assert.Equal(Errno.EOPNOTSUPP, exception.Errno);
            Assert.Contains("threaded", exception.Message, StringComparison.Ordinal);
        }
        finally
        {
            // cgroupfs removes a group with its files by rmdir alone.
            if (Directory.Exists($"{directory}/below"))
            {
                Directory.Delete($"{directory}/below");
            }

            Directory.Delete(directory);
        }
    }

    [Fact]
    public void The_delegated_group_of_a_service_takes_containers_beside_the_engine()
    {
        NeedsV2();
        using CgroupRoot root = CgroupRoot.OpenDelegated(Cgroups.Hierarchy, "containers");
        Assert.EndsWith("/engine", CgroupHierarchy.OwnUnifiedGroup(), StringComparison.Ordinal);
        using (Cgroup group = root.Create("a"))
        {
            group.Apply([new CgroupSetting("pids.max", "7"), new CgroupSetting("memory.max", "67108864")]);
            Assert.Equal("7", group.TryRead("pids.max")?.Trim());
        }

        Assert.True(root.TryDelete("a"));

        // A restarted engine is in the leaf already.
        using CgroupRoot again = CgroupRoot.OpenDelegated(Cgroups.Hierarchy, "containers");
        Assert.Equal(root.Path, again.Path);
        Assert.True(again.TryDelete());
    }

    [Theory]
    [InlineData("")]
    [InlineData("/")]
    [InlineData("a/../../b")]
    public void A_parent_that_is_no_path_below_the_top_is_refused(string path) =>
        Assert.Throws<ArgumentException>(() => CgroupRoot.Open(Cgroups.Hierarchy, path));

    [Fact]
    public void A_container_path_needs_a_parent() => Assert.Throws<ConfinementException>(() => Cgroups.Create("alone", new ResourcesSpec()));
}
