using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Slipway.Oci.Runtime;

namespace Slipway.Runtime.Confinement;

/// <summary>Reads a profile in Docker's JSON form, as <c>--security-opt seccomp=…</c> sends it.</summary>
public static class SeccompProfileReader
{
    private static readonly string[] Actions =
    [
        "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_TRAP", "SCMP_ACT_ERRNO", "SCMP_ACT_TRACE",
        "SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY",
    ];

    private static readonly string[] Operators =
        ["SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ"];

    /// <exception cref="ConfinementException">Not such a document; the text begins with <c>Decoding seccomp profile failed</c> or names the field.</exception>
    public static SeccompProfile Parse(string json)
    {
        ProfileDocument document;
        try
        {
            document = JsonSerializer.Deserialize(json, SeccompJson.Default.ProfileDocument) ?? new ProfileDocument();
        }
        catch (JsonException exception)
        {
            throw new ConfinementException($"Decoding seccomp profile failed: {exception.Message}", exception);
        }

        if (document.Architectures is { Length: > 0 } && document.ArchMap is { Length: > 0 })
        {
            throw new ConfinementException("both 'architectures' and 'archMap' are specified in the seccomp profile, use either 'architectures' or 'archMap'");
        }

        RuleDocument[] rules = document.Syscalls ?? [];
        if (rules.Length > 0 || !string.IsNullOrEmpty(document.DefaultAction))
        {
            CheckAction(document.DefaultAction);
        }

        return new SeccompProfile
        {
            DefaultAction = document.DefaultAction ?? "",
            DefaultErrnoRet = document.DefaultErrnoRet,
            Architectures = document.Architectures ?? [],
            ArchitectureMap = [.. (document.ArchMap ?? []).Select(entry => new SeccompArchitectures(entry.Architecture ?? "", entry.SubArchitectures ?? []))],
            Flags = document.Flags ?? [],
            Rules = [.. rules.Select(Rule)],
        };
    }

    private static SeccompProfileRule Rule(RuleDocument rule)
    {
        string[] names = rule.Names ?? [];
        if (!string.IsNullOrEmpty(rule.Name))
        {
            names = names.Length == 0
                ? [rule.Name]
                : throw new ConfinementException("both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'");
        }

        CheckAction(rule.Action);
        return new SeccompProfileRule
        {
            Rule = new SeccompRule
            {
                Names = names,
                Action = rule.Action!,
                ErrnoRet = rule.ErrnoRet,
                Args = [.. (rule.Args ?? []).Select(Argument)],
            },
            Includes = Condition(rule.Includes),
            Excludes = Condition(rule.Excludes),
        };
    }

    private static SeccompArgument Argument(ArgumentDocument argument)
    {
        const uint arguments = 6;
        if (argument.Index >= arguments)
        {
            throw new ConfinementException(string.Create(CultureInfo.InvariantCulture, $"seccomp profile: argument index {argument.Index}: a system call has at most {arguments} arguments"));
        }

        return Operators.Contains(argument.Op)
            ? new SeccompArgument(argument.Index, argument.Value, argument.ValueTwo, argument.Op!)
            : throw new ConfinementException($"seccomp profile: string {argument.Op ?? ""} is not a valid operator for seccomp");
    }

    private static void CheckAction(string? action)
    {
        if (!Actions.Contains(action))
        {
            throw new ConfinementException($"seccomp profile: string {action ?? ""} is not a valid action for seccomp");
        }
    }

    private static SeccompRuleCondition? Condition(ConditionDocument? condition) => condition is null ? null : new SeccompRuleCondition
    {
        Capabilities = condition.Caps ?? [],
        Architectures = condition.Arches ?? [],
        MinimumKernel = string.IsNullOrEmpty(condition.MinKernel) ? null : Kernel(condition.MinKernel),
    };

    private static Version Kernel(string text)
    {
        string[] parts = text.Split('.');
        return parts.Length == 2 && Number(parts[0], out int kernel) && Number(parts[1], out int major) && (kernel, major) != (0, 0)
            ? new Version(kernel, major)
            : throw new ConfinementException($"Decoding seccomp profile failed: invalid kernel version: \"{text}\", expected \"<kernel>.<major>\"");

        static bool Number(string part, out int number) =>
            int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out number) && number <= byte.MaxValue;
    }

    internal sealed record ProfileDocument
    {
        public string? DefaultAction { get; init; }

        public uint? DefaultErrnoRet { get; init; }

        public string[]? Architectures { get; init; }

        public ArchitectureDocument[]? ArchMap { get; init; }

        public string[]? Flags { get; init; }

        public RuleDocument[]? Syscalls { get; init; }
    }

    internal sealed record ArchitectureDocument
    {
        public string? Architecture { get; init; }

        public string[]? SubArchitectures { get; init; }
    }

    internal sealed record RuleDocument
    {
        public string? Name { get; init; }

        public string[]? Names { get; init; }

        public string? Action { get; init; }

        public uint? ErrnoRet { get; init; }

        public ArgumentDocument[]? Args { get; init; }

        public ConditionDocument? Includes { get; init; }

        public ConditionDocument? Excludes { get; init; }
    }

    internal sealed record ArgumentDocument
    {
        public uint Index { get; init; }

        public ulong Value { get; init; }

        public ulong ValueTwo { get; init; }

        public string? Op { get; init; }
    }

    internal sealed record ConditionDocument
    {
        public string[]? Caps { get; init; }

        public string[]? Arches { get; init; }

        public string? MinKernel { get; init; }
    }
}

// As Go's decoder: names in any case, unknown members ignored.
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, PropertyNameCaseInsensitive = true)]
[JsonSerializable(typeof(SeccompProfileReader.ProfileDocument))]
internal sealed partial class SeccompJson : JsonSerializerContext;
