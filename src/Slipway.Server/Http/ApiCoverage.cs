using System.Globalization;
using System.Text;

namespace Slipway.Server.Http;

/// <summary>The route table for people: docs/api-coverage.md.</summary>
internal static class ApiCoverage
{
    public static string Render()
    {
        StringBuilder text = new();
        int Count(RouteState state) => RouteTable.Routes.Count(route => route.State == state);
        text.Append(CultureInfo.InvariantCulture, $"""
            # Coverage of the Engine API v{ApiVersion.Max}

            Generated from the route table (src/Slipway.Server/Http/RouteTable.cs); a test holds the two together. Versions
            {ApiVersion.Min} to {ApiVersion.Max} are served, and paths without a version as {ApiVersion.Max}.

            * {Count(RouteState.Built)} operations are **built**.
            * {Count(RouteState.Swarm)} are Swarm's: they answer **503**, as an engine does that is no member of a swarm.

            Paths below `/slipway` are Slipway's own.

            The verb is the operation's name in policies of sockets and in the audit log (docs/authorization.md).

            | Method | Path | State | Verb |
            |---|---|---|---|

            """);
        foreach (Route route in RouteTable.Routes)
        {
            text.Append(CultureInfo.InvariantCulture, $"| {route.Method} | `{route.Path}` | {Describe(route.State)} | `{route.Verb}` |\n");
        }

        return text.ToString();
    }

    private static string Describe(RouteState state) => state == RouteState.Built ? "built" : "503";
}
