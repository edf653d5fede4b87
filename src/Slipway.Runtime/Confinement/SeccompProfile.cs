using System.Runtime.InteropServices;
using Slipway.Oci.Runtime;

namespace Slipway.Runtime.Confinement;

/// <summary>
/// A seccomp profile in Docker's form: rules that depend on the container's capabilities, the machine's architecture and the
/// kernel's version. Resolved for a container it becomes the runtime specification's.
/// </summary>
public sealed record SeccompProfile
{
    /// <summary>The profile of a container for which none is given.</summary>
    public static SeccompProfile Default { get; } = DefaultSeccompRules.Create();

    public required string DefaultAction { get; init; }

    public uint? DefaultErrnoRet { get; init; }

    /// <summary>Fixed architectures; excludes <see cref="ArchitectureMap"/>.</summary>
    public IReadOnlyList<string> Architectures { get; init; } = [];

    public IReadOnlyList<SeccompArchitectures> ArchitectureMap { get; init; } = [];

    public IReadOnlyList<string> Flags { get; init; } = [];

    public IReadOnlyList<SeccompProfileRule> Rules { get; init; } = [];

    /// <summary>The rules that hold for a container, or null where the profile has neither a default action nor rules: no filter then.</summary>
    /// <param name="capabilities">The container's bounding set, <c>CAP_CHOWN</c> and so on.</param>
    /// <param name="kernel">Of which the first two numbers count.</param>
    public SeccompSpec? Resolve(IReadOnlyCollection<string> capabilities, Architecture architecture, Version kernel)
    {
        if (DefaultAction.Length == 0 && Rules.Count == 0)
        {
            return null;
        }

        (string goName, string native) = Names(architecture);
        SeccompArchitectures? mapped = ArchitectureMap.FirstOrDefault(entry => entry.Architecture == native);
        return new SeccompSpec
        {
            DefaultAction = DefaultAction,
            DefaultErrnoRet = DefaultErrnoRet,
            Architectures = mapped is null ? Architectures : [mapped.Architecture, .. mapped.SubArchitectures],
            Flags = Flags,
            Syscalls = [.. Rules.Where(Holds).Select(rule => rule.Rule)],
        };

        bool Holds(SeccompProfileRule rule) =>
            (rule.Excludes is not { } excludes || !excludes.Any(goName, capabilities, kernel))
            && (rule.Includes is not { } includes || includes.All(goName, capabilities, kernel));
    }

    /// <summary>Go's name of an architecture, as conditions have it, and seccomp's, as the map has it.</summary>
    private static (string GoName, string Native) Names(Architecture architecture) => architecture switch
    {
        Architecture.X64 => ("amd64", "SCMP_ARCH_X86_64"),
        Architecture.X86 => ("x86", "SCMP_ARCH_X86"),
        Architecture.Arm64 => ("arm64", "SCMP_ARCH_AARCH64"),
        Architecture.Arm => ("arm", "SCMP_ARCH_ARM"),
        _ => throw new PlatformNotSupportedException($"no seccomp profile for {architecture}"),
    };
}

/// <summary>An architecture, and those whose programs it runs as well.</summary>
public sealed record SeccompArchitectures(string Architecture, IReadOnlyList<string> SubArchitectures);

/// <summary>A rule, and when it is part of the profile.</summary>
public sealed record SeccompProfileRule
{
    public required SeccompRule Rule { get; init; }

    /// <summary>The rule is left out unless all of it holds.</summary>
    public SeccompRuleCondition? Includes { get; init; }

    /// <summary>The rule is left out if any of it holds.</summary>
    public SeccompRuleCondition? Excludes { get; init; }
}

/// <summary>What a rule may depend on.</summary>
public sealed record SeccompRuleCondition
{
    public IReadOnlyList<string> Capabilities { get; init; } = [];

    /// <summary>By Go's names: <c>amd64</c>, <c>arm64</c>.</summary>
    public IReadOnlyList<string> Architectures { get; init; } = [];

    public Version? MinimumKernel { get; init; }

    internal bool All(string architecture, IReadOnlyCollection<string> capabilities, Version kernel) =>
        (Architectures.Count == 0 || Architectures.Contains(architecture)) && Capabilities.All(capabilities.Contains) && (MinimumKernel is null || kernel >= MinimumKernel);

    internal bool Any(string architecture, IReadOnlyCollection<string> capabilities, Version kernel) =>
        Architectures.Contains(architecture) || Capabilities.Any(capabilities.Contains) || (MinimumKernel is not null && kernel >= MinimumKernel);
}
