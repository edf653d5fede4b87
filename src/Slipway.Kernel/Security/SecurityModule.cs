namespace Slipway.Kernel.Security;

/// <summary>Which mandatory access control this host has. Without it a container's label is not set, and asking for one is an error.</summary>
public static class SecurityModule
{
    /// <summary>AppArmor is compiled in and switched on (Documentation/admin-guide/LSM/apparmor.rst).</summary>
    public static bool HasAppArmor { get; } = FirstCharacter("/sys/module/apparmor/parameters/enabled") == 'Y';

    /// <summary>SELinux is loaded: its file system is there.</summary>
    public static bool HasSELinux { get; } = File.Exists("/sys/fs/selinux/enforce");

    /// <summary>The kernel can filter system calls (seccomp(2)).</summary>
    public static bool HasSeccomp { get; } = File.Exists("/proc/sys/kernel/seccomp/actions_avail");

    private static char FirstCharacter(string path) => File.Exists(path) && File.ReadAllText(path) is [var first, ..] ? first : '\0';
}
