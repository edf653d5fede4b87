using System.Text.Json;
using System.Text.Json.Serialization;
using Slipway.Oci.Runtime;
using Slipway.Runtime.Confinement;

namespace Slipway.Bench;

/// <summary>A container as Docker would run it by default, as a specification for us and as a config.json for runc: the same data.</summary>
internal static class Bundle
{
    public const string CgroupsPath = "slipway-bench/launch";

    private static readonly JsonSerializerOptions s_json =
        new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull };

    public static Spec Spec() => new()
    {
        Root = new RootSpec("rootfs"),
        Hostname = "bench",
        Process = new ProcessSpec
        {
            Args = ["/bin/true"],
            Env = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            User = new UserSpec(0, 0) { AdditionalGids = [0] },
            Capabilities = CapabilityPolicy.Sets(CapabilityPolicy.Default, root: true),
        },
        Mounts =
        [
            new MountSpec("/proc", "proc", "proc", ["nosuid", "noexec", "nodev"]),
            new MountSpec("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
            new MountSpec("/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            new MountSpec("/sys", "sysfs", "sysfs", ["nosuid", "noexec", "nodev", "ro"]),
            new MountSpec("/dev/mqueue", "mqueue", "mqueue", ["nosuid", "noexec", "nodev"]),
            new MountSpec("/dev/shm", "tmpfs", "shm", ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
        ],
        Linux = new LinuxSpec
        {
            Namespaces = [new("mount"), new("pid"), new("ipc"), new("uts"), new("network")],
            CgroupsPath = CgroupsPath,
            Seccomp = SeccompProfile.Default.Resolve(CapabilityPolicy.Default, System.Runtime.InteropServices.RuntimeInformation.OSArchitecture, Environment.OSVersion.Version),
            MaskedPaths = ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/scsi", "/sys/firmware"],
            ReadonlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    };

    public static void Write(string folder)
    {
        var spec = Spec();
        // Relative paths mean different things to the two; to runc an absolute one is the same below every hierarchy.
        spec = spec with { Linux = spec.Linux with { CgroupsPath = "/" + CgroupsPath + "-runc" } };
        File.WriteAllText(Path.Combine(folder, "config.json"), JsonSerializer.Serialize(spec, s_json));
    }
}
