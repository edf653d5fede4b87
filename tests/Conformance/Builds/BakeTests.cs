using System.Text.Json.Nodes;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance.Builds;

/// <summary><c>docker buildx bake</c> and <c>docker compose build</c>, unmodified: several builds at once, and from each other.</summary>
public sealed class BakeTests(SharedEngine engine) : BuildxTest(engine)
{
    [Fact]
    public async Task Targets_are_built_from_each_other()
    {
        var (app, database) = (Image("app"), Image("db"));
        var (secret, metadata) = (Put("secret", "hush"), $"{Folder()}/metadata");
        Put("base/Dockerfile", "FROM alpine\nRUN echo base > /base");
        Put("Dockerfile", "FROM base AS db\nARG V\nRUN --mount=type=secret,id=s cat /base /run/secrets/s | wc -c > /v; echo $V >> /v\nFROM base\nARG V\nRUN echo app$V > /v");
        Put("docker-bake.hcl", $$"""
            variable "V" { default = "7" }
            group "default" { targets = ["app", "db"] }
            target "base" { context = "{{Context}}/base" }
            target "app" {
              context = "{{Context}}"
              contexts = { base = "target:base" }
              tags = ["{{app}}"]
              args = { V = V }
            }
            target "db" {
              inherits = ["app"]
              target = "db"
              tags = ["{{database}}"]
              labels = { "x.y" = "z" }
              secret = ["id=s,src={{secret}}"]
              output = ["type=docker"]
            }
            """);
        (await Buildx("buildx", "bake", "--progress", "plain", "-f", $"{Context}/docker-bake.hcl", "--metadata-file", metadata)).Ok().Says("[base 2/2] RUN echo base > /base");
        Assert.Equal("base\napp7\n", await Shown(app, "cat /base /v"));
        Assert.Equal("9\n7\n", await Shown(database, "cat /v"));
        Assert.Equal("""{"x.y":"z"}""", await Docker.Inspect(database, "{{json .Config.Labels}}"));
        var told = JsonNode.Parse(await File.ReadAllTextAsync(metadata, Cancellation))!;
        Assert.Equal(await Docker.Inspect(app, "{{.Id}}"), (string?)told["app"]!["containerimage.digest"]);
        Assert.NotEqual((string?)told["app"]!["containerimage.digest"], (string?)told["base"]!["containerimage.digest"]);
    }

    [Fact]
    public async Task A_matrix_of_targets_has_an_output_each()
    {
        var folder = Folder();
        Put("docker-bake.hcl", $$"""
            target "m" {
              matrix = { v = ["1", "2"] }
              name = "m${v}"
              context = "{{Context}}"
              dockerfile-inline = "FROM alpine AS b\nARG W\nRUN echo $W > /w\nFROM scratch\nCOPY --from=b /w /\n"
              args = { W = v }
              output = ["type=local,dest={{folder}}/${v}"]
            }
            """);
        (await Buildx("buildx", "bake", "-f", $"{Context}/docker-bake.hcl", "m")).Ok();
        Assert.Equal(("1\n", "2\n"), (await File.ReadAllTextAsync($"{folder}/1/w", Cancellation), await File.ReadAllTextAsync($"{folder}/2/w", Cancellation)));
    }

    [Fact]
    public async Task Services_of_a_project_are_built()
    {
        var (web, other) = (Image("web"), Image("other"));
        Put("web/Dockerfile", "FROM alpine AS one\nARG V\nRUN --mount=type=secret,id=token cat /run/secrets/token > /v && echo $V >> /v && grep h.example /etc/hosts >> /v\nFROM one AS two\nRUN false");
        Put("compose.yaml", $$"""
            services:
              web:
                image: {{web}}
                build: { context: web, target: one, args: { V: "9" }, secrets: [token], labels: { a: b }, extra_hosts: ["h.example=1.2.3.4"], no_cache: true }
              other:
                image: {{other}}
                build: { context: ., dockerfile_inline: "FROM alpine\nCOPY --from=x Dockerfile /i\n", additional_contexts: { x: ./web } }
            secrets:
              token: { environment: TOKEN }
            """);
        Dictionary<string, string> variables = new(Docker.Variables) { ["DOCKER_CONFIG"] = await CliPlugins.Configuration("docker-compose"), ["TOKEN"] = "hush" };
        (await Programs.Run(Docker.Path, ["compose", "-p", Path.GetFileName(Context).ToLowerInvariant(), "-f", $"{Context}/compose.yaml", "build"], environment: variables)).Ok();
        Assert.Equal("hush9\n1.2.3.4\th.example\n", await Shown(web, "cat /v"));
        Assert.Equal("b", await Docker.Inspect(web, "{{.Config.Labels.a}}"));
        Assert.Equal("FROM alpine AS one\n", await Shown(other, "head -n1 /i"));
    }
}
