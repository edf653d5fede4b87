using Slipway.Oci.Runtime;

namespace Slipway.Runtime.Confinement;

/// <summary>Which device nodes a container may use.</summary>
public static class DeviceRules
{
    /// <summary>
    /// What every container starts with, as Docker has it: any node may be made but only these used. The runtime
    /// specification's default devices (config-linux.md, "Default Devices") are all among them.
    /// </summary>
    public static IReadOnlyList<DeviceCgroupRule> Default { get; } =
    [
        new(Allow: false, "a", null, null, "rwm"),

        // mknod alone gives nothing: opening the node is what the rules below are for.
        new(Allow: true, "c", null, null, "m"),
        new(Allow: true, "b", null, null, "m"),

        // null, zero, full, random, urandom.
        new(Allow: true, "c", 1, 3, "rwm"),
        new(Allow: true, "c", 1, 5, "rwm"),
        new(Allow: true, "c", 1, 7, "rwm"),
        new(Allow: true, "c", 1, 8, "rwm"),
        new(Allow: true, "c", 1, 9, "rwm"),

        // tty, console, ptmx, and the slaves of devpts.
        new(Allow: true, "c", 5, 0, "rwm"),
        new(Allow: true, "c", 5, 1, "rwm"),
        new(Allow: true, "c", 5, 2, "rwm"),
        new(Allow: true, "c", 136, null, "rwm"),

        // net/tun: the node is not in a container by default, but VPN programs make it.
        new(Allow: true, "c", 10, 200, "rwm"),
    ];

    /// <summary>What <c>--privileged</c> gives: all devices.</summary>
    public static IReadOnlyList<DeviceCgroupRule> Privileged { get; } = [new(Allow: true, "a", null, null, "rwm")];
}
