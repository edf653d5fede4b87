using Slipway.Build.Graph;
using Slipway.Build.Syntax;
using Slipway.Oci;
using Xunit;

namespace Slipway.Tests.Unit.Build;

public sealed class StageGraphTests
{
    private static readonly Platform s_platform = new() { Os = "linux", Architecture = "arm64" };

    private static StageGraph Graph(string text, string? target = null, Dictionary<string, string?>? arguments = null, params string[] contexts) =>
        StageGraph.Of(DockerfileParser.Parse(text), target, arguments ?? [], new Platform { Os = "linux", Architecture = "amd64" }, s_platform, new HashSet<string>(contexts));

    private static string[] Names(StageGraph graph) => [.. graph.Stages.Select(stage => stage.Name)];

    [Fact]
    public void Only_the_stages_that_the_target_needs_are_part_of_it()
    {
        const string Text = """
            FROM one AS a
            FROM two AS b
            FROM a AS c
            COPY --from=b /x /
            FROM scratch AS d
            FROM scratch
            RUN --mount=type=bind,from=c,target=/c true
            """;
        Assert.Equal(["a", "b", "c", "stage-4"], Names(Graph(Text)));
        Assert.Equal(["a"], Names(Graph(Text, "A")));
        Assert.Equal(["d"], Names(Graph(Text, "d")));
        Assert.Equal([0, 1], Graph(Text, "c")[2].Needs);
    }

    [Fact]
    public void A_target_that_is_no_stage_is_an_error()
    {
        Assert.Equal("target stage \"nosuch\" could not be found", Assert.Throws<DockerfileException>(() => Graph("FROM scratch", "nosuch")).Message);
        Assert.Equal("target stage \"0\" could not be found", Assert.Throws<DockerfileException>(() => Graph("FROM scratch", "0")).Message);
    }

    [Theory]
    [InlineData("FROM scratch\nCOPY --from=1 /a /", "invalid stage index 1")]
    [InlineData("FROM scratch\nFROM scratch\nCOPY --from=1 /a /", "invalid stage index 1")]
    [InlineData("FROM scratch\nCOPY --from=-1 /a /", "invalid stage index -1")]
    [InlineData("FROM scratch AS Me\nCOPY --from=me /a /", "circular dependency detected on stage: me")]
    public void Nothing_is_copied_from_a_stage_that_is_not_before(string text, string problem)
    {
        DockerfileException error = Assert.Throws<DockerfileException>(() => Graph(text));
        Assert.Equal(problem, error.Message);
        Assert.NotNull(error.Position);
    }

    [Fact]
    public void A_name_means_an_earlier_stage_or_else_an_image()
    {
        StageGraph graph = Graph("FROM b AS a\nFROM a AS b\nFROM b");
        Assert.Equal(new ImageBase("b"), graph[0].Base);
        Assert.Equal(new StageReference(0), graph[1].Base);
        Assert.Equal(new StageReference(1), graph[2].Base);
    }

    [Fact]
    public void A_number_is_a_stage_to_COPY_and_an_image_to_FROM()
    {
        StageGraph graph = Graph("FROM scratch AS a\nFROM 0\nCOPY --from=0 /x /");
        Assert.Equal(new ImageBase("0"), graph[1].Base);
        Assert.Equal([0], graph[1].Needs);
    }

    [Theory]
    [InlineData("FROM --platform=$BUILDPLATFORM x AS a\nRUN one\nFROM scratch\nCOPY --from=a /x /", "0")]
    [InlineData("FROM --platform=$BUILDPLATFORM x AS a\nARG TARGETARCH\nFROM scratch\nCOPY --from=a /x /", "")]
    [InlineData("FROM --platform=$BUILDPLATFORM x AS a\nARG BUILDARCH\nARG OTHER=1\nFROM scratch\nCOPY --from=a /x /", "0")]
    [InlineData("ARG IMAGE=x:$TARGETARCH\nFROM --platform=$BUILDPLATFORM $IMAGE AS a\nFROM scratch\nCOPY --from=a /x /", "")]
    [InlineData("ARG FOR=$TARGETARCH\nFROM --platform=$BUILDPLATFORM x AS a\nARG FOR\nFROM scratch\nCOPY --from=a /x /", "")]
    [InlineData("FROM x AS a\nFROM --platform=$BUILDPLATFORM x AS b\nCOPY --from=a /x /\nFROM scratch\nCOPY --from=b /x /", "")]
    [InlineData("FROM --platform=$BUILDPLATFORM x AS a\nFROM --platform=$BUILDPLATFORM a AS b\nFROM scratch\nCOPY --from=b /x /", "0 1")]
    [InlineData("FROM --platform=linux/arm64 x AS a\nFROM a", "0")]
    public void Stages_that_do_not_depend_on_the_target_are_common_to_all_platforms(string text, string expected)
    {
        StageGraph[] graphs =
        [
            .. new[] { "linux/amd64", "linux/arm64", "linux/s390x" }.Select(platform => StageGraph.Of(
                DockerfileParser.Parse(text), null, new Dictionary<string, string?>(), Platform.Parse("linux/amd64"), Platform.Parse(platform), new HashSet<string>())),
        ];
        Assert.Equal(expected, string.Join(' ', StageGraph.Common(graphs).Order()));
    }

    [Fact]
    public void A_named_context_goes_before_stages() => Assert.Equal(new ImageBase("a"), Graph("FROM scratch AS a\nFROM a", null, null, "a")[1].Base);

    [Theory]
    [InlineData("ARG V=1\nFROM x:$V", "x:1")]
    [InlineData("ARG V\nFROM x:${V:-none}", "x:none")]
    [InlineData("ARG V=1\nARG W=$V.2\nFROM x:$W", "x:1.2")]
    [InlineData("ARG GIVEN=1\nFROM x:$GIVEN", "x:outside")]
    [InlineData("FROM x:$TARGETARCH", "x:arm64")]
    [InlineData("FROM x:$BUILDPLATFORM", "x:linux/amd64")]
    public void Arguments_before_the_first_stage_are_for_FROM(string text, string expected) =>
        Assert.Equal(new ImageBase(expected), Graph(text, null, new() { ["GIVEN"] = "outside" })[0].Base);

    [Fact]
    public void FROM_without_a_name_is_an_error() => Assert.Contains("should not be blank", Assert.Throws<DockerfileException>(() => Graph("FROM $NOTHING")).Message, StringComparison.Ordinal);

    [Fact]
    public void A_platform_of_FROM_is_that_of_its_stage() =>
        Assert.Equal("linux/amd64", Graph("FROM --platform=$BUILDPLATFORM x")[0].Platform.ToString());

    [Theory]
    [InlineData("ARG A", "outer")]
    [InlineData("ARG A=inner", "inner")]
    [InlineData("ARG B", "given")]
    [InlineData("ARG C", null)]
    public void Arguments_of_a_stage_are_declared_there(string instruction, string? expected)
    {
        StageGraph graph = Graph($"ARG A=outer\nFROM scratch\n{instruction}", null, new() { ["B"] = "given" });
        ArgInstruction declared = (ArgInstruction)graph[0].Stage.Instructions[0];
        BuildArguments arguments = graph.Arguments.Stage();
        Assert.Null(arguments.Value(null, declared.Arguments[0].Name));
        Assert.Equal(expected, arguments.Declare(declared, '\\', null).Value(null, declared.Arguments[0].Name));
    }

    [Fact]
    public void The_environment_goes_before_arguments()
    {
        BuildArguments arguments = Graph("FROM scratch").Arguments.Stage().Declare(new ArgInstruction([new BuildArgument("A", "argument")]) { Keyword = "ARG", Lines = default, Original = "" }, '\\', null);
        Assert.Equal("environment", arguments.Value(["A=environment"], "A"));
        Assert.Equal(["A=argument"], arguments.Variables(null));
        Assert.Empty(arguments.Variables(["A=environment"]));
    }

    [Fact]
    public void Proxies_need_no_declaration_and_are_no_arguments()
    {
        BuildArguments arguments = Graph("FROM scratch", null, new() { ["http_proxy"] = "http://p", ["X"] = "y" }).Arguments.Stage();
        Assert.Equal(["http_proxy=http://p"], arguments.Proxies(null));
        Assert.Empty(arguments.Variables(null));
        Assert.Equal(["X"], BuildArguments.Unused(new Dictionary<string, string?> { ["http_proxy"] = "http://p", ["X"] = "y" }, new HashSet<string>()));
    }

    [Fact]
    public void A_chain_of_a_hundred_thousand_stages_is_walked()
    {
        const int Count = 100_000;
        StageGraph graph = Graph("FROM scratch AS s0\n" + string.Concat(Enumerable.Range(1, Count).Select(i => $"FROM s{i - 1} AS s{i}\n")));
        Assert.Equal(Count + 1, graph.Stages.Count);
    }

    [Fact]
    public void Variables_may_be_replaced_by_so_much_and_no_more()
    {
        string Bomb(int lines) => "ARG A0=xxxxxxxxxx\n" + string.Concat(Enumerable.Range(1, lines).Select(i => $"ARG A{i}={string.Concat(Enumerable.Repeat($"$A{i - 1}", 10))}\n")) + "FROM scratch";
        Assert.Equal(100_000, Graph(Bomb(4)).Arguments.GlobalValue("A4")!.Length);
        Assert.Contains("too much text", Assert.Throws<DockerfileException>(() => Graph(Bomb(8))).Message, StringComparison.Ordinal);
    }
}
