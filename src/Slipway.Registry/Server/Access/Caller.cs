namespace Slipway.Registry.Server.Access;

/// <summary>What may be done with a repository.</summary>
[Flags]
internal enum Rights
{
    None = 0,
    Pull = 1,
    Push = 2,
    Delete = 4,
    All = Pull | Push | Delete,
}

/// <summary>Who makes a request, as far as that is known.</summary>
/// <param name="Name">Null for a client that did not say who it is.</param>
/// <param name="Grants">What it may do with a repository.</param>
/// <param name="MayAdminister">Whether it may collect garbage and look at all repositories' names.</param>
internal sealed record Caller(string? Name, Func<RepositoryName, Rights> Grants, bool MayAdminister)
{
    public bool May(Rights rights, RepositoryName repository) => (Grants(repository) & rights) == rights;
}

/// <summary>What a request is about to do, for its authorization and for the challenge that answers where it may not.</summary>
internal readonly record struct AccessRequest(RepositoryName? Repository, Rights Rights)
{
    /// <summary><c>repository:team/app:pull,push</c>; <c>registry:catalog:*</c> where no repository is meant.</summary>
    public string Scope => Repository is { } repository ? $"repository:{repository}:{RightsText.Format(Rights)}" : "registry:catalog:*";
}

internal static class RightsText
{
    /// <summary>As in the scopes of tokens: <c>pull,push</c>.</summary>
    public static string Format(Rights rights) => string.Join(
        ',', new[] { (Rights.Pull, "pull"), (Rights.Push, "push"), (Rights.Delete, "delete") }.Where(pair => rights.HasFlag(pair.Item1)).Select(pair => pair.Item2));

    public static Rights Parse(string action) => action switch
    {
        "pull" => Rights.Pull,
        "push" => Rights.Push,
        "delete" => Rights.Delete,
        "*" => Rights.All,
        _ => Rights.None,
    };
}
