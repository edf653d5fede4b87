using System.Runtime.CompilerServices;
using Slipway.Server.Http;
using Xunit;

namespace Slipway.Tests.Unit.Server;

public sealed class RouteTableTests
{
    /// <summary>The operations of Docker's API reference for v1.50, by noun.</summary>
    private const string Reference = """
        GET /_ping; HEAD /_ping; GET /info; GET /version; GET /events; GET /system/df; POST /auth; POST /session; GET /distribution/{}/json
        GET /containers/json; POST /containers/create; POST /containers/prune; GET /containers/{}/json; GET /containers/{}/top
        GET /containers/{}/logs; GET /containers/{}/changes; GET /containers/{}/export; GET /containers/{}/stats; POST /containers/{}/resize
        POST /containers/{}/start; POST /containers/{}/stop; POST /containers/{}/restart; POST /containers/{}/kill; POST /containers/{}/update
        POST /containers/{}/rename; POST /containers/{}/pause; POST /containers/{}/unpause; POST /containers/{}/attach; GET /containers/{}/attach/ws
        POST /containers/{}/wait; DELETE /containers/{}; HEAD /containers/{}/archive; GET /containers/{}/archive; PUT /containers/{}/archive
        POST /containers/{}/exec; POST /exec/{}/start; POST /exec/{}/resize; GET /exec/{}/json
        GET /images/json; POST /images/create; POST /images/load; POST /images/prune; GET /images/search; GET /images/get; GET /images/{}/get
        GET /images/{}/json; GET /images/{}/history; POST /images/{}/push; POST /images/{}/tag; DELETE /images/{}; POST /commit; POST /build; POST /build/prune
        GET /networks; GET /networks/{}; DELETE /networks/{}; POST /networks/create; POST /networks/{}/connect; POST /networks/{}/disconnect; POST /networks/prune
        GET /volumes; POST /volumes/create; GET /volumes/{}; PUT /volumes/{}; DELETE /volumes/{}; POST /volumes/prune
        GET /plugins; GET /plugins/privileges; POST /plugins/pull; GET /plugins/{}/json; DELETE /plugins/{}; POST /plugins/{}/enable; POST /plugins/{}/disable
        POST /plugins/{}/upgrade; POST /plugins/create; POST /plugins/{}/push; POST /plugins/{}/set
        GET /nodes; GET /nodes/{}; DELETE /nodes/{}; POST /nodes/{}/update; GET /swarm; POST /swarm/init; POST /swarm/join; POST /swarm/leave
        POST /swarm/update; GET /swarm/unlockkey; POST /swarm/unlock; GET /services; POST /services/create; GET /services/{}; DELETE /services/{}
        POST /services/{}/update; GET /services/{}/logs; GET /tasks; GET /tasks/{}; GET /tasks/{}/logs; GET /secrets; POST /secrets/create; GET /secrets/{}
        DELETE /secrets/{}; POST /secrets/{}/update; GET /configs; POST /configs/create; GET /configs/{}; DELETE /configs/{}; POST /configs/{}/update
        """;

    /// <summary>What dockerd serves beside it.</summary>
    private static readonly string[] s_undocumented =
        ["GET /containers/{}/checkpoints", "POST /containers/{}/checkpoints", "DELETE /containers/{}/checkpoints/{checkpoint}", "POST /grpc"];

    [Fact]
    public void The_table_has_every_operation_of_the_reference_and_no_other_but_our_own()
    {
        string[] reference = Reference.Split([';', '\n'], StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(107, reference.Length);

        IEnumerable<string> table = RouteTable.Routes.Where(route => !route.Path.StartsWith("/slipway/", StringComparison.Ordinal)).Select(route =>
            $"{route.Method} {(route.HasParameter ? route.Prefix + "{}" + route.Suffix : route.Path)}");

        Assert.Equal(reference.Concat(s_undocumented).Order(StringComparer.Ordinal), table.Order(StringComparer.Ordinal));
    }

    /// <summary>Run with SLIPWAY_WRITE_DOCS=1 to write the document anew.</summary>
    [Fact]
    public void The_document_says_what_the_table_says()
    {
        string path = Path.Combine(RepositoryRoot(), "docs", "api-coverage.md");
        if (Environment.GetEnvironmentVariable("SLIPWAY_WRITE_DOCS") == "1")
        {
            File.WriteAllText(path, ApiCoverage.Render());
        }

        Assert.Equal(ApiCoverage.Render(), File.ReadAllText(path));
    }

    [Theory]
    [InlineData("GET", "/images/json", "/images/json", "")]
    [InlineData("GET", "/images/get", "/images/get", "")]
    [InlineData("GET", "/images/library/alpine/json", "/images/{name}/json", "library/alpine")]
    [InlineData("GET", "/images/reg:5000/a/json/json", "/images/{name}/json", "reg:5000/a/json")]
    [InlineData("GET", "/images/a/get", "/images/{name}/get", "a")]
    [InlineData("DELETE", "/images/a/json", "/images/{name}", "a/json")]
    [InlineData("GET", "/containers/json", "/containers/json", "")]
    [InlineData("GET", "/containers/json/json", "/containers/{id}/json", "json")]
    [InlineData("GET", "/containers/x/attach/ws", "/containers/{id}/attach/ws", "x")]
    [InlineData("GET", "/services/x/logs", "/services/{id}/logs", "x")]
    [InlineData("GET", "/services/x", "/services/{id}", "x")]
    [InlineData("HEAD", "/_ping", "/_ping", "")]
    [InlineData("DELETE", "/containers/x/checkpoints/one", "/containers/{id}/checkpoints/{checkpoint}", "x")]
    [InlineData("DELETE", "/containers/x/checkpoints/", "/containers/{id}", "x/checkpoints/")]
    [InlineData("DELETE", "/containers/checkpoints/one", "/containers/{id}", "checkpoints/one")]
    public void Paths_find_their_route(string method, string path, string expected, string parameter)
    {
        (Route Route, string Parameter)? found = new Router(RouteTable.Routes).Find(method, path);

        Assert.Equal((expected, parameter), (found?.Route.Path, found?.Parameter));
    }

    [Theory]
    [InlineData("GET", "/")]
    [InlineData("GET", "")]
    [InlineData("GET", "/containers")]
    [InlineData("GET", "/containers//json")]
    [InlineData("POST", "/images/json")]
    [InlineData("DELETE", "/images/")]
    [InlineData("get", "/info")]
    public void Others_find_none(string method, string path) => Assert.Null(new Router(RouteTable.Routes).Find(method, path));

    private static string RepositoryRoot([CallerFilePath] string source = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(source)!, "..", "..", ".."));
}
