using System.Runtime.InteropServices;
using Slipway.Kernel.Security;
using Slipway.Oci.Runtime;
using Slipway.Runtime.Confinement;
using Xunit;

namespace Slipway.Tests.Unit.Confinement;

/// <summary>Files stay in the project whose quota bounds them.</summary>
public sealed class ProjectGuardTests
{
    private static readonly SeccompSpec s_builtIn = SeccompProfile.Default.Resolve(CapabilityPolicy.Default, Architecture.X64, new Version(6, 1))!;

    private static bool Allows(SeccompProgram program, ulong request) => FilterInterpreter
        .Run(program.Instructions.Span, FilterInterpreter.X64, Libseccomp.ResolveSystemCall(FilterInterpreter.X64, "ioctl"), 3, request, 0).CarriesOut;

    [Theory]
    [InlineData("FS_IOC_SETFLAGS", 0x40086602ul)]
    [InlineData("FS_IOC32_SETFLAGS", 0x40046602ul)]
    [InlineData("FS_IOC_FSSETXATTR", 0x401c5820ul)]
    [InlineData("FS_IOC_FSSETXATTR, with bits that the kernel does not look at", 0xffff_ffff_401c_5820ul)]
    public void A_container_cannot_change_the_project_of_its_files(string name, ulong request)
    {
        Assert.True(Allows(SeccompCompiler.Build(s_builtIn), request), name);
        Assert.False(Allows(SeccompCompiler.Build(ProjectGuard.Apply(s_builtIn)), request), name);
    }

    [Fact]
    public void Every_other_request_is_as_before()
    {
        SeccompProgram guarded = SeccompCompiler.Build(ProjectGuard.Apply(s_builtIn));
        foreach (ulong forbidden in (ulong[])[0x40086602, 0x401c5820])
        {
            for (int bit = 0; bit < 32; bit++)
            {
                // Bits 16 to 29 say how long the argument is.
                Assert.Equal(bit is < 16 or >= 30, Allows(guarded, forbidden ^ (1ul << bit)));
            }
        }

        // TCGETS, TIOCGWINSZ, FIONREAD, FS_IOC_GETFLAGS, FS_IOC_FSGETXATTR, FICLONE, and what nobody knows.
        Assert.All((ulong[])[0x5401, 0x5413, 0x541b, 0x80086601, 0x801c581f, 0x40049409, 0, 0xffffffff], request => Assert.True(Allows(guarded, request)));
    }

    [Fact]
    public void It_holds_for_profiles_of_users_too()
    {
        SeccompSpec permissive = new() { DefaultAction = "SCMP_ACT_ALLOW", Architectures = ["SCMP_ARCH_X86_64"], Syscalls = [new SeccompRule { Names = ["mount"], Action = "SCMP_ACT_ERRNO" }] };
        SeccompProgram program = SeccompCompiler.Build(ProjectGuard.Apply(permissive));
        Assert.False(Allows(program, 0x40086602));
        Assert.False(Allows(program, 0x401c5820));
        Assert.True(Allows(program, 0x5401));

        SeccompSpec strict = permissive with { DefaultAction = "SCMP_ACT_ERRNO", Syscalls = [new SeccompRule { Names = ["read"], Action = "SCMP_ACT_ALLOW" }] };
        Assert.Equal(["read"], Assert.Single(ProjectGuard.Apply(strict).Syscalls).Names);
        Assert.Empty(ProjectGuard.Apply(strict with { Syscalls = [new SeccompRule { Names = ["file_setattr"], Action = "SCMP_ACT_ALLOW" }] }).Syscalls);
    }
}
