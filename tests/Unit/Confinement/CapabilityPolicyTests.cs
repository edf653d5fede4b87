using Slipway.Kernel.Security;
using Slipway.Oci.Runtime;
using Slipway.Runtime.Confinement;
using Xunit;

namespace Slipway.Tests.Unit.Confinement;

public sealed class CapabilityPolicyTests
{
    private static readonly string[] AllButResource = [.. Capability.Names.Where(name => name != "CAP_SYS_RESOURCE")];

    [Fact]
    public void The_default_set_is_dockers() =>
        Assert.Equal(0x00000000a80425fbul, Capability.Mask(CapabilityPolicy.Resolve([], [], privileged: false, AllButResource)));

    [Theory]
    [InlineData("net_admin", "", "CAP_NET_ADMIN", true)]
    [InlineData("CAP_NET_ADMIN", "", "CAP_NET_ADMIN", true)]
    [InlineData("cap_Sys_Time", "", "CAP_SYS_TIME", true)]
    [InlineData("", "mknod", "CAP_MKNOD", false)]
    [InlineData("", "ALL", "CAP_CHOWN", false)]
    [InlineData("chown", "all", "CAP_CHOWN", true)]
    [InlineData("ALL", "chown", "CAP_CHOWN", false)]
    [InlineData("ALL", "chown", "CAP_SYS_ADMIN", true)]
    [InlineData("ALL", "", "CAP_SYS_RESOURCE", false)]
    public void Added_and_dropped(string add, string drop, string capability, bool has)
    {
        IReadOnlyList<string> set = CapabilityPolicy.Resolve(Words(add), Words(drop), privileged: false, AllButResource);
        Assert.Equal(has, set.Contains(capability));
        Assert.Equal(set.Distinct(), set);
        static string[] Words(string text) => text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
    }

    [Fact]
    public void Dropping_all_and_adding_one_leaves_one() =>
        Assert.Equal(["CAP_NET_RAW"], CapabilityPolicy.Resolve(["NET_RAW"], ["ALL"], privileged: false, AllButResource));

    [Fact]
    public void Privileged_is_what_the_engine_has() => Assert.Equal(AllButResource, CapabilityPolicy.Resolve([], ["ALL"], privileged: true, AllButResource));

    [Fact]
    public void Unknown_names_are_refused_in_dockers_words()
    {
        Assert.Equal("invalid CapAdd: unknown capability: \"CAP_FOO\"", Assert.Throws<ConfinementException>(() => CapabilityPolicy.Validate(["foo"], [])).Message);
        Assert.Equal("invalid CapDrop: unknown capability: \"CAP_\"", Assert.Throws<ConfinementException>(() => CapabilityPolicy.Validate([], [""])).Message);
        Assert.Equal(
            "capability not supported by your kernel or not available in the current environment: \"CAP_SYS_RESOURCE\"",
            Assert.Throws<ConfinementException>(() => CapabilityPolicy.Normalize(["sys_resource"], AllButResource)).Message);
    }

    [Fact]
    public void CVE_2022_24769_inheritable_capabilities_stay_empty()
    {
        CapabilitySets root = CapabilityPolicy.Sets(CapabilityPolicy.Default, root: true);
        Assert.Equal(CapabilityPolicy.Default, root.Effective);
        Assert.Equal(CapabilityPolicy.Default, root.Permitted);
        CapabilitySets user = CapabilityPolicy.Sets(CapabilityPolicy.Default, root: false);
        Assert.Empty(user.Permitted);
        Assert.Empty(user.Effective);
        foreach (CapabilitySets sets in (CapabilitySets[])[root, user])
        {
            Assert.Equal(CapabilityPolicy.Default, sets.Bounding);
            Assert.Empty(sets.Inheritable);
            Assert.Empty(sets.Ambient);
        }
    }

    [Fact]
    public void Names_and_numbers_agree()
    {
        Assert.True(Capability.TryGetNumber("CAP_CHECKPOINT_RESTORE", out int last));
        Assert.Equal(40, last);
        Assert.Equal(["CAP_CHOWN", "CAP_SYS_ADMIN"], Capability.OfMask((1ul << 0) | (1ul << 21)));
        Assert.Throws<ArgumentException>(() => Capability.Mask(["CAP_NO"]));
    }

    [Fact]
    public void The_sets_of_a_process_are_read()
    {
        CapabilityState state = CapabilityState.Parse("Name:\tx\nCapInh:\t0000000000000000\nCapPrm:\t000001fffeffffff\nCapEff:\t00000000a80425fb\nCapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000001\n");
        Assert.Equal(new CapabilityState(0, 0x1fffeffffff, 0xa80425fb, 0x1ffffffffff, 1), state);
        Assert.Throws<FormatException>(() => CapabilityState.Parse("Name:\tx\n"));
        Assert.InRange(Capability.Last, 37, 63);
        Assert.Equal(Capability.Own, CapabilityState.Parse(File.ReadAllText("/proc/self/status")));
    }
}
