using System.Text.RegularExpressions;

namespace Slipway.Build.Checks;

/// <summary>
/// A rule of build checks, by the name and the page that Docker gave it (docs.docker.com/reference/build-checks): <c># check=skip=NAME</c> of Dockerfiles that exist means the same here.
/// </summary>
/// <param name="IsExperimental">Looked at only where it is asked for.</param>
public sealed partial record CheckRule(string Name, string Description, bool IsExperimental = false)
{
    public static readonly CheckRule StageNameCasing = new(nameof(StageNameCasing), "Names of stages are to be in lower case");
    public static readonly CheckRule FromAsCasing = new(nameof(FromAsCasing), "AS is to be written in the case of its FROM");
    public static readonly CheckRule NoEmptyContinuation = new(nameof(NoEmptyContinuation), "A continued line must not be followed by an empty one");
    public static readonly CheckRule ConsistentInstructionCasing = new(nameof(ConsistentInstructionCasing), "All instructions of a Dockerfile are to be written in the same case");
    public static readonly CheckRule DuplicateStageName = new(nameof(DuplicateStageName), "A stage has a name of its own");
    public static readonly CheckRule ReservedStageName = new(nameof(ReservedStageName), "Words that mean something else are no names of stages");
    public static readonly CheckRule JsonArgsRecommended = new("JSONArgsRecommended", "CMD and ENTRYPOINT are to be lists, so that signals reach the program and not a shell");
    public static readonly CheckRule MaintainerDeprecated = new(nameof(MaintainerDeprecated), "A label tells who maintains an image, MAINTAINER is out of use");
    public static readonly CheckRule UndefinedArgInFrom = new(nameof(UndefinedArgInFrom), "FROM knows the arguments that are declared before it");
    public static readonly CheckRule WorkdirRelativePath = new(nameof(WorkdirRelativePath), "The first WORKDIR is to be absolute: what it is relative to is the base image's matter");
    public static readonly CheckRule UndefinedVar = new(nameof(UndefinedVar), "A variable is to be declared before it is used");
    public static readonly CheckRule MultipleInstructionsDisallowed = new(nameof(MultipleInstructionsDisallowed), "Of several such instructions in a stage only the last counts");
    public static readonly CheckRule LegacyKeyValueFormat = new(nameof(LegacyKeyValueFormat), "Names and values are to be joined by an equals sign");
    public static readonly CheckRule RedundantTargetPlatform = new(nameof(RedundantTargetPlatform), "The target platform is what FROM takes anyway");
    public static readonly CheckRule SecretsUsedInArgOrEnv = new(nameof(SecretsUsedInArgOrEnv), "Secrets are not to be arguments or variables: an image tells them to everybody");
    public static readonly CheckRule InvalidDefaultArgInFrom = new(nameof(InvalidDefaultArgInFrom), "The defaults of arguments are to make a valid image name");
    public static readonly CheckRule FromPlatformFlagConstDisallowed = new(nameof(FromPlatformFlagConstDisallowed), "The platform of a FROM is not to be fixed");
    public static readonly CheckRule CopyIgnoredFile = new(nameof(CopyIgnoredFile), "What .dockerignore leaves out cannot be copied", IsExperimental: true);
    public static readonly CheckRule InvalidDefinitionDescription = new(
        nameof(InvalidDefinitionDescription), "A comment right above a stage or an argument begins with its name, or an empty line keeps it apart", IsExperimental: true);

    public static readonly CheckRule ExposeProtoCasing = new(nameof(ExposeProtoCasing), "Protocols of EXPOSE are to be in lower case");
    public static readonly CheckRule ExposeInvalidFormat = new(nameof(ExposeInvalidFormat), "EXPOSE names ports of the container, not addresses and ports of the host");

    public static IReadOnlyList<CheckRule> All { get; } =
    [
        StageNameCasing, FromAsCasing, NoEmptyContinuation, ConsistentInstructionCasing, DuplicateStageName, ReservedStageName, JsonArgsRecommended, MaintainerDeprecated, UndefinedArgInFrom,
        WorkdirRelativePath, UndefinedVar, MultipleInstructionsDisallowed, LegacyKeyValueFormat, RedundantTargetPlatform, SecretsUsedInArgOrEnv, InvalidDefaultArgInFrom,
        FromPlatformFlagConstDisallowed, CopyIgnoredFile, InvalidDefinitionDescription, ExposeProtoCasing, ExposeInvalidFormat,
    ];

    /// <summary>The page that explains it.</summary>
    public string Url => $"https://docs.docker.com/go/dockerfile/rule/{WordStart().Replace(Name, "-").ToLowerInvariant()}/";

    /// <summary>Before a capital that follows a small letter, and before the last of several that begins a word.</summary>
    [GeneratedRegex("(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")]
    private static partial Regex WordStart();
}
