using Slipway.Engine;

namespace Slipway.Server.Authorization;

/// <summary>
/// What clients of a socket may do. A policy only takes away: what it does not name stays as the defaults here say, which allow every operation, on
/// every object, with no option that gives power over the host.
/// </summary>
public sealed record SocketPolicy
{
    /// <summary>Stands for every operation, or for every option that gives power over the host.</summary>
    public const string Everything = "*";

    /// <summary>Operations that are allowed: names (<c>containers.start</c>), groups (<c>containers.*</c>, <c>read</c>) or <c>*</c>.</summary>
    public IReadOnlyList<string> Verbs { get; init; } = [Everything];

    /// <summary>
    /// Labels an object must have to be seen or touched; what is created gets them. Empty: all objects. Images, which are made elsewhere, are not
    /// told apart by labels.
    /// </summary>
    public IReadOnlyDictionary<string, string> Labels { get; init; } = new Dictionary<string, string>();

    /// <summary>Options that are allowed although they give power over the host (<see cref="PrivilegedOptions"/>), or <c>*</c>.</summary>
    public IReadOnlyList<string> Privileged { get; init; } = [];

    /// <exception cref="EngineException">InvalidParameter: a name that means nothing, which would silently allow nothing.</exception>
    public void Validate()
    {
        foreach (string verb in Verbs)
        {
            if (verb != Everything && !Authorization.Verbs.Exists(verb))
            {
                throw new EngineException(ErrorKind.InvalidParameter, $"policy: unknown verb \"{verb}\"");
            }
        }

        foreach (string option in Privileged)
        {
            if (option != Everything && !PrivilegedOptions.Exists(option))
            {
                throw new EngineException(ErrorKind.InvalidParameter, $"policy: unknown privileged option \"{option}\"");
            }
        }

        if (Labels.Keys.Any(key => key.Length == 0 || key.Contains('=', StringComparison.Ordinal)))
        {
            throw new EngineException(ErrorKind.InvalidParameter, "policy: a label needs a name, without \"=\"");
        }
    }

    internal bool AllowsVerb(string verb) => Authorization.Verbs.IsAlwaysAllowed(verb) || Verbs.Any(allowed => Authorization.Verbs.Covers(allowed, verb));

    internal bool AllowsOption(string option) =>
        Privileged.Any(allowed => allowed == Everything || allowed == option || option.StartsWith(allowed + ":", StringComparison.Ordinal));

    /// <summary>Whether an object with these labels is within the policy.</summary>
    internal bool Includes(IReadOnlyDictionary<string, string>? labels) =>
        Labels.All(label => labels is not null && labels.TryGetValue(label.Key, out string? value) && value == label.Value);
}

/// <summary>A unix socket beside those of <see cref="ServerOptions.Hosts"/>.</summary>
/// <param name="Path">Absolute.</param>
/// <param name="Group">Who may connect besides root; null for the engine's groups.</param>
/// <param name="Mode">Of the socket; null for 0660.</param>
/// <param name="Policy">Null: all may be done, as at the engine's main socket.</param>
public sealed record ApiSocket(string Path, string? Group, UnixFileMode? Mode, SocketPolicy? Policy);
