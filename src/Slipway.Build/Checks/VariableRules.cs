using Slipway.Build.Graph;
using Slipway.Build.Syntax;
using Slipway.Oci;

namespace Slipway.Build.Checks;

/// <summary>Rules about arguments and environment variables.</summary>
internal sealed class VariableRules(DockerfileDocument document, CheckRequest request, CheckFindings findings)
{
    private const string SearchPath = "PATH";

    /// <summary>Among more names nobody is told of a similar one.</summary>
    private const int MaximumCandidates = 500;

    private static readonly HashSet<string> s_secretWords = new(StringComparer.OrdinalIgnoreCase)
    {
        "apikey", "auth", "credential", "credentials", "key", "password", "pword", "passwd", "secret", "token",
    };

    /// <summary>A word that says it is none.</summary>
    private static readonly HashSet<string> s_harmlessWords = new(StringComparer.OrdinalIgnoreCase) { "public", "file", "version" };

    private readonly HashSet<string> _global = [.. BuildArguments.Predefined];
    private readonly Dictionary<string, Scope> _scopes = new(StringComparer.OrdinalIgnoreCase);

    private char Escape => document.Directives.Escape;

    public void Apply()
    {
        foreach (ArgInstruction argument in document.GlobalArguments)
        {
            CheckSecrets(argument, argument.Arguments.Select(given => given.Name));
            _global.UnionWith(argument.Arguments.Select(given => given.Name));
        }

        BuildArguments? defaults = Defaults();
        foreach (Stage stage in document.Stages)
        {
            CheckFrom(stage.From, defaults);
            Scope scope = ScopeOf(stage.From, defaults);
            foreach (Instruction instruction in stage.Instructions)
            {
                CheckReferences(instruction, scope);
                Declare(instruction, scope);
            }

            if (stage.From.StageName is { } name)
            {
                _scopes[name] = scope;
            }
        }
    }

    /// <summary>Arguments as they are where a build gives none; null: they cannot be meant, which a build says.</summary>
    private BuildArguments? Defaults()
    {
        try
        {
            return document.GlobalArguments.Aggregate(
                BuildArguments.Global(new Dictionary<string, string?>(), Platform.Host, Platform.Host, "default"), (arguments, instruction) => arguments.DeclareGlobal(instruction, Escape));
        }
        catch (DockerfileException)
        {
            return null;
        }
    }

    private void CheckFrom(FromInstruction from, BuildArguments? defaults)
    {
        foreach (string name in VariableReferences.Needed($"{from.Base} {from.Platform}", Escape).Distinct().Where(name => !_global.Contains(name)))
        {
            findings.Add(CheckRule.UndefinedArgInFrom, from.Lines, Suggestion.Add($"{name} is not declared before the first FROM", name, _global));
        }

        if (from.Base.Contains('$', StringComparison.Ordinal) && Expanded(from, defaults) is { } image && !Reference.TryParse(image, out _))
        {
            findings.Add(CheckRule.InvalidDefaultArgInFrom, from.Lines, $"without build arguments {from.Base} is \"{image}\", which names no image");
        }
    }

    private string? Expanded(FromInstruction from, BuildArguments? defaults)
    {
        try
        {
            return defaults is null ? null : ShellWord.Expand(from.Base, Escape, defaults.GlobalValue);
        }
        catch (FormatException)
        {
            // It demands an argument (${x:?}): that is no mistake.
            return null;
        }
    }

    private Scope ScopeOf(FromInstruction from, BuildArguments? defaults)
    {
        if (_scopes.TryGetValue(from.Base, out Scope? earlier))
        {
            return new Scope([.. earlier.Known], earlier.IsComplete);
        }

        IReadOnlyList<string>? environment = from.Base == "scratch" ? [] : Expanded(from, defaults) is { Length: > 0 } image ? request.EnvironmentOf(image) : null;
        return new Scope([SearchPath, .. BuildArguments.ProxyNames, .. (environment ?? []).Select(variable => variable.Split('=', 2)[0])], environment is not null);
    }

    private void CheckReferences(Instruction instruction, Scope scope)
    {
        // Variables of one instruction do not know of each other: ENV a=1 b=$a takes the a from before.
        foreach (string name in Texts(instruction).SelectMany(text => VariableReferences.Needed(text, Escape)).Distinct().Where(name => !scope.Known.Contains(name)))
        {
            string undeclared = $"{name} is not declared";
            string detail = Suggested(undeclared, name, scope);

            // Where the base image's environment is not known the variable may well be there, unless it looks like another one mistyped.
            if (scope.IsComplete || detail != undeclared)
            {
                findings.Add(CheckRule.UndefinedVar, instruction.Lines, detail);
            }
        }
    }

    private static string Suggested(string message, string name, Scope scope) => scope.Known.Count > MaximumCandidates ? message : Suggestion.Add(message, name, scope.Known);

    /// <summary>What variables are replaced in (Dockerfile reference, "Environment replacement").</summary>
    private static IEnumerable<string> Texts(Instruction instruction) => instruction switch
    {
        TransferInstruction transfer => [.. transfer.Sources, transfer.Destination, transfer.Owner ?? "", transfer.Mode ?? ""],
        EnvInstruction env => env.Variables.Select(variable => variable.Value),
        LabelInstruction label => label.Labels.Select(pair => pair.Value),
        ExposeInstruction expose => expose.Ports,
        VolumeInstruction volume => volume.Paths,
        UserInstruction user => [user.User],
        WorkdirInstruction workdir => [workdir.Path],
        StopsignalInstruction signal => [signal.Signal],
        _ => [],
    };

    private void Declare(Instruction instruction, Scope scope)
    {
        switch (instruction)
        {
            case ArgInstruction argument:
                foreach (BuildArgument given in argument.Arguments)
                {
                    foreach (string name in VariableReferences.Needed(given.Value ?? "", Escape).Where(name => !scope.Known.Contains(name) && scope.IsComplete))
                    {
                        findings.Add(CheckRule.UndefinedVar, argument.Lines, Suggested($"{name} is not declared", name, scope));
                    }

                    scope.Known.Add(given.Name);
                }

                CheckSecrets(argument, argument.Arguments.Select(given => given.Name));
                break;
            case EnvInstruction env:
                scope.Known.UnionWith(env.Variables.Select(variable => variable.Name));
                CheckSecrets(env, env.Variables.Select(variable => variable.Name));
                break;
        }
    }

    private void CheckSecrets(Instruction instruction, IEnumerable<string> names)
    {
        foreach (string name in names)
        {
            string[] words = name.Split('_');
            if (words.Any(s_secretWords.Contains) && !words.Any(s_harmlessWords.Contains))
            {
                findings.Add(CheckRule.SecretsUsedInArgOrEnv, instruction.Lines, $"{instruction.Keyword} {name} looks like a secret: use RUN --mount=type=secret");
            }
        }
    }

    /// <param name="Known">Names that are declared here.</param>
    /// <param name="IsComplete">The environment of the base image is among them.</param>
    private sealed record Scope(HashSet<string> Known, bool IsComplete);
}
