namespace Slipway.Server.Http;

/// <summary>Finds the route of a request: paths without a parameter first, then those that say most about what follows it.</summary>
internal sealed class Router(IReadOnlyList<Route> routes)
{
    private readonly Dictionary<(string Method, string Path), Route> _exact =
        routes.Where(route => !route.HasParameter).ToDictionary(route => (route.Method, route.Path));

    private readonly ILookup<(string Method, string Noun), Route> _parameterized =
        routes.Where(route => route.HasParameter).OrderByDescending(route => route.Suffix.Length).ToLookup(route => (route.Method, Noun(route.Path)));

    /// <returns>Null where the API has no such operation.</returns>
    public (Route Route, string Parameter)? Find(string method, string path)
    {
        if (_exact.TryGetValue((method, path), out Route? exact))
        {
            return (exact, "");
        }

        foreach (Route route in _parameterized[(method, Noun(path))])
        {
            if (route.Match(path) is { } parameter)
            {
                return (route, parameter);
            }
        }

        return null;
    }

    /// <summary><c>containers</c> of <c>/containers/x/json</c>.</summary>
    private static string Noun(string path)
    {
        int end = path.IndexOf('/', Math.Min(1, path.Length));
        return end < 0 ? path : path[..end];
    }
}
