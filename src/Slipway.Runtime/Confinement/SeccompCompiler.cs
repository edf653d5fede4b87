using System.Collections.Concurrent;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Text;
using Slipway.Kernel;
using Slipway.Kernel.Security;
using Slipway.Oci.Runtime;

namespace Slipway.Runtime.Confinement;

/// <summary>A program for seccomp(2).</summary>
/// <param name="Instructions">struct sock_filter, 8 bytes each.</param>
/// <param name="Flags">SECCOMP_FILTER_FLAG_*.</param>
public sealed record SeccompProgram(ReadOnlyMemory<byte> Instructions, uint Flags)
{
    /// <summary>As struct sock_fprog counts.</summary>
    public ushort Length => (ushort)(Instructions.Length / SeccompFilter.InstructionSize);
}

/// <summary>
/// Compiles resolved profiles, which takes libseccomp milliseconds, and keeps the programs by the content of the profile.
/// Safe for concurrent use.
/// </summary>
public sealed class SeccompCompiler
{
    private const int MemoryEntries = 64;

    // uapi/linux/seccomp.h.
    private const uint SECCOMP_FILTER_FLAG_LOG = 2;
    private const uint SECCOMP_FILTER_FLAG_SPEC_ALLOW = 4;

    private readonly ConcurrentDictionary<string, Lazy<SeccompProgram>> _programs = new(StringComparer.Ordinal);

    /// <summary>By the object, so that the profile nearly every container has is not hashed for each.</summary>
    private readonly ConditionalWeakTable<SeccompSpec, SeccompProgram> _known = [];

    /// <exception cref="ConfinementException">The profile names an unknown action, architecture or flag, or cannot be compiled.</exception>
    public SeccompProgram Compile(SeccompSpec spec)
    {
        if (_known.TryGetValue(spec, out SeccompProgram? known))
        {
            return known;
        }

        SeccompProgram compiled = CompileContent(spec);
        _known.AddOrUpdate(spec, compiled);
        return compiled;
    }

    private SeccompProgram CompileContent(SeccompSpec spec)
    {
        string key = Key(spec);
        if (_programs.Count >= MemoryEntries && !_programs.ContainsKey(key))
        {
            // Only profiles that users bring grow the number.
            _programs.Clear();
        }

        Lazy<SeccompProgram> program = _programs.GetOrAdd(key, _ => new Lazy<SeccompProgram>(() => Build(spec)));
        try
        {
            return program.Value;
        }
        catch
        {
            _programs.TryRemove(key, out _);
            throw;
        }
    }

    /// <summary>Compiles without a cache.</summary>
    /// <exception cref="ConfinementException">As <see cref="Compile"/>.</exception>
    public static SeccompProgram Build(SeccompSpec spec)
    {
        try
        {
            using SeccompFilter filter = new(Action(spec.DefaultAction, spec.DefaultErrnoRet, isDefault: true), [.. spec.Architectures.Select(ArchitectureName)]);
            AddRules(filter, spec.Syscalls);
            return new SeccompProgram(filter.Export(), Flags(spec.Flags));
        }
        catch (Exception exception) when (exception is KernelException or ArgumentException)
        {
            throw new ConfinementException($"seccomp profile: {exception.Message}", exception);
        }
    }

    /// <exception cref="ConfinementException">A rule names an unknown action or operator.</exception>
    /// <exception cref="KernelException">A rule is not possible.</exception>
    internal static void AddRules(SeccompFilter filter, IEnumerable<SeccompRule> rules)
    {
        List<SeccompCondition> conditions = [];
        foreach (SeccompRule rule in rules)
        {
            SeccompAction action = Action(rule.Action, rule.ErrnoRet, isDefault: false);
            conditions.Clear();
            conditions.AddRange(rule.Args.Select(Condition));

            // Several conditions on one argument have always been alternatives; on different ones all must hold.
            bool alternatives = conditions.DistinctBy(condition => condition.Argument).Count() < conditions.Count;
            foreach (string name in rule.Names)
            {
                if (!alternatives)
                {
                    filter.TryAdd(name, action, [.. conditions]);
                    continue;
                }

                foreach (SeccompCondition condition in conditions)
                {
                    filter.TryAdd(name, action, [condition]);
                }
            }
        }
    }

    private static SeccompAction Action(string name, uint? errno, bool isDefault)
    {
        ushort number = (errno ?? Errno.EPERM) <= ushort.MaxValue
            ? (ushort)(errno ?? Errno.EPERM)
            : throw new ConfinementException(string.Create(CultureInfo.InvariantCulture, $"seccomp profile: errnoRet {errno} is too large"));
        if (errno is not null && name is not ("SCMP_ACT_ERRNO" or "SCMP_ACT_TRACE"))
        {
            throw new ConfinementException($"seccomp profile: can't specify errnoRet with action {name}");
        }

        return name switch
        {
            "SCMP_ACT_KILL" or "SCMP_ACT_KILL_THREAD" => SeccompAction.KillThread,
            "SCMP_ACT_KILL_PROCESS" => SeccompAction.KillProcess,
            "SCMP_ACT_TRAP" => SeccompAction.Trap,
            "SCMP_ACT_ERRNO" => SeccompAction.Error(number),
            "SCMP_ACT_TRACE" => SeccompAction.Trace(number),
            "SCMP_ACT_ALLOW" => SeccompAction.Allow,
            "SCMP_ACT_LOG" => SeccompAction.Log,
            "SCMP_ACT_NOTIFY" when isDefault => throw new ConfinementException("seccomp profile: SCMP_ACT_NOTIFY cannot be used as default action"),

            // Nobody would answer: the profile has no listener.
            "SCMP_ACT_NOTIFY" => throw new ConfinementException("seccomp profile: SCMP_ACT_NOTIFY needs a listenerPath, which is not supported"),
            _ => throw new ConfinementException($"seccomp profile: string {name} is not a valid action for seccomp"),
        };
    }

    private static SeccompCondition Condition(SeccompArgument argument) => new(
        argument.Index,
        argument.Op switch
        {
            "SCMP_CMP_NE" => SeccompComparison.NotEqual,
            "SCMP_CMP_LT" => SeccompComparison.Less,
            "SCMP_CMP_LE" => SeccompComparison.LessOrEqual,
            "SCMP_CMP_EQ" => SeccompComparison.Equal,
            "SCMP_CMP_GE" => SeccompComparison.GreaterOrEqual,
            "SCMP_CMP_GT" => SeccompComparison.Greater,
            "SCMP_CMP_MASKED_EQ" => SeccompComparison.MaskedEqual,
            _ => throw new ConfinementException($"seccomp profile: string {argument.Op} is not a valid operator for seccomp"),
        },
        argument.Value,
        argument.ValueTwo);

    private static string ArchitectureName(string name)
    {
        const string prefix = "SCMP_ARCH_";
        return name.StartsWith(prefix, StringComparison.Ordinal)
            ? name[prefix.Length..].ToLowerInvariant()
            : throw new ConfinementException($"seccomp profile: string {name} is not a valid arch for seccomp");
    }

    private static uint Flags(IReadOnlyList<string> names)
    {
        if (names.Count == 0)
        {
            // As runc: the profile is to confine, not to switch on mitigations that Linux 5.16 gave up for seccomp tasks.
            return SECCOMP_FILTER_FLAG_SPEC_ALLOW;
        }

        uint flags = 0;
        foreach (string name in names)
        {
            flags |= name switch
            {
                "SECCOMP_FILTER_FLAG_LOG" => SECCOMP_FILTER_FLAG_LOG,
                "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => SECCOMP_FILTER_FLAG_SPEC_ALLOW,

                // One thread installs the filter before the program starts: there is nothing to synchronise with.
                "SECCOMP_FILTER_FLAG_TSYNC" => 0,
                _ => throw new ConfinementException($"seccomp profile: seccomp flags not supported: {name}"),
            };
        }

        return flags;
    }

    /// <summary>A hash of the whole profile.</summary>
    private static string Key(SeccompSpec spec)
    {
        StringBuilder text = new(8192);
        text.Append(CultureInfo.InvariantCulture, $"{spec.DefaultAction}\n{spec.DefaultErrnoRet}\n");
        text.AppendJoin('\t', spec.Architectures).Append('\n').AppendJoin('\t', spec.Flags).Append('\n');
        foreach (SeccompRule rule in spec.Syscalls)
        {
            text.Append(CultureInfo.InvariantCulture, $"{rule.Action}\t{rule.ErrnoRet}\t").AppendJoin(' ', rule.Names);
            foreach (SeccompArgument argument in rule.Args)
            {
                text.Append(CultureInfo.InvariantCulture, $"\t{argument.Index} {argument.Op} {argument.Value} {argument.ValueTwo}");
            }

            text.Append('\n');
        }

        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())));
    }
}
