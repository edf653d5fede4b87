using Slipway.Oci.Runtime;

namespace Slipway.Runtime.Confinement;

/// <summary>
/// Keeps a container from taking its files out of the project that bounds them. Whoever owns a file may give it another project (FS_IOC_FSSETXATTR), and a directory another way of
/// handing its own on (FS_IOC_SETFLAGS): the kernel forbids it only inside user namespaces (fileattr_set_prepare() in fs/file_attr.c). What is asked for is in memory, where no filter can
/// look, so both requests go as a whole.
/// </summary>
public static class ProjectGuard
{
    private const string Call = "ioctl";

    /// <summary>The same as a call of its own, Linux 6.17.</summary>
    private const string NewCall = "file_setattr";
    private const string Refuse = "SCMP_ACT_ERRNO";
    private const string Allow = "SCMP_ACT_ALLOW";

    // Requests are direction, size, type and number (asm-generic/ioctl.h). The size differs between 32 and 64 bits, and is not looked at: with bits 31 and 30 for the direction
    // "write", these are _IOW('f', 2, …) and _IOW('X', 32, …).
    private const uint Write = 0x4000_0000;
    private const uint SetFlags = 0x6602;
    private const uint SetAttributes = 0x5820;
    private const uint Compared = 0xC000_FFFF;

    /// <summary>Type and number of the two differ in this bit first; above it they are alike.</summary>
    private const uint Parting = 0x2000;

    /// <summary>The profile without the two requests.</summary>
    public static SeccompSpec Apply(SeccompSpec profile)
    {
        if (profile.DefaultAction == Allow)
        {
            SeccompRule[] refused = [Rule(Refuse, Compared, Write | SetFlags), Rule(Refuse, Compared, Write | SetAttributes), new() { Names = [NewCall], Action = Refuse }];
            return profile with { Syscalls = [.. profile.Syscalls, .. refused] };
        }

        // Of several rules for a call one without conditions covers all others.
        IEnumerable<SeccompRule> narrowed = profile.Syscalls.Select(Without).Where(rule => rule.Names.Count > 0);
        return profile with { Syscalls = [.. narrowed, .. profile.Syscalls.Any(IsWhole) ? Others() : []] };
    }

    private static bool IsWhole(SeccompRule rule) => rule is { Action: Allow, Args.Count: 0 } && rule.Names.Contains(Call);

    private static SeccompRule Without(SeccompRule rule) => rule.Action != Allow
        ? rule
        : rule with { Names = [.. rule.Names.Where(name => name != NewCall && (name != Call || rule.Args.Count > 0))] };

    /// <summary>All requests but the two, as alternatives: each differs from both in a bit that they have alike, or from the one on its side of the parting in a bit below.</summary>
    private static IEnumerable<SeccompRule> Others()
    {
        for (uint bit = 0x8000_0000; bit != 0; bit >>= 1)
        {
            if ((bit & Compared) == 0 || bit == Parting)
            {
                continue;
            }

            if (bit > Parting)
            {
                yield return Rule(Allow, bit, ~(Write | SetFlags) & bit);
                continue;
            }

            yield return Rule(Allow, Parting | bit, Parting | (~SetFlags & bit));
            yield return Rule(Allow, Parting | bit, ~SetAttributes & bit);
        }
    }

    private static SeccompRule Rule(string action, uint mask, uint value) => new() { Names = [Call], Action = action, Args = [new SeccompArgument(1, mask, value, "SCMP_CMP_MASKED_EQ")] };
}
