using Slipway.Kernel.Cgroups;
using Xunit;

namespace Slipway.Tests.Unit.Cgroups;

public sealed class CgroupMountTests
{
    [Fact]
    public void Version_2_alone() => Assert.Equal(
        [new("/sys/fs/cgroup", true, [], null)],
        CgroupMount.Parse("23 1 8:1 / / rw - ext4 /dev/sda rw\n30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"),
        Same);

    [Fact]
    public void A_hybrid_host_with_controllers_mounted_together()
    {
        const string mountinfo = """
            31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
            32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:1 master:2 - cgroup cgroup rw,cpu,cpuacct
            33 31 0:30 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
            34 31 0:31 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
            35 31 0:32 / /mnt/with\040space rw,relatime - cgroup memory rw,memory
            36 31 0:32 / /elsewhere/memory rw,relatime - cgroup memory rw,memory
            37 31 0:99 / /torn rw
            """;
        Assert.Equal(
            [
                new("/sys/fs/cgroup/cpu,cpuacct", false, ["cpu", "cpuacct"], null),
                new("/sys/fs/cgroup/systemd", false, [], "systemd"),
                new("/sys/fs/cgroup/unified", true, [], null),
                new("/mnt/with space", false, ["memory"], null),
            ],
            CgroupMount.Parse(mountinfo),
            Same);
    }

    private static bool Same(CgroupMount left, CgroupMount right) =>
        left with { Controllers = [] } == right with { Controllers = [] } && left.Controllers.SequenceEqual(right.Controllers);
}
