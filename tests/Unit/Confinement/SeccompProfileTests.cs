using System.Runtime.InteropServices;
using Slipway.Kernel.Security;
using Slipway.Oci.Runtime;
using Slipway.Runtime.Confinement;
using Xunit;

namespace Slipway.Tests.Unit.Confinement;

public sealed class SeccompProfileTests
{
    private static readonly Version Kernel = new(6, 1);

    private static SeccompProgram Default(params string[] added) => SeccompCompiler.Build(
        SeccompProfile.Default.Resolve([.. CapabilityPolicy.Default, .. added], Architecture.X64, Kernel)!);

    private static SeccompAction Run(SeccompProgram program, string call, params ulong[] arguments) => Run(program, FilterInterpreter.X64, call, arguments);

    private static SeccompAction Run(SeccompProgram program, uint architecture, string call, params ulong[] arguments) =>
        FilterInterpreter.Run(program.Instructions.Span, architecture, Libseccomp.ResolveSystemCall(architecture, call), arguments);

    [Theory]
    [InlineData("read")]
    [InlineData("openat2")]
    [InlineData("execve")]
    [InlineData("ptrace")]
    [InlineData("arch_prctl")]
    [InlineData("chroot")]
    public void Ordinary_calls_are_allowed(string call)
    {
        SeccompProgram program = Default();
        Assert.Equal(SeccompAction.Allow, Run(program, call));
        Assert.Equal(SeccompAction.Error(1), FilterInterpreter.Run(program.Instructions.Span, FilterInterpreter.X64, Libseccomp.ResolveSystemCall(FilterInterpreter.X64, "mount")));
    }

    [Theory]
    [InlineData(1ul, true)]
    [InlineData(2ul, true)]
    [InlineData(17ul, true)]
    [InlineData(38ul, false)]
    [InlineData(39ul, true)]
    [InlineData(40ul, false)]
    [InlineData(41ul, true)]
    public void Sockets_by_address_family(ulong family, bool allowed) => Assert.Equal(allowed, Run(Default(), "socket", family, 1).CarriesOut);

    [Theory]
    [InlineData(0x0ul, true)]
    [InlineData(0x8ul, true)]
    [InlineData(0x20000ul, true)]
    [InlineData(0x20008ul, true)]
    [InlineData(0xFFFFFFFFul, true)]
    [InlineData(0x40000ul, false)]
    [InlineData(0x1FFFFFFFFul, false)]
    public void Personalities_by_value(ulong persona, bool allowed) => Assert.Equal(allowed, Run(Default(), "personality", persona).CarriesOut);

    [Theory]
    [InlineData(0x11ul, true)]
    [InlineData(0x3D0F00ul, true)]
    [InlineData(0x00020000ul, false)]
    [InlineData(0x02000000ul, false)]
    [InlineData(0x04000000ul, false)]
    [InlineData(0x08000000ul, false)]
    [InlineData(0x10000000ul, false)]
    [InlineData(0x20000000ul, false)]
    [InlineData(0x40000000ul, false)]
    public void Clone_without_namespaces_only(ulong flags, bool allowed)
    {
        Assert.Equal(allowed, Run(Default(), "clone", flags).CarriesOut);
        Assert.True(Run(Default("CAP_SYS_ADMIN"), "clone", flags).CarriesOut);
    }

    [Fact]
    public void Clone3_is_not_implemented_without_administration()
    {
        Assert.Equal(SeccompAction.Error(38), Run(Default(), "clone3"));
        Assert.Equal(SeccompAction.Allow, Run(Default("CAP_SYS_ADMIN"), "clone3"));
    }

    [Fact]
    public void Calls_of_32_bit_programs_are_filtered_too()
    {
        SeccompProgram program = Default();
        Assert.Equal(SeccompAction.Allow, Run(program, FilterInterpreter.X86, "chown32"));
        Assert.Equal(SeccompAction.Allow, Run(program, FilterInterpreter.X86, "socketcall"));
        Assert.Equal(SeccompAction.Error(1), Run(program, FilterInterpreter.X86, "mount"));
        int read = Libseccomp.ResolveSystemCall(FilterInterpreter.X64, "read");
        int mount = Libseccomp.ResolveSystemCall(FilterInterpreter.X64, "mount");
        Assert.Equal(SeccompAction.Allow, FilterInterpreter.Run(program.Instructions.Span, FilterInterpreter.X64, read | FilterInterpreter.X32Bit));
        Assert.Equal(SeccompAction.Error(1), FilterInterpreter.Run(program.Instructions.Span, FilterInterpreter.X64, mount | FilterInterpreter.X32Bit));
    }

    [Fact]
    public void Calls_of_another_architecture_kill()
    {
        SeccompAction action = FilterInterpreter.Run(Default().Instructions.Span, FilterInterpreter.Arm64, 63);
        Assert.True(action == SeccompAction.KillThread || action == SeccompAction.KillProcess, $"0x{action.Value:x}");
    }

    [Fact]
    public void Calls_newer_than_the_profile_are_not_implemented_and_gaps_are_refused()
    {
        ReadOnlySpan<byte> program = Default().Instructions.Span;
        Assert.Equal(SeccompAction.Error(38), FilterInterpreter.Run(program, FilterInterpreter.X64, 1000));
        Assert.Equal(SeccompAction.Error(38), FilterInterpreter.Run(program, FilterInterpreter.X86, 1000));
        Assert.Equal(SeccompAction.Error(38), FilterInterpreter.Run(program, FilterInterpreter.X64, 1000 | FilterInterpreter.X32Bit));
        Assert.Equal(SeccompAction.Error(1), FilterInterpreter.Run(program, FilterInterpreter.X64, 400));
    }

    [Fact]
    public void The_profile_of_arm64_has_its_calls()
    {
        SeccompSpec spec = SeccompProfile.Default.Resolve([.. CapabilityPolicy.Default], Architecture.Arm64, Kernel)!;
        Assert.Equal(["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"], spec.Architectures);
        SeccompProgram program = SeccompCompiler.Build(spec);
        Assert.Equal(SeccompAction.Allow, Run(program, FilterInterpreter.Arm64, "openat"));
        Assert.Equal(SeccompAction.Error(1), Run(program, FilterInterpreter.Arm64, "mount"));
        Assert.Equal(SeccompAction.Error(1), Run(program, FilterInterpreter.Arm64, "clone", 0x10000000));
        Assert.Equal(SeccompAction.Error(1), FilterInterpreter.Run(program.Instructions.Span, FilterInterpreter.Arm64, Libseccomp.ResolveSystemCall(FilterInterpreter.Arm64, "bpf")));
        Assert.Contains(spec.Syscalls, rule => rule.Names.Contains("cacheflush"));
        Assert.DoesNotContain(spec.Syscalls, rule => rule.Names.Contains("modify_ldt"));
    }

    [Fact]
    public void Tracing_needs_a_kernel_that_filters_traced_calls()
    {
        SeccompSpec old = SeccompProfile.Default.Resolve([.. CapabilityPolicy.Default], Architecture.X64, new Version(4, 7, 99))!;
        Assert.DoesNotContain(old.Syscalls, rule => rule.Names.Contains("ptrace"));
        SeccompSpec recent = SeccompProfile.Default.Resolve([.. CapabilityPolicy.Default], Architecture.X64, new Version(4, 8))!;
        Assert.Contains(recent.Syscalls, rule => rule.Names.Contains("ptrace"));
    }

    [Fact]
    public void Equal_profiles_are_compiled_once()
    {
        SeccompCompiler compiler = new();
        SeccompProgram first = compiler.Compile(SeccompProfile.Default.Resolve([.. CapabilityPolicy.Default], Architecture.X64, Kernel)!);
        Assert.Same(first, compiler.Compile(SeccompProfile.Default.Resolve([.. CapabilityPolicy.Default, "CAP_NET_ADMIN"], Architecture.X64, Kernel)!));
        Assert.NotSame(first, compiler.Compile(SeccompProfile.Default.Resolve([.. CapabilityPolicy.Default, "CAP_SYS_TIME"], Architecture.X64, Kernel)!));
    }

    [Fact]
    public void A_users_profile_is_resolved_by_its_conditions()
    {
        const string json = """
            {
              "defaultAction": "SCMP_ACT_ALLOW",
              "archMap": [ { "architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"] } ],
              "syscalls": [
                { "names": ["chmod", "no_such_call"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13, "comment": "ignored" },
                { "name": "mkdir", "action": "SCMP_ACT_KILL", "includes": { "caps": ["CAP_SYS_ADMIN"] } },
                { "names": ["rmdir"], "action": "SCMP_ACT_LOG", "includes": { "arches": ["amd64"], "minKernel": "5.10" } },
                { "names": ["link"], "action": "SCMP_ACT_TRAP", "excludes": { "minKernel": "6.0" } },
                { "names": ["kill"], "action": "SCMP_ACT_KILL_PROCESS", "args": [ { "index": 0, "value": 1, "op": "SCMP_CMP_EQ" }, { "index": 1, "value": 9, "op": "SCMP_CMP_GE" } ] },
                { "names": ["dup"], "action": "SCMP_ACT_ERRNO", "args": [ { "index": 0, "value": 1, "op": "SCMP_CMP_EQ" }, { "index": 0, "value": 2, "op": "SCMP_CMP_EQ" } ] }
              ]
            }
            """;
        SeccompSpec spec = SeccompProfileReader.Parse(json).Resolve([], Architecture.X64, Kernel)!;
        SeccompProgram program = SeccompCompiler.Build(spec);
        Assert.Equal(SeccompAction.Error(13), Run(program, "chmod"));
        Assert.Equal(SeccompAction.Allow, Run(program, "mkdir"));
        Assert.Equal(SeccompAction.Log, Run(program, "rmdir"));
        Assert.Equal(SeccompAction.Allow, Run(program, "link"));
        Assert.Equal(SeccompAction.KillProcess, Run(program, "kill", 1, 15));
        Assert.Equal(SeccompAction.Allow, Run(program, "kill", 1, 8));
        Assert.Equal(SeccompAction.Allow, Run(program, "kill", 2, 15));
        Assert.Equal(SeccompAction.Error(1), Run(program, "dup", 1));
        Assert.Equal(SeccompAction.Error(1), Run(program, "dup", 2));
        Assert.Equal(SeccompAction.Allow, Run(program, "dup", 3));

        // An allowing default gives no ENOSYS to unknown calls.
        Assert.Equal(SeccompAction.Allow, FilterInterpreter.Run(program.Instructions.Span, FilterInterpreter.X64, 1000));
    }

    [Fact]
    public void An_empty_profile_is_no_filter() => Assert.Null(SeccompProfileReader.Parse("{}").Resolve([], Architecture.X64, Kernel));

    [Theory]
    [InlineData("", "Decoding seccomp profile failed: ")]
    [InlineData("{", "Decoding seccomp profile failed: ")]
    [InlineData("[]", "Decoding seccomp profile failed: ")]
    [InlineData("""{"syscalls": 3}""", "Decoding seccomp profile failed: ")]
    [InlineData("""{"defaultAction": "X"}""", "string X is not a valid action for seccomp")]
    [InlineData("""{"syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]}""", "is not a valid action for seccomp")]
    [InlineData("""{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86"], "archMap": [{"architecture": "SCMP_ARCH_X86_64"}]}""", "both 'architectures' and 'archMap' are specified")]
    [InlineData("""{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"name": "a", "names": ["b"], "action": "SCMP_ACT_ALLOW"}]}""", "both 'name' and 'names' are specified")]
    [InlineData("""{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["b"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}]}]}""", "argument index 6")]
    [InlineData("""{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["b"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 1, "op": "=="}]}]}""", "string == is not a valid operator")]
    [InlineData("""{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["b"], "action": "SCMP_ACT_ERRNO", "includes": {"minKernel": "5"}}]}""", "invalid kernel version: \"5\"")]
    [InlineData("""{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["b"], "action": "SCMP_ACT_ERRNO", "includes": {"minKernel": "0.0"}}]}""", "invalid kernel version: \"0.0\"")]
    public void Bad_profiles_are_refused(string json, string message) =>
        Assert.Contains(message, Assert.Throws<ConfinementException>(() => SeccompProfileReader.Parse(json)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("SCMP_ACT_NOTIFY", "SCMP_ARCH_X86_64", "", "read", "SCMP_ACT_ALLOW", "SCMP_ACT_NOTIFY cannot be used as default action")]
    [InlineData("SCMP_ACT_ERRNO", "SCMP_ARCH_VAX", "", "read", "SCMP_ACT_ALLOW", "unknown seccomp architecture \"vax\"")]
    [InlineData("SCMP_ACT_ERRNO", "x86_64", "", "read", "SCMP_ACT_ALLOW", "string x86_64 is not a valid arch for seccomp")]
    [InlineData("SCMP_ACT_ERRNO", "SCMP_ARCH_X86_64", "FAST", "read", "SCMP_ACT_ALLOW", "seccomp flags not supported: FAST")]
    [InlineData("SCMP_ACT_ERRNO", "SCMP_ARCH_X86_64", "", "read", "SCMP_ACT_NOTIFY", "needs a listenerPath")]
    public void Profiles_that_cannot_be_compiled_are_refused(string defaultAction, string architecture, string flag, string call, string action, string message)
    {
        SeccompSpec spec = new()
        {
            DefaultAction = defaultAction,
            Architectures = [architecture],
            Flags = flag.Length == 0 ? [] : [flag],
            Syscalls = [new SeccompRule { Names = [call], Action = action }],
        };
        SeccompCompiler compiler = new();
        Assert.Contains(message, Assert.Throws<ConfinementException>(() => compiler.Compile(spec)).Message, StringComparison.Ordinal);
        Assert.Contains(message, Assert.Throws<ConfinementException>(() => compiler.Compile(spec)).Message, StringComparison.Ordinal);
    }
}
