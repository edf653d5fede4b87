namespace Slipway.Registry.Server.Access;

/// <summary>Who may do what with which repository: the rules of the configuration. Without rules, who has logged in may do everything.</summary>
internal sealed class AccessPolicy
{
    public const string Anonymous = "$anonymous";
    public const string Authenticated = "$authenticated";

    private readonly IReadOnlyList<Rule> _rules;
    private readonly HashSet<string> _administrators;

    /// <exception cref="RegistryConfigurationException">A rule names an action that does not exist.</exception>
    public AccessPolicy(AuthConfiguration configuration)
    {
        _administrators = [.. configuration.Administrators];
        _rules = configuration.Rules is null
            ? [new Rule("**", [Authenticated], Rights.All)]
            : [.. configuration.Rules.Select(rule => new Rule(rule.Repositories, [.. rule.Users], rule.Actions.Aggregate(Rights.None, (rights, action) => rights | Action(action))))];
    }

    /// <param name="user">Null for a client that did not say who it is.</param>
    public Rights Grants(string? user, RepositoryName repository)
    {
        Rights rights = Rights.None;
        string name = repository.ToString();
        foreach (Rule rule in _rules)
        {
            if (rule.IsFor(user) && Matches(rule.Pattern, name))
            {
                rights |= rule.Rights;
            }
        }

        return rights;
    }

    public bool MayAdminister(string user) => _administrators.Contains(user);

    /// <summary>Whether anybody at all may do something without logging in.</summary>
    public bool AdmitsAnonymous => _rules.Any(rule => rule.IsFor(null));

    /// <summary>Whether a name fits a pattern: <c>*</c> stands for any characters but a slash, <c>**</c> for any.</summary>
    internal static bool Matches(ReadOnlySpan<char> pattern, ReadOnlySpan<char> name)
    {
        // reached[n]: the pattern so far fits the first n characters. One pass of the name for each part of the pattern, so no
        // pattern is slow.
        Span<bool> reached = stackalloc bool[name.Length + 1];
        reached.Clear();
        reached[0] = true;
        for (int p = 0; p < pattern.Length; p++)
        {
            bool star = pattern[p] == '*';
            bool any = star && p + 1 < pattern.Length && pattern[p + 1] == '*';
            bool before = false;
            for (int n = 0; n <= name.Length; n++)
            {
                bool here = reached[n];
                reached[n] = star
                    ? here || (n > 0 && reached[n - 1] && (any || name[n - 1] != '/'))
                    : n > 0 && before && name[n - 1] == pattern[p];
                before = here;
            }

            p += any ? 1 : 0;
        }

        return reached[^1];
    }

    private static Rights Action(string action) =>
        RightsText.Parse(action) is var rights and not Rights.None ? rights : throw new RegistryConfigurationException($"auth.rules: there is no action \"{action}\"");

    private sealed record Rule(string Pattern, HashSet<string> Users, Rights Rights)
    {
        public bool IsFor(string? user) => Users.Contains(Anonymous) || (user is not null && (Users.Contains(Authenticated) || Users.Contains(user)));
    }
}
