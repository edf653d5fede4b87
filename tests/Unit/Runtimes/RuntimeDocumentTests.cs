using System.Text.Json;
using Slipway.Oci.Runtime;
using Slipway.Runtime.Foreign;
using Xunit;

namespace Slipway.Tests.Unit.Runtimes;

/// <summary>What runtimes of the host are given to read, and what they say.</summary>
public sealed class RuntimeDocumentTests
{
    [Fact]
    public void A_specification_has_the_names_of_the_runtime_specification()
    {
        Spec spec = new()
        {
            Process = new ProcessSpec { User = new UserSpec(1, 2) { AdditionalGids = [3] }, Args = ["x"], Rlimits = [new RlimitSpec("RLIMIT_NOFILE", 1, ulong.MaxValue)], NoNewPrivileges = true },
            Root = new RootSpec("/r", Readonly: true),
            Mounts = [new MountSpec("/d", "bind", "/s", ["rbind"])],
            Linux = new LinuxSpec
            {
                CgroupsPath = "/g",
                Namespaces = [new NamespaceSpec("network", "/n"), new NamespaceSpec("ipc")],
                Devices = [new DeviceSpec("/dev/x", "c", 1, 3)],
                Resources = new ResourcesSpec
                {
                    Devices = [new DeviceCgroupRule(false, "a", null, null, "rwm")],
                    Memory = new MemoryResources { DisableOOMKiller = true },
                    BlockIO = new BlockIOResources { ThrottleReadIOPSDevice = [new ThrottleDevice(8, 0, 5)] },
                    Pids = new PidsResources(7),
                },
                Seccomp = new SeccompSpec { DefaultAction = "SCMP_ACT_ERRNO", DefaultErrnoRet = 1, Syscalls = [new SeccompRule { Names = ["read"], Action = "SCMP_ACT_ALLOW", Args = [new SeccompArgument(0, 1, 2, "SCMP_CMP_EQ")] }] },
            },
        };
        using JsonDocument document = JsonDocument.Parse(JsonSerializer.SerializeToUtf8Bytes(spec, SpecJson.Default.Spec));
        string[] paths =
        [
            "ociVersion", "process.user.additionalGids", "process.noNewPrivileges", "process.rlimits.0.hard", "root.readonly", "mounts.0.destination", "linux.cgroupsPath", "linux.namespaces.0.path",
            "linux.devices.0.fileMode", "linux.resources.devices.0.allow", "linux.resources.memory.disableOOMKiller", "linux.resources.blockIO.throttleReadIOPSDevice.0.rate", "linux.resources.pids.limit",
            "linux.seccomp.defaultErrnoRet", "linux.seccomp.syscalls.0.args.0.valueTwo",
        ];
        Assert.All(paths, path => Assert.NotNull(Find(document.RootElement, path)));

        // What is not said is not there: a null would be something else to some runtimes.
        Assert.Null(Find(document.RootElement, "linux.namespaces.1.path"));
        Assert.Null(Find(document.RootElement, "hostname"));
        Assert.Null(Find(document.RootElement, "linux.resources.devices.0.major"));
    }

    [Theory]
    [InlineData("", null)]
    [InlineData("""{"level":"warning","msg":"w"}""", null)]
    [InlineData("""{"level":"error","msg":"first"}""" + "\n" + """{"level":"debug","msg":"d"}""" + "\n" + """{"level":"error","msg":"last"}""" + "\n", "last")]
    [InlineData("""{"level":"error","msg":"kept"}""" + "\nplain text\n[1]\n{\"level\":3,\"msg\":\"x\"}\n{\"level\":\"error\",\"ms", "kept")]
    public void The_last_error_of_a_runtime_s_log_is_found(string log, string? error) => Assert.Equal(error, RuntimeLog.LastError(log));

    private static JsonElement? Find(JsonElement element, string path)
    {
        foreach (string part in path.Split('.'))
        {
            if (element.ValueKind == JsonValueKind.Array && int.TryParse(part, out int index))
            {
                element = element[index];
            }
            else if (!element.TryGetProperty(part, out element))
            {
                return null;
            }
        }

        return element;
    }
}
