using Slipway.Build.Syntax;
using Slipway.Oci;

namespace Slipway.Build.Graph;

/// <summary>
/// The arguments that are declared at a place of a Dockerfile (Dockerfile reference, "ARG"). Never changed: an instruction makes new ones.
/// </summary>
public sealed class BuildArguments
{
    /// <summary>Known everywhere without being declared; what a step makes does not depend on them.</summary>
    private static readonly string[] s_proxies = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "FTP_PROXY", "ftp_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"];

    private static readonly string[] s_platforms =
        [.. from prefix in new[] { "BUILD", "TARGET" } from part in new[] { "PLATFORM", "OS", "OSVERSION", "ARCH", "VARIANT" } select prefix + part];

    private readonly IReadOnlyDictionary<string, string?> _given;
    private readonly IReadOnlyDictionary<string, string> _platform;
    private readonly IReadOnlyDictionary<string, string?> _global;
    private readonly IReadOnlyDictionary<string, string?> _declared;
    private readonly IReadOnlyList<string> _order;
    private readonly SubstitutionBudget _budget;

    private BuildArguments(
        IReadOnlyDictionary<string, string?> given,
        IReadOnlyDictionary<string, string> platform,
        IReadOnlyDictionary<string, string?> global,
        IReadOnlyDictionary<string, string?> declared,
        IReadOnlyList<string> order,
        SubstitutionBudget budget) =>
        (_given, _platform, _global, _declared, _order, _budget) = (given, platform, global, declared, order, budget);

    /// <summary>Before the first stage.</summary>
    /// <param name="given">What the build was asked with; null: what the Dockerfile says.</param>
    public static BuildArguments Global(IReadOnlyDictionary<string, string?> given, Platform build, Platform target, string targetStage) =>
        new(given, PlatformArguments(build, target, targetStage), new Dictionary<string, string?>(), new Dictionary<string, string?>(), [], new SubstitutionBudget());

    /// <summary>Those declared, with their values; null: it has none.</summary>
    public IReadOnlyDictionary<string, string?> Declared => _declared;

    /// <summary>Names that FROM knows without a declaration.</summary>
    internal static IEnumerable<string> Predefined => [.. s_proxies, .. s_platforms, "TARGETSTAGE"];

    /// <summary>Names that every instruction knows without a declaration.</summary>
    internal static IReadOnlyList<string> ProxyNames => s_proxies;

    /// <summary>Whether a name is that of a proxy, whose value may have a password.</summary>
    public static bool IsProxy(string name) => s_proxies.Contains(name);

    /// <summary>What is given and was declared nowhere: most likely mistyped.</summary>
    public static IEnumerable<string> Unused(IReadOnlyDictionary<string, string?> given, IReadOnlySet<string> declared) =>
        given.Keys.Where(name => !declared.Contains(name) && !s_proxies.Contains(name) && !IsForTheBuilder(name)).Order(StringComparer.Ordinal);

    /// <summary>Arguments that say how to build, and need no declaration (docs.docker.com/build/building/variables, "Build tool configuration variables").</summary>
    private static bool IsForTheBuilder(string name) => name == "SOURCE_DATE_EPOCH" || name.StartsWith("BUILDKIT_", StringComparison.Ordinal);

    /// <summary>The arguments before the first stage, after an instruction there.</summary>
    /// <exception cref="DockerfileException">A default cannot be meant.</exception>
    public BuildArguments DeclareGlobal(ArgInstruction instruction, char escape) =>
        new(_given, _platform, With(_global, instruction, escape, _platform.GetValueOrDefault, _platform.GetValueOrDefault), _declared, _order, _budget);

    /// <summary>At the beginning of a stage that starts from no other.</summary>
    public BuildArguments Stage() => new(_given, _platform, _global, new Dictionary<string, string?>(), [], _budget);

    /// <summary>After an instruction of a stage.</summary>
    /// <param name="env">The environment there.</param>
    /// <exception cref="DockerfileException">A default cannot be meant.</exception>
    public BuildArguments Declare(ArgInstruction instruction, char escape, IReadOnlyList<string>? env) =>
        new(
            _given, _platform, _global, With(_declared, instruction, escape, OuterValue, name => Value(env, name)), [.. _order, .. instruction.Arguments.Select(argument => argument.Name)], _budget);

    /// <summary>What a stage's ARG without a default gets where the build gives it nothing.</summary>
    internal string? OuterValue(string name) => _global.GetValueOrDefault(name) ?? _platform.GetValueOrDefault(name);

    /// <summary>Of a variable in a FROM instruction.</summary>
    /// <exception cref="FormatException">Too much was replaced in this build already.</exception>
    public string? GlobalValue(string name) => _budget.Spend(_global.TryGetValue(name, out string? value) ? value : _platform.GetValueOrDefault(name));

    /// <summary>Of a variable in an instruction of a stage: the environment goes before arguments.</summary>
    /// <exception cref="FormatException">Too much was replaced in this build already.</exception>
    public string? Value(IReadOnlyList<string>? env, string name) =>
        _budget.Spend(Environment(env, name) ?? (_declared.TryGetValue(name, out string? value) ? value : s_proxies.Contains(name) ? _given.GetValueOrDefault(name) : null));

    /// <summary>What a build was given for an argument, whether it is declared or not.</summary>
    public string? Given(string name) => _given.GetValueOrDefault(name);

    /// <summary>Declared arguments that a step's program gets as variables, by name: those that have a value, and that the environment does not set.</summary>
    public IReadOnlyList<string> Variables(IReadOnlyList<string>? env) =>
        [.. _declared.Where(argument => argument.Value is not null && Environment(env, argument.Key) is null).Select(argument => $"{argument.Key}={argument.Value}").Order(StringComparer.Ordinal)];

    /// <summary>What BuildKit tells of them in a history: each declaration in its order, with the value that the name has by now.</summary>
    public IReadOnlyList<string> Told(IReadOnlyList<string>? env) => [.. _order.Select(name => $"{name}={Environment(env, name) ?? _declared.GetValueOrDefault(name)}")];

    /// <summary>Proxies a step's program gets beside them, which are no part of what it makes.</summary>
    public IReadOnlyList<string> Proxies(IReadOnlyList<string>? env) =>
        [.. s_proxies.Where(name => _given.GetValueOrDefault(name) is not null && !_declared.ContainsKey(name) && Environment(env, name) is null).Select(name => $"{name}={_given[name]}")];

    /// <summary>As BuildKit gives them: in upper and in lower case, whichever was given.</summary>
    public IReadOnlyList<string> ProxiesInBothCases(IReadOnlyList<string>? env) =>
    [
        .. from name in s_proxies
           where !_declared.ContainsKey(name) && Environment(env, name) is null
           let value = _given.GetValueOrDefault(name) ?? _given.GetValueOrDefault(char.IsAsciiLetterUpper(name[0]) ? name.ToLowerInvariant() : name.ToUpperInvariant())
           where value is not null
           select $"{name}={value}",
    ];

    internal static string? Environment(IReadOnlyList<string>? env, string name) =>
        env?.LastOrDefault(entry => entry.Length > name.Length && entry[name.Length] == '=' && entry.StartsWith(name, StringComparison.Ordinal))?[(name.Length + 1)..];

    /// <param name="declared">Those before the instruction.</param>
    /// <param name="outer">What an argument is that neither the build nor the instruction gives a value.</param>
    /// <param name="value">Of a variable in a default.</param>
    private Dictionary<string, string?> With(
        IReadOnlyDictionary<string, string?> declared, ArgInstruction instruction, char escape, Func<string, string?> outer, Func<string, string?> value)
    {
        Dictionary<string, string?> result = new(declared, StringComparer.Ordinal);
        foreach ((string name, string? standard) in instruction.Arguments)
        {
            try
            {
                result[name] = _given.GetValueOrDefault(name)
                    ?? (standard is null ? outer(name) : ShellWord.Expand(standard, escape, variable => result.TryGetValue(variable, out string? earlier) ? _budget.Spend(earlier) : value(variable)));
            }
            catch (FormatException error)
            {
                throw new DockerfileException(error.Message, new SourcePosition(instruction.Lines.First, 1));
            }
        }

        return result;
    }

    private static Dictionary<string, string> PlatformArguments(Platform build, Platform target, string targetStage)
    {
        Dictionary<string, string> arguments = new(StringComparer.Ordinal) { ["TARGETSTAGE"] = targetStage };
        Add("BUILD", build);
        Add("TARGET", target);
        return arguments;

        void Add(string prefix, Platform platform)
        {
            arguments[prefix + "PLATFORM"] = platform.ToString();
            arguments[prefix + "OS"] = platform.Os;
            arguments[prefix + "OSVERSION"] = platform.OsVersion ?? "";
            arguments[prefix + "ARCH"] = platform.Architecture;
            arguments[prefix + "VARIANT"] = platform.Variant ?? "";
        }
    }
}
