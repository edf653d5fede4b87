using Slipway.Kernel;
using Slipway.Kernel.Cgroups;
using Slipway.Runtime.Confinement;
using Xunit;

namespace Slipway.Tests.Kernel.Cgroups;

public sealed class SpareCgroupTests : CgroupFixture
{
    private static bool CanBeRenamed => CgroupHierarchy.Detect().Mode != CgroupMode.V2;

    [Fact]
    public async Task A_spare_group_becomes_a_containers()
    {
        Assert.Equal(CanBeRenamed, Root.TryCreateSpare("spare"));
        if (!CanBeRenamed)
        {
            return;
        }

        using Cgroup? spare = Root.TryName("spare", "a");
        Assert.Equal($"{Root.Path}/a", spare!.Path);
        Assert.Equal(["a"], Root.ListChildren());
        Assert.All(Cgroups.Hierarchy.Mounts, mount => Assert.True(Directory.Exists($"{mount.MountPoint}/{spare.Path}"), mount.MountPoint));

        // As one that was made for it: limits hold, a process joins and sees the new name everywhere.
        spare.Apply([new CgroupSetting("pids.max", "7")]);
        (int exitCode, string output) = await Run(spare, "cat /proc/self/cgroup");
        Assert.Equal(0, exitCode);
        Assert.Equal(Cgroups.Hierarchy.Mounts.Count, output.Split('\n').Count(line => line.EndsWith($"{Root.Path}/a", StringComparison.Ordinal)));
        Assert.Equal("7", spare.TryRead("pids.max")?.Trim());
        using (PreparedCgroup prepared = spare.Prepare())
        {
            Assert.Equal(Cgroups.Hierarchy.Mounts.Count, prepared.Tasks.Count + (prepared.Unified is null ? 0 : 1));
        }

        await spare.DeleteAsync(TimeProvider.System, Cancellation);
        Assert.Empty(Root.ListChildren());
    }

    [Fact]
    public void A_container_that_has_groups_keeps_them_and_the_spare_one_goes()
    {
        if (!CanBeRenamed)
        {
            return;
        }

        Root.TryCreateSpare("spare");

        using Cgroup existing = Root.Create("a");
        Assert.Equal(Errno.EEXIST, Assert.Throws<KernelException>(() => Root.TryName("spare", "a")).Errno);
        Assert.Equal(["a"], Root.ListChildren());
        Assert.All(Cgroups.Hierarchy.Mounts, mount => Assert.True(Directory.Exists($"{mount.MountPoint}/{existing.Path}"), mount.MountPoint));
    }

    [Fact]
    public void A_spare_group_that_is_gone_is_not_used()
    {
        if (!CanBeRenamed)
        {
            return;
        }

        Root.TryCreateSpare("spare");

        Assert.True(Root.TryDelete("spare"));
        Assert.Null(Root.TryName("spare", "a"));
        Assert.Empty(Root.ListChildren());
    }

    [Fact]
    public async Task They_are_kept_ready_after_a_pause_and_go_with_the_engine()
    {
        using (ContainerCgroups sparing = new(CgroupHierarchy.Detect(), TimeProvider.System, Root.Path))
        {
            using Cgroup first = sparing.Create(Path("a"), null);
            if (CanBeRenamed)
            {
                await Until(() => Spare().Count >= 4, "groups are kept ready");
                IReadOnlyList<string> before = Spare();
                using Cgroup second = sparing.Create(Path("b"), null);
                Assert.Single(before.Except(Root.ListChildren()));
                Assert.Contains("b", Root.ListChildren());
            }

            using Cgroup elsewhere = sparing.Create($"{Root.Path}/other/c", null);
            Assert.True(Cgroups.Root($"{Root.Path}/other").TryDelete("c"));
            Assert.Empty(Cgroups.Root($"{Root.Path}/other").ListChildren());
        }

        Assert.Empty(Spare());
        Assert.Contains("a", Root.ListChildren());
    }

    private IReadOnlyList<string> Spare() => [.. Root.ListChildren().Where(name => name.StartsWith(ContainerCgroups.SparePrefix, StringComparison.Ordinal))];
}
